// SPDX-License-Identifier: Apache-2.0
/// The stack and nothing else: a block is what was at its end when it was extended. No header, no
/// alignment, nothing kept for a block. Only the last one can change its length or be taken back;
/// to free another one is no error and gives nothing back. For scratch, logs, and arenas.
///
///   Operation      A kill in the middle of it
///   alloc          undone: `len` is one word
///   realloc        undone
///   dealloc        undone
///   alloc_bulk     undone: one extension for all
///   dealloc_bulk   undone: one discard for all
///
/// Handles carry no stamp, so one that is used after its block was taken back is found only if it
/// reaches behind the end.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "shmpool/heap/heap_census.hpp"
#include "shmpool/heap/stack.hpp"
#include "shmpool/heap/stack_handle.hpp"

namespace shmpool {

/// The holder of the heap's lock, one thread. After an error, and after `words.failed()`, the
/// caller undoes what was written.
template <typename Words>
class Linear {
public:
    static constexpr std::uint64_t user_bytes = 0;
    static constexpr bool has_null = false;

    [[nodiscard]] static constexpr bool may_have_blocks_of(std::uint64_t) { return true; }
    [[nodiscard]] static constexpr StackShape shape(std::uint64_t) {
        return {.kind = HeapKind::linear, .journal_limit = 8};
    }

    explicit Linear(Stack<Words>& stack) : stack_(stack) {}

    Outcome<void> format() { return {}; }
    Outcome<void> check() { return {}; }
    void open() {}
    void finish() {}
    Outcome<std::uint64_t> recover() { return 0; }

    Outcome<StackHandle> alloc(std::uint64_t len) {
        return stack_.extend(len).map([&](std::uint64_t offset) {
            stack_.count(len, 0);
            return StackHandle{offset, len};
        });
    }

    Outcome<StackHandle> realloc(const StackHandle& handle, std::uint64_t len) {
        const std::uint64_t end = stack_.len();
        if (!lies_within(handle, end)) return fail(Errc::not_allocated);
        if (len == handle.len) return handle;
        if (handle.end() != end) return fail(Errc::unsupported);
        if (len > handle.len) {
            const auto added = stack_.extend(len - handle.len);
            if (!added) return tl::unexpected(added.error());
        } else {
            (void)stack_.discard(handle.len - len);
        }
        stack_.count(len - handle.len, 0);
        return StackHandle{handle.offset, len};
    }

    Outcome<void> dealloc(const StackHandle& handle) { return dealloc_bulk({&handle, 1}); }

    /// invalid_argument: the sum is no number.
    Outcome<std::vector<StackHandle>> alloc_bulk(std::span<const std::uint64_t> lengths) {
        std::uint64_t sum = 0;
        for (const std::uint64_t len : lengths) {
            if (len > ~sum) return fail(Errc::invalid_argument);
            sum += len;
        }
        const auto all = alloc(sum);
        if (!all) return tl::unexpected(all.error());
        std::vector<StackHandle> handles;
        handles.reserve(lengths.size());
        HeapOffset at = all->offset;
        for (const std::uint64_t len : lengths) {
            handles.push_back({at, len});
            at += len;
        }
        return handles;
    }

    /// Those that the stack ends with, as far as they lie one behind the other. invalid_argument:
    /// two of them overlap.
    Outcome<void> dealloc_bulk(std::span<const StackHandle> handles) {
        std::vector<StackHandle> last_first(handles.begin(), handles.end());
        std::ranges::sort(last_first, std::greater{});
        const std::uint64_t end = stack_.len();
        std::uint64_t kept = end;
        std::uint64_t before = end;
        for (const StackHandle& one : last_first) {
            if (!lies_within(one, end)) return fail(Errc::not_allocated);
            if (one.end() > before) return fail(Errc::invalid_argument);
            before = one.offset;
            if (one.end() == kept) kept = one.offset;
        }
        stack_.count(kept - end, 0);
        return stack_.discard(end - kept);
    }

    HeapCensus take_census() {
        HeapCensus census;
        census.total_bytes = stack_.capacity();
        census.used_bytes = stack_.len();
        return census;
    }

private:
    [[nodiscard]] static bool lies_within(const StackHandle& handle, std::uint64_t end) {
        return handle.offset <= end && handle.len <= end - handle.offset;
    }

    Stack<Words>& stack_;
};

}  // namespace shmpool
