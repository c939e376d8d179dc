// SPDX-License-Identifier: Apache-2.0
/// A heap of ids as one process has it: numbers, or runs of them, handed out lowest first. Nothing
/// lies behind them; the heap's memory holds only who is free.
///
/// A fixed id is one that its user has chosen. It is never handed out, and never freed: what is
/// fixed stays fixed as long as the heap lives, and a free of a range that has one in it is
/// `unsupported` and changes nothing.
///
/// Processes and threads: as of a heap of bytes (byte_heap.hpp), and deaths as well.
///
/// Errors, in the order in which they are looked for: invalid_argument (no ids; an alignment that
/// is no power of two); would_block; invalid_argument (an id to be fixed that the heap does not
/// have); no_memory (none, or the one to be fixed is taken); not_allocated (one of the range or
/// more is free, or not the heap's); unsupported. heap_damaged. After an error everything is as it
/// was.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "shmpool/heap/heap_census.hpp"
#include "shmpool/heap/heap_format.hpp"
#include "shmpool/heap/heap_owner.hpp"

namespace shmpool {

struct IdStatistics {
    std::uint64_t size = 0;       ///< How many ids there are.
    std::uint64_t used = 0;       ///< How many are handed out, or fixed.
    std::uint64_t available = 0;  ///< Not necessarily in one run.
};

/// Does not own the memory.
class IdHeap {
public:
    virtual ~IdHeap() = default;

    /// The first of the lowest run of `count` free ids that begins at a multiple of `alignment`.
    [[nodiscard]] virtual Outcome<std::uint64_t> allocate_id(HeapUser user, std::uint64_t count,
                                                             std::uint64_t alignment) = 0;
    virtual Outcome<void> allocate_fixed_id(HeapHolder holder, std::uint64_t id) = 0;
    /// A run, a part of one, or several that lie one behind the other.
    virtual Outcome<void> free_id(HeapHolder holder, std::uint64_t start, std::uint64_t count) = 0;
    /// Or fixed. No id of this heap is not.
    [[nodiscard]] virtual Outcome<bool> is_allocated(HeapHolder holder, std::uint64_t id) = 0;

    /// not_allocated, unsupported (the heap is not owned, so all is nobody's; to make it that
    /// changes nothing). Id by id: who dies in it has changed some of them.
    virtual Outcome<void> set_owner(HeapHolder holder, std::uint64_t start, std::uint64_t count,
                                    HeapOwner owner) = 0;
    /// Frees every id whose owner is gone, but for the fixed: how many. After an error, begin
    /// again. Of a heap that is not owned none.
    virtual Outcome<std::uint64_t> reclaim(HeapHolder holder, const IsGone& is_gone) = 0;

    /// So many more, behind the last one. no_memory: more than `id_capacity`.
    virtual Outcome<void> add_ids(HeapHolder holder, std::uint64_t count) = 0;

    [[nodiscard]] virtual Outcome<IdStatistics> statistics(HeapHolder holder) = 0;
    /// Reads everything. Empty: all is right.
    [[nodiscard]] virtual Outcome<std::vector<HeapFinding>> audit(HeapHolder holder) = 0;

    /// The kernel says that who was this holder is dead. Call it before the number is another's.
    virtual void holder_died(HeapHolder holder) = 0;
};

/// Of kind ids. `memory` is what format_heap had, at any address of that alignment, and outlives
/// the heap. wrong_magic, wrong_layout_version, damaged_header, misaligned_base, config_mismatch (a
/// heap of another kind), unsupported.
[[nodiscard]] Result<std::unique_ptr<IdHeap>> open_id_heap(
    std::span<std::byte> memory, std::chrono::nanoseconds patience = heap_patience);

}  // namespace shmpool
