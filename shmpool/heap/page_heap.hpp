// SPDX-License-Identifier: Apache-2.0
/// A heap of pages as one process has it: runs of pages of one size, handed out lowest first, as
/// offsets from the heap's origin (heap_origin.hpp), the same in every process. What is aligned are
/// the offsets; the mapping's alignment (`HeapOptions::map_alignment`) makes that true of the
/// addresses too, so no alignment may be larger.
///
/// Processes and threads: as of a heap of bytes (byte_heap.hpp), and deaths as well.
///
/// Errors, in the order in which they are looked for: invalid_argument (no pages; an alignment that
/// is no power of two, smaller than a page, or larger than the mapping's; an offset that is not
/// aligned to it); would_block; no_memory; not_allocated (one page of the range or more is free, or
/// never was the heap's). heap_damaged. After an error everything is as it was.
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

struct PageStatistics {
    std::uint64_t total_pages = 0;
    std::uint64_t used_pages = 0;
    std::uint64_t available_pages = 0;  ///< Not necessarily in one run.
};

/// Does not own the memory.
class PageHeap {
public:
    virtual ~PageHeap() = default;

    [[nodiscard]] virtual std::uint64_t bytes_per_page() const = 0;

    /// The lowest run of `count` free pages that begins at a multiple of `alignment_bytes`. One
    /// page at the alignment of a page is found in bounded time, whatever is live; a longer run, or
    /// a larger alignment, takes a search.
    [[nodiscard]] virtual Outcome<HeapOffset> allocate_pages(HeapUser user, std::uint64_t count,
                                                             std::uint64_t alignment_bytes) = 0;
    /// These pages and no others; no_memory if not all of them are free pages of the heap.
    [[nodiscard]] virtual Outcome<HeapOffset> allocate_pages_at(HeapUser user, HeapOffset base,
                                                                std::uint64_t count,
                                                                std::uint64_t alignment_bytes) = 0;
    /// A run, a part of one, or several that lie one behind the other.
    virtual Outcome<void> free_pages(HeapHolder holder, HeapOffset offset, std::uint64_t count) = 0;

    /// As of a heap of bytes (byte_heap.hpp); cells lie in pages, or are the root.
    [[nodiscard]] virtual Outcome<HeapOffset> allocate_pages_into(HeapHolder holder,
                                                                  std::uint64_t count,
                                                                  std::uint64_t alignment_bytes,
                                                                  const HeapCell& cell) = 0;
    virtual Outcome<void> keep_pages_in(HeapHolder holder, HeapOffset offset, std::uint64_t count,
                                        const HeapCell& cell) = 0;
    virtual Outcome<void> free_pages_from(HeapHolder holder, std::uint64_t count,
                                          const HeapCell& cell) = 0;

    /// not_allocated, unsupported (the heap is not owned, so all is nobody's; to make it that
    /// changes nothing). Page by page: who dies in it has changed some of them.
    virtual Outcome<void> set_owner(HeapHolder holder, HeapOffset offset, std::uint64_t count,
                                    HeapOwner owner) = 0;
    /// Frees every page whose owner is gone: how many. After an error, begin again. Of a heap that
    /// is not owned none.
    virtual Outcome<std::uint64_t> reclaim(HeapHolder holder, const IsGone& is_gone) = 0;

    /// One more part of the heap's memory, anywhere in it; the pages that lie in it whole. A run
    /// may cross from one part to another where there is nothing between them. invalid_argument,
    /// region_too_small (no page in it), memory_overlap, no_memory (too many parts).
    virtual Outcome<void> add_memory(HeapHolder holder, const HeapExtent& extent) = 0;

    [[nodiscard]] virtual Outcome<PageStatistics> statistics(HeapHolder holder) = 0;
    /// Reads everything. Empty: all is right.
    [[nodiscard]] virtual Outcome<std::vector<HeapFinding>> audit(HeapHolder holder) = 0;

    /// The kernel says that who was this holder is dead. Call it before the number is another's.
    virtual void holder_died(HeapHolder holder) = 0;
};

/// Of kind bitmap_pages. `memory` is what format_heap had, at any address of that alignment, and
/// outlives the heap. wrong_magic, wrong_layout_version, damaged_header, misaligned_base,
/// config_mismatch (a heap of another kind), unsupported.
[[nodiscard]] Result<std::unique_ptr<PageHeap>> open_page_heap(
    std::span<std::byte> memory, std::chrono::nanoseconds patience = heap_patience,
    HeapOrigin origin = {});

}  // namespace shmpool
