// SPDX-License-Identifier: Apache-2.0
/// What the buddy heap keeps in a heap's memory, and the arithmetic of it.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "shmpool/heap/heap_words.hpp"
#include "shmpool/platform/alignment.hpp"

namespace shmpool {

//  Words of the engine, behind engine_offset:
//     offset  bytes  what
//          0      8  a bit for each order that has free blocks
//          8    256  heads of the lists, one for each order; 0: none
//
//  Region: the blocks, and at the end a byte for each 32 bytes of them. Where they lie follows from
//  where the region begins and ends.
//     byte = 0                no block begins there
//            64 | order       a free one of 32 << order bytes does
//            128 | order      a live one does
//            192 | order      one that is lent does: an engine above this one hands out its parts,
//                             and keeps words of its own where the bytes for its inside lie
//  Free block:
//     offset  bytes  what
//          0      8  the next one in its list
//          8      8  the one before it in its list; 0: it is the head
namespace buddy {

inline constexpr std::uint64_t smallest_bytes = 32;
inline constexpr std::uint32_t orders = 32;
inline constexpr std::uint64_t heads_offset = 8;
inline constexpr std::uint64_t free_mark = 64;
inline constexpr std::uint64_t live_mark = 128;
inline constexpr std::uint64_t lent_mark = 192;
inline constexpr std::uint64_t kind_bits = 192;
inline constexpr std::uint64_t order_bits = 31;

[[nodiscard]] constexpr std::uint64_t bytes_of(std::uint32_t order) {
    return smallest_bytes << order;
}

/// The smallest order whose blocks have `bytes`, 32 if none has.
[[nodiscard]] constexpr std::uint32_t order_for(std::uint64_t bytes) {
    if (bytes > bytes_of(orders - 1)) return orders;
    return static_cast<std::uint32_t>(
        std::bit_width((std::max(bytes, smallest_bytes) - 1) / smallest_bytes));
}

[[nodiscard]] constexpr HeapOffset head_of(HeapOffset engine, std::uint32_t order) {
    return engine + heads_offset + 8 * std::uint64_t{order};
}

/// Where things lie in a region.
struct Region {
    HeapOffset marks = 0;  ///< As many words as `word_count` says.
    HeapOffset begin = 0;  ///< Of the first block.
    HeapOffset end = 0;

    /// Nothing fits: begin == end.
    [[nodiscard]] static constexpr Region of(const HeapExtent& extent) {
        const HeapOffset limit = extent.offset + align_down(extent.bytes, std::uint64_t{8});
        const HeapOffset marks = limit - 8 * word_count(extent.bytes);
        const HeapOffset begin = align_up(extent.offset, smallest_bytes);
        return {marks, begin, std::max(begin, align_down(marks, smallest_bytes))};
    }
    /// Of the marks of a region of that size; it has room for them, whatever it is.
    [[nodiscard]] static constexpr std::uint64_t word_count(std::uint64_t bytes) {
        return (bytes / smallest_bytes + 7) / 8;
    }
    [[nodiscard]] constexpr bool may_hold(HeapOffset block) const {
        return block >= begin && block < end && block % smallest_bytes == 0;
    }
    /// The largest block that may begin at `at`: aligned to its size, and not beyond the end.
    [[nodiscard]] constexpr std::uint32_t largest_at(HeapOffset at) const {
        const auto aligned = static_cast<std::uint32_t>(std::countr_zero(at / smallest_bytes));
        const auto fits =
            static_cast<std::uint32_t>(std::bit_width((end - at) / smallest_bytes)) - 1;
        return std::min({aligned, fits, orders - 1});
    }
    [[nodiscard]] constexpr std::uint64_t index_of(HeapOffset block) const {
        return (block - begin) / smallest_bytes;
    }
    /// The word in which the mark of the block lies.
    [[nodiscard]] constexpr HeapOffset word_of(HeapOffset block) const {
        return marks + index_of(block) / 8 * 8;
    }
};

/// Reads and writes single marks.
template <typename Words>
class Marks {
public:
    /// `links`: new ones if nobody had the marks before this change.
    Marks(Words& words, const Region& region, Links links = Links::of_content)
        : words_(words), region_(region), links_(links) {}

    [[nodiscard]] std::uint64_t get(HeapOffset block) {
        return words_.get(region_.word_of(block)) >> shift_of(block) & 0xFF;
    }
    void set(HeapOffset block, std::uint64_t mark) {
        const std::uint64_t others =
            words_.get(region_.word_of(block)) & ~(std::uint64_t{0xFF} << shift_of(block));
        words_.set_link(region_.word_of(block), others | mark << shift_of(block), links_);
    }

private:
    [[nodiscard]] std::uint64_t shift_of(HeapOffset block) const {
        return region_.index_of(block) % 8 * 8;
    }

    Words& words_;
    const Region& region_;
    Links links_;
};

}  // namespace buddy

}  // namespace shmpool
