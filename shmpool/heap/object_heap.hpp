// SPDX-License-Identifier: Apache-2.0
/// A heap of objects of one size as one process has it (kind slab_cache), handed out in a bounded
/// time, whatever is live, as offsets from the heap's origin (heap_origin.hpp), the same in every
/// process. Objects of a C++ type: slab_cache.hpp.
///
/// Processes and threads: as of a heap of bytes (byte_heap.hpp), and deaths as well.
///
/// Errors: no_memory; not_allocated (no live object begins there: freed already, inside of one,
/// foreign); unsupported (the heap is not owned); invalid_argument, memory_overlap,
/// region_too_small of memory that is added; would_block; heap_damaged. After an error everything
/// is as it was.
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

namespace shmpool {

struct ObjectStatistics {
    std::uint64_t total_objects = 0;  ///< What can be handed out.
    std::uint64_t used_objects = 0;   ///< What is.
    std::uint64_t slabs = 0;          ///< How many have been cut; they are never given back.
};

/// Does not own the memory.
class ObjectHeap {
public:
    virtual ~ObjectHeap() = default;

    [[nodiscard]] virtual std::uint64_t object_bytes() const = 0;
    /// Of every object: the largest power of two that divides its bytes, up to 4096.
    [[nodiscard]] virtual std::uint64_t object_alignment() const = 0;
    /// Of every slab; the slab of an object begins at the multiple of it below the object.
    [[nodiscard]] virtual std::uint64_t slab_bytes() const = 0;

    /// Uninitialised. The latest that was freed in its slab.
    [[nodiscard]] virtual Outcome<HeapOffset> allocate(HeapUser user) = 0;
    virtual Outcome<void> free(HeapHolder holder, HeapOffset object) = 0;
    /// Whether a live object begins there.
    [[nodiscard]] virtual Outcome<bool> is_live(HeapHolder holder, HeapOffset object) = 0;

    /// As of a heap of bytes (byte_heap.hpp); cells lie in objects, or are the root.
    [[nodiscard]] virtual Outcome<HeapOffset> allocate_into(HeapHolder holder,
                                                            const HeapCell& cell) = 0;
    virtual Outcome<void> keep_in(HeapHolder holder, HeapOffset object, const HeapCell& cell) = 0;
    virtual Outcome<void> free_from(HeapHolder holder, const HeapCell& cell) = 0;

    virtual Outcome<void> set_owner(HeapHolder holder, HeapOffset object, HeapOwner owner) = 0;
    /// Frees every object whose owner is gone: how many. After an error, begin again. Of a heap
    /// that is not owned none.
    virtual Outcome<std::uint64_t> reclaim(HeapHolder holder, const IsGone& is_gone) = 0;

    /// One more part of the heap's memory, anywhere in it; the slabs that lie in it whole.
    virtual Outcome<void> add_memory(HeapHolder holder, const HeapExtent& extent) = 0;

    [[nodiscard]] virtual Outcome<ObjectStatistics> statistics(HeapHolder holder) = 0;
    /// Reads everything. Empty: all is right.
    [[nodiscard]] virtual Outcome<std::vector<HeapFinding>> audit(HeapHolder holder) = 0;

    /// The kernel says that who was this holder is dead. Call it before the number is another's.
    virtual void holder_died(HeapHolder holder) = 0;
};

/// Of kind slab_cache. `memory` is what format_heap had, at any address of that alignment, and
/// outlives the heap. wrong_magic, wrong_layout_version, damaged_header, misaligned_base,
/// config_mismatch (a heap of another kind), unsupported.
[[nodiscard]] Result<std::unique_ptr<ObjectHeap>> open_object_heap(
    std::span<std::byte> memory, std::chrono::nanoseconds patience = heap_patience,
    HeapOrigin origin = {});

}  // namespace shmpool
