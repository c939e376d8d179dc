// SPDX-License-Identifier: Apache-2.0
/// Two bits beside each granule of a stack say whether a block begins there, and what it is. They
/// are the truth of a heap whose live blocks carry nothing: a free that is not right is found
/// exactly, and lists and trees of free blocks can be made anew from them.
#pragma once

#include <bit>
#include <cstdint>

#include "shmpool/heap/heap_words.hpp"
#include "shmpool/heap/stack_plan.hpp"

namespace shmpool {

enum class Mark : std::uint64_t {
    none = 0,  ///< No block begins there.
    free = 1,
    live = 2,
    dying = 3,  ///< Given up by its user, and not yet free.
};

/// The holder of the heap's lock, one thread. Offsets are those of the stack.
template <typename Words>
class StackMarks {
public:
    StackMarks(Words& words, const StackPlan& plan) : words_(words), plan_(plan) {}

    /// A block could begin there.
    [[nodiscard]] bool is_place(HeapOffset at) const {
        return at >= plan_.shape.arena && at < plan_.capacity &&
               (at - plan_.shape.arena) % plan_.shape.granule_bytes == 0;
    }
    [[nodiscard]] Mark get(HeapOffset at) {
        if (!is_place(at)) return Mark::none;
        return Mark{words_.get(word_of(at)) >> shift_of(at) & 3};
    }
    void set(HeapOffset at, Mark mark) {
        if (!is_place(at)) return words_.fail();
        words_.set(word_of(at), with(at, mark));
    }
    /// Not undone: what the mark says is to be found again, or nobody asks.
    void set_for_good(HeapOffset at, Mark mark) {
        if (!is_place(at)) return words_.fail();
        words_.set_in_free(word_of(at), with(at, mark));
    }

    /// The first block that begins behind `at` and before `end`; `end` if there is none.
    [[nodiscard]] HeapOffset next(HeapOffset at, HeapOffset end) {
        return first_from(at + plan_.shape.granule_bytes, end);
    }
    [[nodiscard]] HeapOffset first_from(HeapOffset at, HeapOffset end) {
        while (is_place(at) && at < end) {
            const std::uint64_t rest = words_.get(word_of(at)) >> shift_of(at);
            const auto marked = static_cast<std::uint64_t>(std::countr_zero(rest)) / 2;
            const std::uint64_t left = StackPlan::granules_per_word - shift_of(at) / 2;
            at += (rest != 0 ? marked : left) * plan_.shape.granule_bytes;
            if (rest != 0) break;
        }
        return at < end ? at : end;
    }

private:
    [[nodiscard]] std::uint64_t index_of(HeapOffset at) const {
        return (at - plan_.shape.arena) / plan_.shape.granule_bytes;
    }
    [[nodiscard]] HeapOffset word_of(HeapOffset at) const {
        return plan_.marks + index_of(at) / StackPlan::granules_per_word * 8;
    }
    [[nodiscard]] std::uint64_t shift_of(HeapOffset at) const {
        return index_of(at) % StackPlan::granules_per_word * 2;
    }
    [[nodiscard]] std::uint64_t with(HeapOffset at, Mark mark) {
        const std::uint64_t others = words_.get(word_of(at)) & ~(std::uint64_t{3} << shift_of(at));
        return others | static_cast<std::uint64_t>(mark) << shift_of(at);
    }

    Words& words_;
    const StackPlan& plan_;
};

}  // namespace shmpool
