// SPDX-License-Identifier: Apache-2.0
/// Walks over the blocks of a buffer of Boost.Interprocess, and counts. It runs none of the
/// library's code: that believes what it finds. It knows how the blocks lie, which has been so in
/// all releases of Boost since 1.48, and which a test compares with what the library says.
///
///   | header of the library | block | block | ... | end |
///
/// A block begins with two words, lengths in units of 16 bytes:
///   word 0               length of the block before; valid if that is free
///   word 1, bits 0..61   length of this one; of the end: the way back to the first
///           bit 62       the block before is handed out
///           bit 63       this one is
/// What is not looked at is the tree of free blocks: an index of what is found here.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

#include "shmpool/heap/best_fit.hpp"
#include "shmpool/heap/heap_census.hpp"

namespace shmpool {

/// Words: the heap's, of which the buffer has `buffer`.
template <typename Words>
class BestFitCensus {
public:
    BestFitCensus(Words& words, const HeapExtent& buffer, HeapCensus& census)
        : words_(words), buffer_(buffer), census_(census) {}

    /// `free_bytes`: as the library says, to which the end is free too. Reads each block once,
    /// whatever is in it.
    void take(std::uint64_t free_bytes) {
        const HeapOffset first = buffer_.offset + first_block_offset();
        const std::uint64_t end = (buffer_.bytes - first_block_offset()) / unit_bytes - 1;
        Block before{0, true, true};
        for (std::uint64_t unit = 0; unit <= end;) {
            const HeapOffset at = first + unit * unit_bytes;
            const Block block = block_at(at);
            if (unit != 0) look_at_pair(at, before, block);
            if (unit == end) return look_at_end(at, block, end, free_bytes);
            if (block.units == 0 || block.units > end - unit) {
                return census_.find(at, "a block of a length that can not be");
            }
            if (block.is_used) used_bytes_ += block.units * unit_bytes;
            unit += block.units;
            before = block;
        }
    }

    /// From the beginning of every buffer.
    [[nodiscard]] static std::uint64_t first_block_offset() {
        static const std::uint64_t offset = [] {
            alignas(64) std::byte buffer[4096];
            const BestFit fresh(boost::interprocess::create_only, buffer, sizeof buffer);
            return fresh.get_size() - fresh.get_free_memory();
        }();
        return offset;
    }

private:
    static constexpr std::uint64_t unit_bytes = BestFit::memory_algorithm::Alignment;
    static constexpr std::uint64_t previous_is_used = std::uint64_t{1} << 62;
    static constexpr std::uint64_t is_used = std::uint64_t{1} << 63;

    struct Block {
        std::uint64_t units;
        bool is_used;
        bool previous_is_used;
    };

    [[nodiscard]] Block block_at(HeapOffset at) const {
        const std::uint64_t word = words_.get(at + sizeof(std::uint64_t));
        return {word & (previous_is_used - 1), (word & is_used) != 0,
                (word & previous_is_used) != 0};
    }
    void look_at_pair(HeapOffset at, const Block& before, const Block& block) {
        if (block.previous_is_used != before.is_used) {
            census_.find(at, "a block says of the one before it what that does not say of itself");
        }
        if (!before.is_used && words_.get(at) != before.units) {
            census_.find(at, "a block gives the free one before it another length than it has");
        }
        if (!before.is_used && !block.is_used) census_.find(at, "two free blocks that are not one");
    }
    /// It says how far the first block is.
    void look_at_end(HeapOffset at, const Block& block, std::uint64_t units_before,
                     std::uint64_t free_bytes) {
        if (!block.is_used || block.units != units_before) {
            census_.find(at, "the end says where it is, and is not there");
        }
        const std::uint64_t counted = buffer_.bytes - first_block_offset() - used_bytes_;
        if (free_bytes == counted) return;
        census_.find(buffer_.offset, "the library says that " + std::to_string(free_bytes) +
                                         " bytes are free, counted " + std::to_string(counted));
    }

    Words& words_;
    HeapExtent buffer_;
    HeapCensus& census_;
    std::uint64_t used_bytes_ = 0;
};

}  // namespace shmpool
