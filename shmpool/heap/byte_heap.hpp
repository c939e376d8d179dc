// SPDX-License-Identifier: Apache-2.0
/// A heap of bytes as one process has it, whatever its engine. Everything that is handed out is an
/// offset from the heap's origin (heap_origin.hpp), the same in every process.
///
/// Processes and threads: any may call anything at any time; each says who it is (`HeapHolder`, one
/// for each thread). One change at a time: who comes waits, no longer than `patience`, for whoever
/// is in it; a holder that has died is passed over as soon as its death is known (heap_lock.hpp),
/// and what it left half done is undone by the next one.
///
/// Errors: invalid_argument (an alignment that is no power of two or larger than the mapping's),
/// no_memory, not_allocated (nothing live begins there: freed already, foreign, or inside of a
/// block), cell_in_use, memory_overlap, region_too_small, unsupported, would_block, heap_damaged.
/// After an error everything is as it was.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "shmpool/heap/heap_cell.hpp"
#include "shmpool/heap/heap_census.hpp"
#include "shmpool/heap/heap_format.hpp"
#include "shmpool/heap/heap_origin.hpp"
#include "shmpool/heap/heap_owner.hpp"
#include "shmpool/heap/heap_words.hpp"

namespace shmpool {

struct HeapStatistics {
    std::uint64_t total_bytes = 0;  ///< What can be handed out, overhead of blocks included.
    std::uint64_t used_bytes = 0;   ///< What is, overhead included.
    std::uint64_t blocks = 0;       ///< How many are.
};

/// Does not own the memory.
class ByteHeap {
public:
    virtual ~ByteHeap() = default;

    /// `bytes` or more, uninitialised. 0 bytes are a block too.
    [[nodiscard]] virtual Outcome<HeapOffset> allocate(HeapUser user, std::uint64_t bytes,
                                                       std::uint64_t alignment) = 0;
    virtual Outcome<void> free(HeapHolder holder, HeapOffset block) = 0;
    /// How many bytes of a live block may be used.
    [[nodiscard]] virtual Outcome<std::uint64_t> usable_bytes(HeapHolder holder,
                                                              HeapOffset block) = 0;
    /// A block that lies in the cell from the beginning. cell_in_use, and as `keep_in`.
    [[nodiscard]] virtual Outcome<HeapOffset> allocate_into(HeapHolder holder, std::uint64_t bytes,
                                                            std::uint64_t alignment,
                                                            const HeapCell& cell) = 0;
    /// From now on the block is in the cell, and nobody's: what was written into it before is seen
    /// by who finds it there. cell_in_use, invalid_argument (no such cell in a block).
    virtual Outcome<void> keep_in(HeapHolder holder, HeapOffset block, const HeapCell& cell) = 0;
    /// Empties the cell, and frees what was in it. not_allocated: it is empty.
    virtual Outcome<void> free_from(HeapHolder holder, const HeapCell& cell) = 0;

    /// unsupported: the heap is not owned, so all is nobody's; to make it that changes nothing.
    virtual Outcome<void> set_owner(HeapHolder holder, HeapOffset block, HeapOwner owner) = 0;
    /// Frees every block whose owner is gone: how many. After an error, begin again. Of a heap that
    /// is not owned none.
    virtual Outcome<std::uint64_t> reclaim(HeapHolder holder, const IsGone& is_gone) = 0;
    /// One more part of the heap's memory, anywhere in it. Behind a region it is a part of that.
    virtual Outcome<void> add_memory(HeapHolder holder, const HeapExtent& extent) = 0;

    [[nodiscard]] virtual Outcome<HeapStatistics> statistics(HeapHolder holder) = 0;
    /// Reads everything. Empty: all is right.
    [[nodiscard]] virtual Outcome<std::vector<HeapFinding>> audit(HeapHolder holder) = 0;

    /// The kernel says that who was this holder is dead. Call it before the number is another's.
    virtual void holder_died(HeapHolder holder) = 0;
};

/// Of any kind that hands out bytes. `memory` is what format_heap had, at any address of that
/// alignment, and outlives the heap. `origin`: the same for all who open it. wrong_magic,
/// wrong_layout_version, damaged_header, misaligned_base, config_mismatch (a heap of another kind),
/// unsupported.
[[nodiscard]] Result<std::unique_ptr<ByteHeap>> open_byte_heap(
    std::span<std::byte> memory, std::chrono::nanoseconds patience = heap_patience,
    HeapOrigin origin = {});

}  // namespace shmpool
