// SPDX-License-Identifier: Apache-2.0
/// Reads all of a buddy heap: follows the blocks through each region, then the lists, and compares
/// the two. Bounded, whatever it reads.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "shmpool/heap/buddy_layout.hpp"
#include "shmpool/heap/heap_census.hpp"

namespace shmpool::buddy {

/// The holder of the heap's lock.
template <typename Words>
class Census {
public:
    Census(Words& words, HeapOffset engine) : words_(words), engine_(engine) {}

    [[nodiscard]] HeapCensus take() {
        for (std::uint32_t i = 0; i < heap_regions_max; ++i) {
            const HeapExtent extent = words_.region(i);
            if (extent.bytes != 0) follow_blocks(Region::of(extent));
        }
        std::uint64_t bits = 0;
        for (std::uint32_t order = 0; order < orders; ++order) {
            const HeapOffset head = words_.get(head_of(engine_, order));
            if (head != 0) bits |= std::uint64_t{1} << order;
            follow_list(order, head);
        }
        census_.expect("orders with free blocks", engine_, bits, words_.get(engine_));
        for (const auto& [block, order] : free_) census_.find(block, "free and in no list");
        return std::move(census_);
    }

private:
    void follow_blocks(const Region& region) {
        Marks marks(words_, region);
        for (HeapOffset at = region.begin; at < region.end;) {
            const std::uint64_t mark = marks.get(at);
            const auto order = static_cast<std::uint32_t>(mark & order_bits);
            const std::uint64_t bytes = bytes_of(order);
            const std::uint64_t kind = mark & ~order_bits;
            if ((kind != free_mark && kind != live_mark) || at % bytes != 0 ||
                bytes > region.end - at) {
                return census_.find(at, "no block can have the mark " + std::to_string(mark));
            }
            look_at(region, marks, at, order, kind == live_mark);
            at += bytes;
        }
        census_.total_bytes += region.end - region.begin;
    }

    void look_at(const Region& region, Marks<Words>& marks, HeapOffset block, std::uint32_t order,
                 bool is_live) {
        const std::uint64_t bytes = bytes_of(order);
        for (HeapOffset at = block + smallest_bytes; at < block + bytes; at += smallest_bytes) {
            if (marks.get(at) != 0) census_.find(at, "a mark inside of a block");
        }
        if (is_live) {
            census_.used_bytes += bytes;
            census_.blocks += 1;
            return;
        }
        free_.emplace(block, order);
        const HeapOffset half = block ^ bytes;
        const bool is_below = region.may_hold(half) && half < block && order + 1 < orders;
        if (is_below && marks.get(half) == (free_mark | order)) {
            census_.find(block, "free, and so is its other half");
        }
    }

    /// Each free block is taken off when it is met, so no list is endless.
    void follow_list(std::uint32_t order, HeapOffset block) {
        for (HeapOffset before = 0; block != 0; before = block, block = words_.get(block)) {
            const auto found = free_.find(block);
            if (found == free_.end()) return census_.find(block, "in a list, and not free");
            census_.expect("its list", block, found->second, order);
            census_.expect("the one before in the list", block, before, words_.get(block + 8));
            free_.erase(found);
        }
    }

    Words& words_;
    HeapOffset engine_;
    HeapCensus census_;
    std::unordered_map<HeapOffset, std::uint32_t> free_;
};

}  // namespace shmpool::buddy
