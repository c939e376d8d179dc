// SPDX-License-Identifier: Apache-2.0
/// What can be done with a heap whatever it hands out: a glance, which takes no lock and writes
/// nothing; an audit, which reads everything under the lock; to take back what is left of those
/// who are gone; and to add memory.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "shmpool/heap/heap_census.hpp"
#include "shmpool/heap/heap_format.hpp"
#include "shmpool/heap/heap_owner.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool {

/// What the header says. Somebody may be in the middle of a change.
struct HeapGlance {
    HeapKind kind = HeapKind::none;
    std::uint64_t total = 0;   ///< What can be handed out: bytes; of ids how many.
    std::uint64_t used = 0;    ///< What is handed out.
    std::uint64_t blocks = 0;  ///< How many blocks; 0 of pages and ids.
    std::uint32_t regions = 0;
    HeapHolder holder = 0;  ///< Who is in it; 0: nobody.
    bool damaged = false;
};

/// Threads and processes; the memory may be mapped read-only. As kind_of_heap.
[[nodiscard]] Result<HeapGlance> glance_at_heap(std::span<const std::byte> memory);

/// Empty: all is right. As opening it, and would_block.
[[nodiscard]] Result<std::vector<HeapFinding>> audit_heap(
    std::span<std::byte> memory, HeapHolder holder,
    std::chrono::nanoseconds patience = heap_patience);

/// Frees whatever in an owned heap belongs to somebody who is gone: how much. As opening it, and
/// would_block.
[[nodiscard]] Result<std::uint64_t> reclaim_in_heap(
    std::span<std::byte> memory, HeapHolder holder, const IsGone& is_gone,
    std::chrono::nanoseconds patience = heap_patience);

/// Undoes, or finishes, what a dead holder has left in it, as each change does first of all. As
/// opening it, and would_block.
[[nodiscard]] Result<void> settle_heap(std::span<std::byte> memory, HeapHolder holder,
                                       std::chrono::nanoseconds patience = heap_patience);

/// Where the last of its regions ends; 0: no heap lies there. Of one that is not settled it may be
/// a region that never was.
[[nodiscard]] HeapOffset end_of_regions(std::span<const std::byte> memory);
/// Adds what lies between that and `to_bytes`, which the caller has seen to that there is memory
/// behind. One caller at a time. As opening it, unsupported (of a kind that can not grow),
/// region_too_small, no_memory (the table of regions is full), would_block.
[[nodiscard]] Result<void> grow_heap(std::span<std::byte> memory, HeapHolder holder,
                                     std::uint64_t to_bytes,
                                     std::chrono::nanoseconds patience = heap_patience);

/// See HeapLock::orphan. Nothing happens if no heap lies there.
bool orphan_lock_of_heap(std::span<std::byte> memory, HeapHolder holder);

}  // namespace shmpool
