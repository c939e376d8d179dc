// SPDX-License-Identifier: Apache-2.0
/// What ghost_tree and the two slabs have in common: a block is a run of units, its length is how
/// far it is to the next mark (stack_marks.hpp), and the stack is extended when no free block
/// fits. What they differ in is how free blocks are kept, which is `FreeBlocksOf`:
///
///   lead_bytes          in front of what the user gets, in the first unit of a run
///   take(units)         a free block of so many, zero but for its lead; 0: there is none
///   claim(at, units)    what a live run says of itself; is_claimed: it does
///   release(at, units)  it is dying, and becomes free; its last part is not yet committed
///   keeps_last(units)   such a run is not taken off the end of the stack
///   rebuild()           finds the free blocks anew; unsure(): how many units it could not judge
///
///   Operation      A kill in the middle of it
///   alloc          undone
///   dealloc        undone, or done and finished by the next holder; nothing that its user wrote
///                  is touched before it is decided
///   realloc        undone, or done; what was given up is freed by the next holder
///   alloc_bulk     undone, by the next holder, who frees it whole
///   dealloc_bulk   undone until all are marked as dying, then finished by the next holder
///   recover        done again
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "shmpool/heap/heap_census.hpp"
#include "shmpool/heap/stack_finish.hpp"
#include "shmpool/heap/stack_header.hpp"

namespace shmpool {

/// The holder of the heap's lock, one thread. After an error, and after `words.failed()`, the
/// caller undoes what was written.
template <typename Words, template <typename> typename FreeBlocksOf>
class RunStack {
public:
    using FreeBlocks = FreeBlocksOf<Words>;
    static constexpr std::uint64_t user_bytes = FreeBlocks::user_bytes;
    static constexpr bool has_null = true;
    static constexpr bool joins_dying = true;

    [[nodiscard]] static constexpr bool may_have_blocks_of(std::uint64_t bytes) {
        return FreeBlocks::may_have_blocks_of(bytes);
    }
    [[nodiscard]] static constexpr StackShape shape(std::uint64_t block_bytes) {
        return FreeBlocks::shape(block_bytes);
    }

    explicit RunStack(Stack<Words>& stack)
        : stack_(stack), marks_(stack.marks()), unit_(stack.shape().granule_bytes), free_(stack) {}

    Outcome<void> format() {
        if (const auto header = stack_.extend(stack_header::bytes); !header) {
            return tl::unexpected(header.error());
        }
        free_.format();
        return {};
    }
    Outcome<void> check() {
        if (stack_.len() < stack_header::bytes) return fail(Errc::damaged_header);
        return free_.check();
    }
    void open() { (void)recover(); }
    void finish() { StackFinish(stack_, *this).finish(); }
    void rebuild() { free_.rebuild(); }
    Outcome<std::uint64_t> recover() {
        StackFinish(stack_, *this).recover();
        return free_.unsure();
    }

    Outcome<StackHandle> alloc(std::uint64_t len) {
        if (len > stack_.capacity()) return fail(Errc::no_memory);
        return alloc_run(units_for(len)).map([&](HeapOffset at) { return handle_at(at, len); });
    }

    Outcome<void> dealloc(const StackHandle& handle) {
        const auto run = find_live(handle);
        if (!run) return tl::unexpected(run.error());
        stack_.count(0 - run->bytes, 0 - std::uint64_t{1});
        give_up(run->offset);
        return {};
    }

    Outcome<StackHandle> realloc(const StackHandle& handle, std::uint64_t len) {
        const auto run = find_live(handle);
        if (!run) return tl::unexpected(run.error());
        if (len > stack_.capacity()) return fail(Errc::no_memory);
        const HeapOffset at = run->offset;
        const HeapOffset end = at + run->bytes;
        const std::uint64_t bytes = units_for(len) * unit_;
        const bool is_last = end == stack_.len();
        if (bytes > run->bytes && !(is_last && stack_.extend(bytes - run->bytes))) {
            return move(handle, len);
        }
        // What lies behind a user's bytes in his block is nobody's.
        if (len > handle.len) stack_.zero_in_free(handle.end(), end - handle.end());
        if (bytes == run->bytes) return StackHandle{handle.offset, len};
        if (bytes < run->bytes && is_last) stack_.set_len(at + bytes);
        if (bytes < run->bytes && !is_last) give_up(at + bytes);
        free_.claim(at, bytes / unit_);
        stack_.count(bytes - run->bytes, 0);
        return StackHandle{handle.offset, len};
    }

    /// One run, cut. invalid_argument: the sum is no number.
    Outcome<std::vector<StackHandle>> alloc_bulk(std::span<const std::uint64_t> lengths) {
        std::uint64_t units = 0;
        for (const std::uint64_t len : lengths) {
            units += len != 0 ? units_for(len) : 0;
            if (units > ~std::uint64_t{0} / unit_) return fail(Errc::invalid_argument);
        }
        if (units > stack_.capacity() / unit_) return fail(Errc::no_memory);
        std::vector<StackHandle> handles(lengths.size());
        if (units == 0) return handles;
        const auto first = alloc_run(units);
        if (!first) return tl::unexpected(first.error());
        if (!begin_preparing(*first, units)) return fail(Errc::heap_damaged);
        cut(*first, lengths, handles);
        stack_.set_unfinished(Unfinished::nothing);
        return handles;
    }
    Outcome<void> dealloc_bulk(std::span<const StackHandle> handles) {
        return StackFinish(stack_, *this).dealloc_bulk(handles);
    }

    /// not_allocated, invalid_argument.
    Outcome<HeapPiece> find_live(const StackHandle& handle) {
        const HeapOffset at = handle.offset - FreeBlocks::lead_bytes;
        if (!marks_.is_place(at)) return fail(Errc::invalid_argument);
        if (marks_.get(at) != Mark::live) return fail(Errc::not_allocated);
        const std::uint64_t bytes = marks_.next(at, stack_.len()) - at;
        if (bytes % unit_ != 0 || !free_.is_claimed(at, bytes / unit_)) return stack_.damage();
        const bool fits = handle.len != 0 && handle.len <= bytes;
        if (!fits || units_for(handle.len) * unit_ != bytes) return fail(Errc::invalid_argument);
        return HeapPiece{at, bytes};
    }

    void release(HeapOffset at) {
        const HeapOffset end = marks_.next(at, stack_.len());
        const std::uint64_t units = (end - at) / unit_;
        if (end < stack_.len() || free_.keeps_last(units)) return free_.release(at, units);
        marks_.set(at, Mark::none);
        stack_.set_len(at);
    }

    HeapCensus take_census() {
        HeapCensus census;
        census.total_bytes = stack_.capacity();
        const std::uint64_t len = stack_.len();
        HeapOffset at = marks_.first_from(stack_header::bytes, len);
        if (at != stack_header::bytes) census.find(at, "no block begins at the beginning");
        while (at < len) {
            const HeapOffset end = marks_.next(at, len);
            const Mark mark = marks_.get(at);
            census.used_bytes += mark == Mark::live ? end - at : 0;
            census.blocks += mark == Mark::live ? 1 : 0;
            if (mark == Mark::dying) census.find(at, "was not freed to the end");
            if ((end - at) % unit_ != 0) census.find(at, "ends within a unit");
            if (mark == Mark::live && !free_.is_claimed(at, (end - at) / unit_)) {
                census.find(at, "does not say that it is live");
            }
            if (mark == Mark::free) free_.inspect(at, end - at, census);
            at = end;
        }
        const HeapOffset limit = stack_.capacity();
        if (marks_.first_from(len, limit) != limit) census.find(len, "a mark behind the end");
        free_.inspect_all(census);
        return census;
    }

private:
    /// For `len` bytes and the lead; whatever `len`, no overflow.
    [[nodiscard]] std::uint64_t units_for(std::uint64_t len) const {
        return len / unit_ + (len % unit_ + FreeBlocks::lead_bytes + unit_ - 1) / unit_;
    }
    [[nodiscard]] StackHandle handle_at(HeapOffset at, std::uint64_t len) const {
        return {at + FreeBlocks::lead_bytes, len};
    }

    Outcome<HeapOffset> alloc_run(std::uint64_t units) {
        HeapOffset at = free_.take(units);
        if (at == 0) {
            const auto added = stack_.extend(units * unit_);
            if (!added) return added;
            at = *added;
        }
        marks_.set(at, Mark::live);
        free_.claim(at, units);
        stack_.count(units * unit_, 1);
        return at;
    }

    /// A run begins at `at`, or will: it is not needed from now on. One that the stack ends with
    /// is taken off it here, and nothing is left to be finished.
    void give_up(HeapOffset at) {
        const HeapOffset end = marks_.next(at, stack_.len());
        if (end == stack_.len() && !free_.keeps_last((end - at) / unit_)) {
            marks_.set(at, Mark::none);
            return stack_.set_len(at);
        }
        marks_.set(at, Mark::dying);
        stack_.set_unfinished(Unfinished::freeing_one, {at, 0});
    }

    /// A new block is in use from now on, and its own author's until he says that it is ready.
    bool begin_preparing(HeapOffset at, std::uint64_t units) {
        stack_.set_unfinished(Unfinished::preparing, {at, units * unit_});
        return stack_.commit();
    }

    /// Free memory may have to be zero: so the new block is none when it is written.
    Outcome<StackHandle> move(const StackHandle& handle, std::uint64_t len) {
        const auto fresh = alloc(len);
        if (!fresh) return fresh;
        const HeapOffset at = fresh->offset - FreeBlocks::lead_bytes;
        if (!begin_preparing(at, units_for(len))) return fail(Errc::heap_damaged);
        stack_.copy_to_free(handle.offset, fresh->offset, handle.len);
        stack_.set_unfinished(Unfinished::nothing);
        if (const auto freed = dealloc(handle); !freed) return tl::unexpected(freed.error());
        return fresh;
    }

    /// Nobody knows the run yet: its marks are nobody's.
    void cut(HeapOffset at, std::span<const std::uint64_t> lengths,
             std::vector<StackHandle>& handles) {
        std::uint64_t blocks = 0;
        for (std::size_t i = 0; i < lengths.size(); ++i) {
            if (lengths[i] == 0) continue;
            const std::uint64_t units = units_for(lengths[i]);
            if (blocks++ != 0) marks_.set_for_good(at, Mark::live);
            free_.claim_for_good(at, units);
            handles[i] = handle_at(at, lengths[i]);
            at += units * unit_;
        }
        stack_.count(0, blocks - 1);
    }

    Stack<Words>& stack_;
    StackMarks<Words>& marks_;
    std::uint64_t unit_;
    FreeBlocks free_;
};

}  // namespace shmpool
