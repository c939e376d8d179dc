// SPDX-License-Identifier: Apache-2.0
/// Reads all of a two-level segregated fit: follows the blocks through each region, then the lists,
/// and compares the two. Bounded, whatever it reads.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "shmpool/heap/heap_census.hpp"
#include "shmpool/heap/heap_words.hpp"
#include "shmpool/heap/tlsf_layout.hpp"

namespace shmpool::tlsf {

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
        for (std::uint32_t first = 0; first < first_levels; ++first) look_at_level(first);
        for (const auto& [block, size] : free_) census_.find(block, "free and in no list");
        return std::move(census_);
    }

private:
    void follow_blocks(const Region& region) {
        HeapOffset before = 0;
        HeapOffset block = region.begin;
        bool before_is_free = false;
        std::uint64_t live_bits = 0;
        while (block < region.end) {
            const std::uint64_t word = words_.get(block);
            const std::uint64_t size = word & ~live;
            if (size < granule_bytes || size % granule_bytes != 0 || size > region.end - block) {
                return census_.find(block, "a block of " + std::to_string(size) + " bytes");
            }
            const bool is_free = (word & live) == 0;
            const bool has_bit = (words_.get(region.bits_of(block)) & region.bit_of(block)) != 0;
            census_.expect("the block before", block, before, words_.get(block + 8));
            if (is_free == has_bit) census_.find(block, "its bit does not say what it says");
            if (is_free && before_is_free) census_.find(block, "two free ones in a row");
            if (is_free) free_.emplace(block, size);
            census_.used_bytes += is_free ? 0 : size;
            census_.blocks += is_free ? 0 : 1;
            live_bits += is_free ? 0 : 1;
            before_is_free = is_free;
            before = block;
            block += size;
        }
        census_.total_bytes += region.end - region.begin;
        census_.expect("the sentinel", region.end, live, words_.get(region.end));
        census_.expect("the block before", region.end, before, words_.get(region.end + 8));
        census_.expect("bits of live blocks", region.bits, live_bits, count_bits(region));
    }

    /// None where nothing fits: a region as small as that is nonsense, and read all the same.
    [[nodiscard]] std::uint64_t count_bits(const Region& region) {
        std::uint64_t count = 0;
        if (region.begin == region.end) return count;
        for (HeapOffset at = region.bits; at <= region.bits_of(region.end - granule_bytes);
             at += 8) {
            count += static_cast<std::uint64_t>(std::popcount(words_.get(at)));
        }
        return count;
    }

    void look_at_level(std::uint32_t first) {
        std::uint64_t bits = 0;
        for (std::uint32_t second = 0; second < second_levels; ++second) {
            const HeapOffset head = head_of(engine_, {first, second});
            if (words_.get(head) != 0) bits |= std::uint64_t{1} << second;
            follow_list({first, second}, words_.get(head));
        }
        census_.expect("lists of a level", lists_of(engine_, first), bits,
                       words_.get(lists_of(engine_, first)));
        const bool says_any = (words_.get(engine_) >> first & 1) != 0;
        if (says_any != (bits != 0)) census_.find(engine_, "a level says what is not so");
    }

    /// Each free block is taken off when it is met, so no list is endless.
    void follow_list(Cell cell, HeapOffset block) {
        for (HeapOffset before = 0; block != 0; before = block, block = words_.get(block + 16)) {
            const auto found = free_.find(block);
            if (found == free_.end()) return census_.find(block, "in a list, and not free");
            if (cell_of(found->second) != cell) census_.find(block, "in a list of another size");
            census_.expect("the one before in the list", block, before, words_.get(block + 24));
            free_.erase(found);
        }
    }

    Words& words_;
    HeapOffset engine_;
    HeapCensus census_;
    std::unordered_map<HeapOffset, std::uint64_t> free_;
};

}  // namespace shmpool::tlsf
