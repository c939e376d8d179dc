// SPDX-License-Identifier: Apache-2.0
/// A heap of pages that have ids and can be pinned, as one process has it: for caches of pages and
/// data bases. The first id is 2; 0 and 1 are reserved, and take no memory. What was freed last is
/// handed out first; when nothing is free the next id is the one behind the last, until the memory
/// is at its end. A page lies at `offset_of(id)`, aligned to its size.
///
/// A pinned page can not be freed. Pins are counted; in a heap that is owned for each pinner, so
/// nobody takes off another's, and `reclaim` takes off those of who is gone. A page whose owner is
/// gone while others have pinned it is freed when the last of them unpins it.
///
/// Processes, threads, holders, and what a death leaves: as byte_heap.hpp says; chained_pages.hpp
/// has the table of operations. Users keep out of free pages: the chain of them lies there. Whoever
/// does not is found out by a checksum, and costs the next one a walk over all pages.
///
/// Errors, in the order in which they are looked for: invalid_argument (page 0 or 1, or one that
/// never was handed out); would_block; not_allocated (it is free: freed twice); pinned; not_pinned;
/// no_memory (no page; no place for a pin). heap_damaged. After an error everything is as it was.
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
#include "shmpool/heap/page_checksum.hpp"
#include "shmpool/heap/page_pins.hpp"

namespace shmpool {

struct PageChainStatistics {
    std::uint64_t allocated = 0;  ///< With the two that are reserved.
    std::uint64_t free = 0;       ///< In the chain.
    std::uint64_t total = 0;      ///< Both together; 0 before the first page was handed out.

    friend bool operator==(const PageChainStatistics&, const PageChainStatistics&) = default;
};

/// What a page_chain was at one moment: to look at, not to allocate from.
struct PageChainSnapshot {
    PageChainStatistics statistics;
    PageId free_head = 0;
    std::vector<PageState> states;  ///< By id.

    /// invalid_argument: there was no such page.
    [[nodiscard]] Outcome<PageState> state(PageId page) const {
        if (page < states.size()) return states[page];
        return fail(Errc::invalid_argument);
    }
};

/// Does not own the memory.
class PageChain {
public:
    virtual ~PageChain() = default;

    [[nodiscard]] virtual std::uint64_t bytes_per_page() const = 0;
    /// How many pages can be handed out at the same time.
    [[nodiscard]] virtual std::uint64_t capacity() const = 0;
    /// Where the page lies, handed out or not. invalid_argument: the heap can not have it.
    [[nodiscard]] virtual Outcome<HeapOffset> offset_of(PageId page) const = 0;

    /// What is in it is what its last user has left there; but for the first 16 bytes of a page
    /// that was freed.
    [[nodiscard]] virtual Outcome<PageId> allocate(HeapUser user) = 0;
    virtual Outcome<void> free(HeapHolder holder, PageId page) = 0;

    [[nodiscard]] virtual Outcome<PageState> state(HeapHolder holder, PageId page) = 0;
    virtual Outcome<void> pin(HeapUser user, PageId page) = 0;
    virtual Outcome<void> unpin(HeapUser user, PageId page) = 0;

    /// unsupported: the heap is not owned, so all is nobody's; to make it that changes nothing.
    virtual Outcome<void> set_owner(HeapHolder holder, PageId page, HeapOwner owner) = 0;
    /// Takes off the pins of all who are gone, and frees their pages: how many of both. After an
    /// error, begin again. Of a heap that is not owned none.
    virtual Outcome<std::uint64_t> reclaim(HeapHolder holder, const IsGone& is_gone) = 0;

    /// The page that the next one gets; 0: none is free, or the chain leads to none.
    [[nodiscard]] virtual Outcome<PageId> free_list_head(HeapHolder holder) = 0;
    [[nodiscard]] virtual Outcome<PageChainStatistics> statistics(HeapHolder holder) = 0;
    [[nodiscard]] virtual Outcome<PageChainSnapshot> snapshot(HeapHolder holder) = 0;
    /// Reads everything. Empty: all is right.
    [[nodiscard]] virtual Outcome<std::vector<HeapFinding>> audit(HeapHolder holder) = 0;

    /// The kernel says that who was this holder is dead. Call it before the number is another's.
    virtual void holder_died(HeapHolder holder) = 0;
};

/// Of kind page_chain. `memory` is what format_heap had, at any address of that alignment, and
/// outlives the heap. wrong_magic, wrong_layout_version, damaged_header, misaligned_base,
/// config_mismatch (a heap of another kind), unsupported.
[[nodiscard]] Result<std::unique_ptr<PageChain>> open_page_chain(
    std::span<std::byte> memory, std::chrono::nanoseconds patience = heap_patience);

}  // namespace shmpool
