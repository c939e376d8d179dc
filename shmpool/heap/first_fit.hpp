// SPDX-License-Identifier: Apache-2.0
/// First fit over a list of free blocks, last in, first out. A block that is too large is split,
/// and its back part handed out; a block that is freed becomes one with its free neighbours, which
/// it finds by the sizes before and behind it; one that the stack ends with is taken off it. So no
/// two free blocks are neighbours, and the last block is live.
///
/// Marks (stack_marks.hpp) say where blocks begin: frees that are not right are found exactly,
/// whatever headers and payloads hold. A header also says how much more a block has than its user
/// asked for, so that a handle of another length is refused.
///
///   Operation      A kill in the middle of it
///   alloc          undone
///   dealloc        undone; what its user wrote is as it was
///   realloc        undone: the old block is as it was, where it was
///   dealloc_bulk   undone until all are marked as dying, then finished by the next holder
///   recover        done again by the next holder
///
/// Costs: alloc, free blocks; realloc, as alloc if it moves; all else is bounded.
///
/// Source: Knuth, The Art of Computer Programming 1, 2.5 (first fit, boundary tags).
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "shmpool/heap/first_fit_layout.hpp"
#include "shmpool/heap/first_fit_scan.hpp"
#include "shmpool/heap/stack_finish.hpp"

namespace shmpool {

/// The holder of the heap's lock, one thread. After an error, and after `words.failed()`, the
/// caller undoes what was written.
template <typename Words>
class FirstFit {
public:
    static constexpr std::uint64_t user_bytes = first_fit::magic_at;
    static constexpr bool has_null = true;
    static constexpr bool joins_dying = false;

    [[nodiscard]] static constexpr bool may_have_blocks_of(std::uint64_t) { return true; }
    [[nodiscard]] static constexpr StackShape shape(std::uint64_t) { return first_fit::shape; }

    explicit FirstFit(Stack<Words>& stack) : stack_(stack), marks_(stack.marks()) {}

    Outcome<void> format() {
        if (const auto header = stack_.extend(stack_header::bytes); !header) {
            return tl::unexpected(header.error());
        }
        stack_.set(first_fit::magic_at, stack_header::magic("ALFF"));
        return {};
    }
    /// wrong_magic, damaged_header.
    Outcome<void> check() {
        if (stack_.len() < stack_header::bytes) return fail(Errc::damaged_header);
        if (stack_header::is_magic(stack_.get(first_fit::magic_at), "ALFF")) return {};
        return fail(Errc::wrong_magic);
    }
    void open() {
        const HeapOffset head = stack_.get(first_fit::free_head_at);
        const bool has_head = head == 0 || marks_.get(head) == Mark::free;
        const bool is_flagged = (stack_.get(first_fit::flags_at) & first_fit::recovery_needed) != 0;
        is_flagged || !has_head ? StackFinish(stack_, *this).recover() : finish();
    }
    void finish() { StackFinish(stack_, *this).finish(); }
    Outcome<std::uint64_t> recover() {
        StackFinish(stack_, *this).recover();
        return 0;
    }
    void rebuild() { first_fit::Scan(stack_).rebuild(); }

    Outcome<StackHandle> alloc(std::uint64_t len) {
        if (len > stack_.capacity()) return fail(Errc::no_memory);
        const std::uint64_t size = first_fit::aligned(len);
        HeapOffset payload = find(size);
        if (payload != 0) {
            payload = take(payload, size);
        } else {
            const auto block = stack_.extend(size + first_fit::overhead_bytes);
            if (!block) return tl::unexpected(block.error());
            payload = *block + first_fit::block_header_bytes;
            write_size(payload, size);
        }
        const std::uint64_t got = stack_.get(payload - 16);
        if (got < len) return stack_.damage();
        stack_.set(payload - 8, first_fit::live_flags(got, len));
        marks_.set(payload, Mark::live);
        stack_.count(got + first_fit::overhead_bytes, 1);
        return StackHandle{payload, len};
    }

    Outcome<void> dealloc(const StackHandle& handle) {
        const auto piece = find_live(handle);
        if (!piece) return tl::unexpected(piece.error());
        stack_.count(0 - piece->bytes, 0 - std::uint64_t{1});
        release(handle.offset);
        return {};
    }

    Outcome<StackHandle> realloc(const StackHandle& handle, std::uint64_t len) {
        const auto piece = find_live(handle);
        if (!piece) return tl::unexpected(piece.error());
        if (len > stack_.capacity()) return fail(Errc::no_memory);
        const HeapOffset payload = handle.offset;
        const std::uint64_t size = piece->bytes - first_fit::overhead_bytes;
        const std::uint64_t wanted = first_fit::aligned(len);
        // What lies behind a user's bytes in his block is nobody's.
        if (len > handle.len) stack_.zero_in_free(handle.end(), size - handle.len);
        const bool is_last = payload + size + 8 == stack_.len();
        const bool stays = is_last ? resize_last(payload, size, wanted)
                                   : wanted <= size || take_next(payload, size, wanted);
        if (!stays) return move(handle, len);
        const std::uint64_t got = stack_.get(payload - 16);
        if (got < len) return stack_.damage();
        stack_.set(payload - 8, first_fit::live_flags(got, len));
        stack_.count(got - size, 0);
        return StackHandle{payload, len};
    }

    /// Blocks of this kind lie apart.
    Outcome<std::vector<StackHandle>> alloc_bulk(std::span<const std::uint64_t>) {
        return fail(Errc::unsupported);
    }
    Outcome<void> dealloc_bulk(std::span<const StackHandle> handles) {
        return StackFinish(stack_, *this).dealloc_bulk(handles);
    }

    /// not_allocated, invalid_argument.
    Outcome<HeapPiece> find_live(const StackHandle& handle) {
        const HeapOffset payload = handle.offset;
        if (!marks_.is_place(payload)) return fail(Errc::invalid_argument);
        if (marks_.get(payload) != Mark::live) return fail(Errc::not_allocated);
        const std::uint64_t size = size_of(payload);
        if (size == 0) return fail(Errc::heap_damaged);
        if (handle.len > size ||
            stack_.get(payload - 8) != first_fit::live_flags(size, handle.len)) {
            return fail(Errc::invalid_argument);
        }
        return HeapPiece{payload, size + first_fit::overhead_bytes};
    }

    /// Links lie upon what its user wrote: they are logged.
    void release(HeapOffset payload) {
        std::uint64_t size = size_of(payload);
        const HeapOffset next = payload + size + first_fit::overhead_bytes;
        if (marks_.get(next) == Mark::free) size += absorb(next);
        if (const HeapOffset before = free_before(payload); before != 0) {
            marks_.set(payload, Mark::none);
            size += absorb(before);
            payload = before;
        }
        if (payload + size + 8 == stack_.len()) {
            marks_.set(payload, Mark::none);
            return stack_.set_len(payload - first_fit::block_header_bytes);
        }
        const HeapOffset head = free_at(first_fit::free_head_at);
        write_size(payload, size);
        stack_.set(payload - 8, first_fit::free_flag);
        stack_.set(payload, head);
        stack_.set(payload + 8, 0);
        stack_.set(first_fit::free_head_at, payload);
        if (head != 0) stack_.set(head + 8, payload);
        marks_.set(payload, Mark::free);
    }

    HeapCensus take_census() { return first_fit::Scan(stack_).take_census(); }

private:
    /// The first free block that is large enough; 0: none.
    HeapOffset find(std::uint64_t size) {
        std::uint64_t left = stack_.len() / first_fit::rest_bytes_min + 1;
        HeapOffset at = free_at(first_fit::free_head_at);
        for (; at != 0; at = free_at(at)) {
            if (left-- == 0) stack_.words().fail();  // A circle.
            if (stack_.words().failed()) return 0;
            if (size_of(at) >= size) return at;
        }
        return 0;
    }

    /// A zero block of `size`, or a little more, out of a free one.
    HeapOffset take(HeapOffset found, std::uint64_t size) {
        const std::uint64_t all = stack_.get(found - 16);
        if (all < size + first_fit::rest_bytes_min) {
            unlink(found);
            stack_.set(found, 0);
            stack_.set(found + 8, 0);
            stack_.zero_in_free(found + 16, all - 16);
            return found;
        }
        const HeapOffset payload = found + all - size;
        write_size(found, all - size - first_fit::overhead_bytes);
        write_size(payload, size);
        stack_.zero_in_free(payload, size);
        return payload;
    }

    /// Grows or shrinks what the stack ends with.
    bool resize_last(HeapOffset payload, std::uint64_t size, std::uint64_t wanted) {
        if (wanted > size) {
            if (!stack_.extend(wanted - size)) return false;
            stack_.set(payload + size, 0);
        } else {
            (void)stack_.discard(size - wanted);
        }
        if (wanted != size) write_size(payload, wanted);
        return true;
    }

    /// Grows into the free block behind; what is left of that is a free block.
    bool take_next(HeapOffset payload, std::uint64_t size, std::uint64_t wanted) {
        const HeapOffset next = payload + size + first_fit::overhead_bytes;
        if (marks_.get(next) != Mark::free) return false;
        const std::uint64_t next_size = size_of(next);
        const std::uint64_t all = size + first_fit::overhead_bytes + next_size;
        if (all < wanted) return false;
        absorb(next);
        // A user may see the words that stood between the two, and what was free.
        for (HeapOffset at = payload + size; at < next + 16; at += 8) stack_.set(at, 0);
        stack_.zero_in_free(next + 16, next_size - 16);
        if (all < wanted + first_fit::rest_bytes_min) {
            write_size(payload, all);
            return true;
        }
        write_size(payload, wanted);
        const HeapOffset rest = payload + wanted + first_fit::overhead_bytes;
        write_size(rest, all - wanted - first_fit::overhead_bytes);
        release(rest);
        return true;
    }

    Outcome<StackHandle> move(const StackHandle& handle, std::uint64_t len) {
        const auto fresh = alloc(len);
        if (!fresh) return fresh;
        stack_.copy_to_free(handle.offset, fresh->offset, std::min(len, handle.len));
        if (const auto freed = dealloc(handle); !freed) return tl::unexpected(freed.error());
        return fresh;
    }

    /// What the words in front of it and behind it say. 0, and damage: they differ, as somebody has
    /// written what was not his.
    std::uint64_t size_of(HeapOffset payload) {
        const std::uint64_t size = stack_.get(payload - 16);
        const bool is_one =
            first_fit::may_be(payload, size, stack_.len()) && stack_.get(payload + size) == size;
        if (!is_one) stack_.words().fail();
        return is_one ? size : 0;
    }
    /// What the link there leads to, which is free. 0: nothing, or damage.
    HeapOffset free_at(HeapOffset link) {
        const HeapOffset payload = stack_.get(link);
        if (payload == 0 || marks_.get(payload) == Mark::free) return payload;
        stack_.words().fail();
        return 0;
    }

    void write_size(HeapOffset payload, std::uint64_t size) {
        stack_.set(payload - 16, size);
        stack_.set(payload + size, size);
    }

    /// The free block that ends where the one of `payload` begins; 0: none does.
    HeapOffset free_before(HeapOffset payload) {
        if (payload <= first_fit::first_payload) return 0;
        const std::uint64_t size = stack_.get(payload - first_fit::overhead_bytes);
        if (size > payload) return 0;
        const HeapOffset before = payload - first_fit::overhead_bytes - size;
        const bool is_free = marks_.get(before) == Mark::free && stack_.get(before - 16) == size;
        return is_free ? before : 0;
    }

    /// A free block is a part of another from now on: what that gains.
    std::uint64_t absorb(HeapOffset payload) {
        unlink(payload);
        marks_.set(payload, Mark::none);
        return size_of(payload) + first_fit::overhead_bytes;
    }

    void unlink(HeapOffset payload) {
        const HeapOffset next = free_at(payload);
        const HeapOffset before = free_at(payload + 8);
        stack_.set(before != 0 ? before : first_fit::free_head_at, next);
        if (next != 0) stack_.set(next + 8, before);
    }

    Stack<Words>& stack_;
    StackMarks<Words>& marks_;
};

}  // namespace shmpool
