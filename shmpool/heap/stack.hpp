// SPDX-License-Identifier: Apache-2.0
/// The byte array that every heap of the stack family sits on: it grows and shrinks at its end
/// only, within a fixed capacity. All offsets are bytes from its beginning.
///
/// What an extension adds is zero, so nothing need be known of the bytes behind the end; to
/// discard is one word. Everything that is written goes through HeapWords, and nothing that is
/// read is believed: an offset out of the stack makes the change fail.
///
/// Source: the substrate of the bstack allocators, without its file.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shmpool/heap/heap_words.hpp"
#include "shmpool/heap/stack_marks.hpp"
#include "shmpool/heap/stack_plan.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool {

/// Decided, and still to be done. Whoever has the lock next does it (stack_finish.hpp).
enum class Unfinished : std::uint64_t {
    nothing = 0,
    marking,      ///< Not decided: what is marked as dying is to live.
    freeing_one,  ///< What begins at `unfinished_at` is marked as dying, and to be freed.
    freeing_all,  ///< As that, everything from there on.
    preparing,    ///< Not decided: what a block there is to be is being made, and is to be freed.
    rebuilding,   ///< The free blocks are to be found anew from the marks.
};

/// The holder of the heap's lock, one thread.
template <typename Words>
class Stack {
public:
    Stack(Words& words, const StackPlan& plan) : words_(words), plan_(plan), marks_(words, plan) {}

    [[nodiscard]] Words& words() { return words_; }
    [[nodiscard]] StackMarks<Words>& marks() { return marks_; }
    [[nodiscard]] const StackShape& shape() const { return plan_.shape; }
    [[nodiscard]] std::uint64_t capacity() const { return plan_.capacity; }

    [[nodiscard]] std::uint64_t len() {
        const std::uint64_t len = words_.get(plan_.word(stack_words::len));
        if (len <= plan_.capacity) return len;
        words_.fail();
        return 0;
    }
    /// Appends zeros: where they begin. no_memory.
    [[nodiscard]] Outcome<std::uint64_t> extend(std::uint64_t bytes) {
        const std::uint64_t old = len();
        if (bytes > plan_.capacity - old) return fail(Errc::no_memory);
        if (bytes == 0) return old;
        zero_in_free(old, bytes);
        set_len(old + bytes);
        return old;
    }
    /// Takes them off the end. invalid_argument: there are not so many.
    Outcome<void> discard(std::uint64_t bytes) {
        const std::uint64_t old = len();
        if (bytes > old) return fail(Errc::invalid_argument);
        if (bytes != 0) set_len(old - bytes);
        return {};
    }
    /// Without a look at what is there.
    void set_len(std::uint64_t len) { words_.set(plan_.word(stack_words::len), len); }

    [[nodiscard]] std::uint64_t get(HeapOffset at) { return words_.get(absolute(at, 8)); }
    void set(HeapOffset at, std::uint64_t value) { words_.set(absolute(at, 8), value); }
    void set_in_free(HeapOffset at, std::uint64_t value) {
        words_.set_in_free(absolute(at, 8), value);
    }
    void zero_in_free(HeapOffset at, std::uint64_t bytes) {
        if (bytes != 0) words_.zero_in_free({absolute(at, bytes), bytes});
    }
    void copy_to_free(HeapOffset from, HeapOffset to, std::uint64_t bytes) {
        if (bytes == 0) return;
        words_.copy_to_free(absolute(from, bytes), {absolute(to, bytes), bytes});
    }

    [[nodiscard]] Unfinished unfinished() {
        return Unfinished{words_.get(plan_.word(stack_words::unfinished))};
    }
    [[nodiscard]] HeapExtent unfinished_extent() {
        return {words_.get(plan_.word(stack_words::unfinished_at)),
                words_.get(plan_.word(stack_words::unfinished_bytes))};
    }
    void set_unfinished(Unfinished what, const HeapExtent& where = {}) {
        words_.set(plan_.word(stack_words::unfinished), static_cast<std::uint64_t>(what));
        words_.set(plan_.word(stack_words::unfinished_at), where.offset);
        words_.set(plan_.word(stack_words::unfinished_bytes), where.bytes);
    }

    /// The change so far is complete, if nothing in it has failed; what comes is another one.
    bool commit() {
        if (words_.failed()) return false;
        words_.commit();
        return true;
    }

    /// Of what is handed out; differences, which may be below 0.
    void count(std::uint64_t bytes, std::uint64_t blocks) {
        if (bytes != 0) words_.add(offsetof(HeapHeader, used_bytes), bytes);
        if (blocks != 0) words_.add(offsetof(HeapHeader, blocks), blocks);
    }

    [[nodiscard]] tl::unexpected<Errc> damage() {
        words_.fail();
        return fail(Errc::heap_damaged);
    }

private:
    /// Of the heap's memory; outside of the stack: an offset that HeapWords refuses.
    [[nodiscard]] HeapOffset absolute(HeapOffset at, std::uint64_t bytes) const {
        const bool lies_inside = at <= plan_.capacity && bytes <= plan_.capacity - at;
        return lies_inside ? plan_.begin + at : ~HeapOffset{7};
    }

    Words& words_;
    const StackPlan& plan_;
    StackMarks<Words> marks_;
};

}  // namespace shmpool
