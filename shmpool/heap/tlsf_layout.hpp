// SPDX-License-Identifier: Apache-2.0
/// What the two-level segregated fit keeps in a heap's memory, and the arithmetic of it.
#pragma once

#include <bit>
#include <cstdint>

#include "shmpool/heap/heap_words.hpp"
#include "shmpool/platform/alignment.hpp"

namespace shmpool {

//  Words of the engine, behind engine_offset:
//     offset  bytes  what
//          0      8  a bit for each first level that has blocks
//          8    224  for each first level: a bit for each of its lists that has blocks
//        232   7168  heads of the lists, 32 for each first level; 0: none
//
//  Block: 16 bytes, then the payload.
//     offset  bytes  what
//          0      8  size of the whole block, a multiple of 32 | 1 if live; sentinel: only 1
//          8      8  the block before it in its region; 0: it is the first
//         16      8  free: the next one in its list
//         24      8  free: the one before it in its list; 0: it is the head
//
//  Region: the blocks, the sentinel, and at the end a bit for each 32 bytes of the blocks (set: a
//  live one begins there). Where they lie follows from where the region begins and ends.
namespace tlsf {

inline constexpr std::uint64_t granule_bytes = 32;
inline constexpr std::uint64_t header_bytes = 16;
inline constexpr std::uint64_t live = 1;
inline constexpr std::uint32_t first_levels = 28;
inline constexpr std::uint32_t second_levels = 32;
inline constexpr std::uint64_t heads_offset = 8 + 8 * first_levels;
inline constexpr std::uint64_t block_bytes_max = (granule_bytes << first_levels) - granule_bytes;
inline constexpr std::uint64_t region_bytes_max = granule_bytes << first_levels;

/// A list: the blocks whose sizes share the five bits below the leading one.
struct Cell {
    std::uint32_t first;
    std::uint32_t second;

    friend constexpr bool operator==(const Cell&, const Cell&) = default;
};

/// Where a block of `size`, a multiple of 32, belongs.
[[nodiscard]] constexpr Cell cell_of(std::uint64_t size) {
    const auto shift = static_cast<std::uint32_t>(std::bit_width(size)) - 6;
    return {shift, static_cast<std::uint32_t>(size >> shift) & (second_levels - 1)};
}

/// The first list all of whose blocks have `size` at least; its first level may not exist.
[[nodiscard]] constexpr Cell cell_for(std::uint64_t size) {
    return cell_of(align_up(size, std::uint64_t{1} << (std::bit_width(size) - 6)));
}

[[nodiscard]] constexpr HeapOffset lists_of(HeapOffset engine, std::uint32_t first) {
    return engine + 8 + 8 * first;
}
[[nodiscard]] constexpr HeapOffset head_of(HeapOffset engine, Cell cell) {
    return engine + heads_offset + 8 * (std::uint64_t{cell.first} * second_levels + cell.second);
}

/// Where things lie in a region.
struct Region {
    HeapOffset bits = 0;   ///< As many words as `word_count` says.
    HeapOffset begin = 0;  ///< Of the first block.
    HeapOffset end = 0;    ///< Of the sentinel.

    /// Nothing fits: begin == end.
    [[nodiscard]] static constexpr Region of(const HeapExtent& extent) {
        const HeapOffset limit = extent.offset + align_down(extent.bytes, std::uint64_t{8});
        const HeapOffset bits = limit - 8 * word_count(extent.bytes);
        const HeapOffset begin = align_up(extent.offset, granule_bytes) + header_bytes;
        if (begin + header_bytes > bits) return {bits, begin, begin};
        const std::uint64_t room = bits - begin - header_bytes;
        return {bits, begin, begin + room / granule_bytes * granule_bytes};
    }
    /// Of the bits of a region of that size; it has room for them, whatever it is.
    [[nodiscard]] static constexpr std::uint64_t word_count(std::uint64_t bytes) {
        return (bytes / 8 + 255) / 256;
    }
    [[nodiscard]] constexpr bool may_hold(HeapOffset block) const {
        return block >= begin && block < end && (block - begin) % granule_bytes == 0;
    }
    [[nodiscard]] constexpr HeapOffset bits_of(HeapOffset block) const {
        return bits + (block - begin) / granule_bytes / 64 * 8;
    }
    [[nodiscard]] constexpr std::uint64_t bit_of(HeapOffset block) const {
        return std::uint64_t{1} << ((block - begin) / granule_bytes % 64);
    }
};

}  // namespace tlsf

}  // namespace shmpool
