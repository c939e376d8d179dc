// SPDX-License-Identifier: Apache-2.0
/// Where things lie in a heap of kind page_chain. As every plan of a heap, it follows from the
/// kind, the settings and the size alone.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>

#include "shmpool/heap/heap_plan.hpp"
#include "shmpool/platform/alignment.hpp"
#include "shmpool/heap/page_checksum.hpp"

namespace shmpool {

//  | HeapHeader | journal | words | states | owners, pins (if owned) | page 2 | page 3 ...
//
//  Words, each of 8 bytes:
//     offset  field        what
//          0  total_pages  the highest id that was ever handed out, and 1; 0 in the beginning
//          8  free_head    the first page of the chain of free ones; 0: there is none
//         16  free_count   how many there are
//         24  pin_head     the first free place of the table of pins; 0: none
//         32  pin_places   how many places of it were ever used
//
//  States: one word for each page that there can be; the truth about it (page_pins.hpp).
//  Owners: one word each (owner_table.hpp). Pins: PinPlace, 32 bytes each, as many as pages.
namespace chain_words {

inline constexpr HeapOffset total_pages = 0;
inline constexpr HeapOffset free_head = 8;
inline constexpr HeapOffset free_count = 16;
inline constexpr HeapOffset pin_head = 24;
inline constexpr HeapOffset pin_places = 32;
inline constexpr std::uint64_t bytes = 40;

}  // namespace chain_words

inline constexpr PageId first_page_id = 2;  ///< 0 and 1 are reserved, and take no memory.
inline constexpr std::uint64_t pin_place_bytes = 32;

struct PageChainPlan {
    /// To unpin the page of somebody who is gone frees a place and the page: eleven words.
    static constexpr std::uint64_t journal_limit = 16;

    std::uint64_t bytes_per_page = 0;
    std::uint64_t capacity = 0;  ///< How many pages can be handed out.
    HeapOffset states = 0;
    HeapOffset owners = 0;
    HeapOffset pins = 0;
    std::uint64_t places = 0;  ///< Of the tables of owners and pins; 0: the heap is not owned.
    HeapOffset begin = 0;      ///< Of page 2.
    HeapPlan heap;

    /// invalid_argument.
    [[nodiscard]] static Result<PageChainPlan> of(std::uint64_t memory_bytes,
                                                  std::uint64_t bytes_per_page,
                                                  std::uint64_t map_alignment, bool owned) {
        if (auto good = check_page_bytes(bytes_per_page, page_bytes, map_alignment); !good) {
            return tl::unexpected(good.error());
        }
        const std::uint64_t pages = memory_bytes / bytes_per_page;  // No more than that.
        PageChainPlan plan;
        plan.bytes_per_page = bytes_per_page;
        plan.heap = {HeapKind::page_chain, journal_limit, 0, {bytes_per_page, 0}};
        plan.places = owned ? pages : 0;
        plan.states = plan.heap.engine_offset() + chain_words::bytes;
        plan.owners = plan.states + 8 * pages;
        plan.pins = plan.owners + 8 * plan.places;
        const HeapOffset end = plan.pins + pin_place_bytes * plan.places;
        plan.begin = align_up(end, bytes_per_page);
        plan.heap.engine_bytes = plan.begin - plan.heap.engine_offset();
        plan.capacity = (memory_bytes - std::min(memory_bytes, plan.begin)) / bytes_per_page;
        return plan;
    }

    [[nodiscard]] constexpr HeapOffset word(HeapOffset field) const {
        return heap.engine_offset() + field;
    }
    /// It is one that can be handed out, now or later.
    [[nodiscard]] constexpr bool may_be_page(PageId id) const {
        return id >= first_page_id && id - first_page_id < capacity;
    }
    /// Its place in the tables; it may be a page.
    [[nodiscard]] static constexpr std::uint64_t number_of(PageId id) { return id - first_page_id; }
    /// Where it lies; it may be a page.
    [[nodiscard]] constexpr HeapOffset offset_of(PageId id) const {
        return begin + number_of(id) * bytes_per_page;
    }
};

}  // namespace shmpool
