// SPDX-License-Identifier: Apache-2.0
/// What a change of a stack decides first and does afterwards, in steps that may be any number: to
/// free many blocks at once, or one of any length. To decide is one journalled change; then the
/// blocks are marked as dying, and `unfinished` says so. Each step is a change too, and to do the
/// rest again from what the marks say is what the next holder of the lock does, if this one dies.
///
/// Many blocks: they are marked one after another while `unfinished` says `marking`. Until that
/// word says `freeing_all` nothing has happened, and whoever comes makes them live again.
///
/// An engine has:
///   find_live(handle)   where its mark is, and the bytes that are used for it
///   release(at)         makes free what is marked as dying; its last part is not yet committed
///   rebuild()           finds the free blocks anew
///   joins_dying         neighbours that are dying may become one block before they are freed
#pragma once

#include <algorithm>
#include <span>

#include "shmpool/heap/stack.hpp"
#include "shmpool/heap/stack_handle.hpp"

namespace shmpool {

/// The holder of the heap's lock, one thread.
template <typename Words, typename Engine>
class StackFinish {
public:
    StackFinish(Stack<Words>& stack, Engine& engine)
        : stack_(stack), marks_(stack.marks()), engine_(engine) {}

    /// Does what was decided and is still to be done.
    void finish() {
        const HeapExtent extent = stack_.unfinished_extent();
        switch (stack_.unfinished()) {
            case Unfinished::nothing: return;
            case Unfinished::marking: revive(); break;
            case Unfinished::freeing_one: release_one(extent.offset); break;
            case Unfinished::freeing_all: release_from(extent.offset); break;
            case Unfinished::preparing:
                give_up_preparing(extent);
                release_one(extent.offset);
                break;
            case Unfinished::rebuilding: rebuild(); break;
            default: stack_.words().fail();
        }
        stack_.set_unfinished(Unfinished::nothing);
        stack_.commit();
    }

    /// As `finish`, and the free blocks are found anew: whatever is damaged but the marks.
    void recover() {
        if (stack_.unfinished() == Unfinished::marking) revive();
        if (stack_.unfinished() == Unfinished::preparing) {
            give_up_preparing(stack_.unfinished_extent());
        }
        stack_.set_unfinished(Unfinished::rebuilding);
        if (stack_.commit()) finish();
    }

    /// Marks all of them, and decides.
    Outcome<void> dealloc_bulk(std::span<const StackHandle> handles) {
        stack_.set_unfinished(Unfinished::marking);
        if (!stack_.commit()) return fail(Errc::heap_damaged);
        std::uint64_t bytes = 0;
        std::uint64_t blocks = 0;
        HeapOffset lowest = stack_.capacity();
        for (const StackHandle& one : handles) {
            if (one.is_null()) continue;
            const Outcome<HeapPiece> piece = engine_.find_live(one);
            if (!piece) {
                finish();
                return tl::unexpected(piece.error());
            }
            marks_.set_for_good(piece->offset, Mark::dying);
            lowest = std::min(lowest, piece->offset);
            bytes += piece->bytes;
            ++blocks;
        }
        stack_.count(0 - bytes, 0 - blocks);
        stack_.set_unfinished(blocks != 0 ? Unfinished::freeing_all : Unfinished::nothing,
                              {lowest, 0});
        return {};
    }

private:
    void revive() {
        const std::uint64_t end = stack_.len();
        const HeapOffset first = marks_.first_from(stack_.shape().arena, end);
        for (HeapOffset at = first; at < end; at = marks_.next(at, end)) {
            if (marks_.get(at) == Mark::dying) marks_.set_for_good(at, Mark::live);
        }
    }

    void release_one(HeapOffset at) {
        if (!stack_.words().failed() && marks_.get(at) == Mark::dying) engine_.release(at);
    }

    void release_from(HeapOffset at) {
        if (!marks_.is_place(at)) return stack_.words().fail();
        at = marks_.first_from(at, stack_.len());
        while (at < stack_.len()) {
            const bool is_dying = marks_.get(at) == Mark::dying;
            if (is_dying && Engine::joins_dying) join_dying_behind(at);
            const HeapOffset next = marks_.next(at, stack_.len());
            if (is_dying) engine_.release(at);
            if (!stack_.commit()) return;
            at = next;
        }
    }

    void join_dying_behind(HeapOffset at) {
        const std::uint64_t end = stack_.len();
        for (HeapOffset next = marks_.next(at, end); next < end; next = marks_.next(at, end)) {
            if (marks_.get(next) != Mark::dying || stack_.words().failed()) return;
            marks_.set_for_good(next, Mark::none);
        }
    }

    /// All that is dying is to be freed: `recover` has seen to that.
    void rebuild() {
        engine_.rebuild();
        const HeapOffset first = stack_.shape().arena;
        stack_.set_unfinished(Unfinished::freeing_all, {first, 0});
        if (stack_.commit()) release_from(first);
    }

    /// It is one block, whatever it was to be, and to be freed.
    void give_up_preparing(const HeapExtent& block) {
        const std::uint64_t len = stack_.len();
        if (!marks_.is_place(block.offset) || block.offset > len ||
            block.bytes > len - block.offset) {
            return stack_.words().fail();
        }
        const HeapOffset end = block.offset + block.bytes;
        for (HeapOffset at = marks_.next(block.offset, end); at < end; at = marks_.next(at, end)) {
            marks_.set_for_good(at, Mark::none);
        }
        stack_.count(0 - block.bytes, 0 - std::uint64_t{1});
        marks_.set(block.offset, Mark::dying);
        stack_.set_unfinished(Unfinished::freeing_one, {block.offset, 0});
        stack_.commit();
    }

    Stack<Words>& stack_;
    StackMarks<Words>& marks_;
    Engine& engine_;
};

}  // namespace shmpool
