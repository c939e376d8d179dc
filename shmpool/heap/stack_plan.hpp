// SPDX-License-Identifier: Apache-2.0
/// Where things lie in the memory of a heap of the stack family. As every plan of a heap, it
/// follows from the kind, the settings and the size alone.
#pragma once

#include <algorithm>
#include <cstdint>

#include "shmpool/heap/heap_plan.hpp"

namespace shmpool {

//  | HeapHeader | journal | words of the engine | marks | stack [0, capacity)
//
//  Words of the engine:
//     offset  bytes  field            what
//          0      8  len              how much of the stack is in use
//          8      8  unfinished       Unfinished: what was decided and is still to be done
//         16      8  unfinished_at    where
//         24      8  unfinished_bytes  of `preparing`
//
//  Marks: two bits for each granule of the arena, which is the part of the stack that blocks lie
//  in. Only the granule that a block begins with has a mark; see `Mark`.
namespace stack_words {

inline constexpr HeapOffset len = 0;
inline constexpr HeapOffset unfinished = 8;
inline constexpr HeapOffset unfinished_at = 16;
inline constexpr HeapOffset unfinished_bytes = 24;
inline constexpr std::uint64_t bytes = 32;

}  // namespace stack_words

/// What a kind of stack wants from its memory.
struct StackShape {
    HeapKind kind = HeapKind::none;
    std::uint64_t journal_limit = 0;
    std::uint64_t arena = 0;  ///< Where the first block can begin, in the stack.
    std::uint64_t granule_bytes =
        0;  ///< Blocks begin at the arena + a multiple of it. 0: no marks.
    std::uint64_t begin_modulo_32 = 0;  ///< Of the stack, so that its blocks are aligned.
    std::uint64_t block_bytes = 0;      ///< HeapOptions, where it matters.
};

struct StackPlan {
    static constexpr std::uint64_t granules_per_word = 32;

    StackShape shape;
    HeapPlan heap;
    HeapOffset marks = 0;
    HeapOffset begin = 0;  ///< Of the stack.
    std::uint64_t capacity = 0;

    [[nodiscard]] static constexpr StackPlan of(const StackShape& shape,
                                                std::uint64_t memory_bytes) {
        StackPlan plan{shape, {shape.kind, shape.journal_limit, 0, {shape.block_bytes, 0}}};
        plan.marks = plan.heap.engine_offset() + stack_words::bytes;
        const std::uint64_t words =
            shape.granule_bytes == 0 ? 0
                                     : memory_bytes / shape.granule_bytes / granules_per_word + 1;
        plan.begin = (plan.marks + 8 * words + 63) / 64 * 64 + shape.begin_modulo_32;
        plan.heap.engine_bytes = plan.begin - plan.heap.engine_offset();
        plan.capacity = memory_bytes - std::min(memory_bytes, plan.begin);
        return plan;
    }
    [[nodiscard]] constexpr HeapOffset word(HeapOffset field) const {
        return heap.engine_offset() + field;
    }
};

}  // namespace shmpool
