// SPDX-License-Identifier: Apache-2.0
/// Reads all of a buddy heap: follows the blocks through each region, then the lists, and compares
/// the two. Bounded, whatever it reads.
#pragma once

#include <cstdint>
#include <string>

#include "shmpool/heap/buddy_layout.hpp"
#include "shmpool/heap/heap_census.hpp"
#include "shmpool/heap/list_census.hpp"

namespace shmpool::buddy {

/// A block as a walk through its region meets it.
struct Met {
    Region region;
    HeapOffset block = 0;
    std::uint32_t order = 0;
};

/// The holder of the heap's lock.
template <typename Words>
class Census {
public:
    Census(Words& words, HeapOffset engine) : words_(words), engine_(engine) {}

    /// Calls look_into(census, met) for each block that is lent: it counts what is live in it.
    template <typename LookInto>
    [[nodiscard]] HeapCensus take(LookInto look_into) {
        for (std::uint32_t i = 0; i < heap_regions_max; ++i) {
            const HeapExtent extent = words_.region(i);
            if (extent.bytes != 0) follow_blocks(Region::of(extent), look_into);
        }
        std::uint64_t bits = 0;
        for (std::uint32_t order = 0; order < orders; ++order) {
            const HeapOffset head = words_.get(head_of(engine_, order));
            if (head != 0) bits |= std::uint64_t{1} << order;
            lists_.follow(census_, head, order);
        }
        census_.expect("orders with free blocks", engine_, bits, words_.get(engine_));
        lists_.find_lost(census_);
        return std::move(census_);
    }

private:
    template <typename LookInto>
    void follow_blocks(const Region& region, LookInto& look_into) {
        Marks marks(words_, region);
        for (HeapOffset at = region.begin; at < region.end;) {
            const std::uint64_t mark = marks.get(at);
            const auto order = static_cast<std::uint32_t>(mark & order_bits);
            const std::uint64_t bytes = bytes_of(order);
            const std::uint64_t kind = mark & ~order_bits;
            if (kind == 0 || at % bytes != 0 || bytes > region.end - at) {
                return census_.find(at, "no block can have the mark " + std::to_string(mark));
            }
            const Met met{region, at, order};
            kind == lent_mark ? look_into(census_, met) : look_at(met, marks, kind == live_mark);
            at += bytes;
        }
        census_.total_bytes += region.end - region.begin;
    }

    void look_at(const Met& met, Marks<Words>& marks, bool is_live) {
        const auto& [region, block, order] = met;
        const std::uint64_t bytes = bytes_of(order);
        for (HeapOffset at = block + smallest_bytes; at < block + bytes; at += smallest_bytes) {
            if (marks.get(at) != 0) census_.find(at, "a mark inside of a block");
        }
        if (is_live) {
            census_.used_bytes += bytes;
            census_.blocks += 1;
            return;
        }
        lists_.add(block, order);
        const HeapOffset half = block ^ bytes;
        const bool is_below = region.may_hold(half) && half < block && order + 1 < orders;
        if (is_below && marks.get(half) == (free_mark | order)) {
            census_.find(block, "free, and so is its other half");
        }
    }

    Words& words_;
    HeapOffset engine_;
    HeapCensus census_;
    ListCensus<Words> lists_{words_};
};

}  // namespace shmpool::buddy
