// SPDX-License-Identifier: Apache-2.0
/// What the slab heap keeps in a heap's memory, and the arithmetic of it.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "shmpool/heap/buddy_layout.hpp"

namespace shmpool {

//  Words of the engine, behind engine_offset:
//     offset  bytes  what
//          0    264  of the buddies below (buddy_layout.hpp)
//        264     56  for each class: the head of the list of its slabs that have free blocks
//        320     56  for each class: its slab that is empty and kept; 0: none
//
//  Slab: a lent block of the buddies, all of it blocks of one class. Its record lies in the
//  region's bytes for its inside, from the first whole word on, where no user ever writes. The
//  bytes move when the region becomes larger, so a slab is named by where it begins itself:
//     offset  bytes  what
//          0      8  the next one in its list
//          8      8  the one before it in its list; 0: it is the head
//         16      8  a bit for each block that is free; none: it is in no list
//         24      8  where the slab begins | its class
namespace slab {

inline constexpr std::uint32_t classes = 7;
inline constexpr std::uint64_t heads_offset = buddy::heads_offset + 8 * buddy::orders;
inline constexpr std::uint64_t kept_offset = heads_offset + 8 * classes;
inline constexpr std::uint64_t engine_bytes = kept_offset + 8 * classes;

inline constexpr std::uint64_t smallest_slab_bytes = 4096;
inline constexpr std::uint64_t blocks_least = 8;
inline constexpr std::uint64_t record_bytes = 32;
static_assert(8 + record_bytes <= smallest_slab_bytes / buddy::smallest_bytes, "it has room");

[[nodiscard]] constexpr std::uint64_t block_bytes_of(std::uint32_t size_class) {
    return std::uint64_t{64} << size_class;
}
[[nodiscard]] constexpr std::uint64_t slab_bytes_of(std::uint32_t size_class) {
    return std::max(smallest_slab_bytes, blocks_least * block_bytes_of(size_class));
}
[[nodiscard]] constexpr std::uint64_t blocks_of(std::uint32_t size_class) {
    return slab_bytes_of(size_class) / block_bytes_of(size_class);
}
inline constexpr std::uint64_t largest_slab_bytes = slab_bytes_of(classes - 1);
static_assert(blocks_of(0) == 64, "its bits are one word");

[[nodiscard]] constexpr std::uint64_t all_free(std::uint32_t size_class) {
    return ~std::uint64_t{0} >> (64 - blocks_of(size_class));
}

/// The smallest class whose blocks have `bytes`, `classes` if none has.
[[nodiscard]] constexpr std::uint32_t class_for(std::uint64_t bytes) {
    if (bytes > block_bytes_of(classes - 1)) return classes;
    return static_cast<std::uint32_t>(std::bit_width((std::max<std::uint64_t>(bytes, 1) - 1) / 64));
}

[[nodiscard]] constexpr HeapOffset head_of(HeapOffset engine, std::uint32_t size_class) {
    return engine + heads_offset + 8 * std::uint64_t{size_class};
}
[[nodiscard]] constexpr HeapOffset kept_of(HeapOffset engine, std::uint32_t size_class) {
    return engine + kept_offset + 8 * std::uint64_t{size_class};
}

/// Where things lie in a slab.
struct Place {
    HeapOffset begin = 0;
    HeapOffset record = 0;
    std::uint32_t size_class = 0;
    buddy::Region region{};

    [[nodiscard]] constexpr HeapOffset free_bits() const { return record + 16; }
    [[nodiscard]] constexpr HeapOffset identity() const { return record + 24; }
    [[nodiscard]] constexpr HeapOffset block(std::uint64_t index) const {
        return begin + index * block_bytes_of(size_class);
    }
    [[nodiscard]] static constexpr HeapOffset record_of(const buddy::Region& region,
                                                        HeapOffset begin) {
        return region.word_of(begin) + 8;
    }
};

/// Where the words of a slab lie as a node of its list: in its record. Nonsense leads anywhere, and
/// is refused by the words.
template <typename Words>
class RecordOf {
public:
    /// `known`: its record need not be looked for, and most others lie in its region.
    explicit RecordOf(const Words& words, const Place& known = {})
        : words_(&words), known_(known) {}

    HeapOffset operator()(HeapOffset slab) const {
        if (slab == known_.begin) return known_.record;
        const buddy::Region& region = known_.region;
        if (slab >= region.begin && slab < region.end) return Place::record_of(region, slab);
        return Place::record_of(buddy::Region::of(words_->region_holding(slab)), slab);
    }

private:
    const Words* words_;
    Place known_;
};

/// Whoever finds a slab looks at the region's mark for it and at its record, and they must agree.
template <typename Words>
class Finder {
public:
    explicit Finder(Words& words) : words_(words) {}

    /// Whether it is a slab whose mark and record agree: `begin`, of some region, is its beginning.
    [[nodiscard]] bool read(const buddy::Region& region, HeapOffset begin, Place& place) {
        const HeapOffset record = Place::record_of(region, begin);
        const std::uint64_t identity = words_.get(record + 24);
        place = {begin, record, static_cast<std::uint32_t>(identity - begin), region};
        if (identity - begin >= classes) return false;
        const std::uint64_t bytes = slab_bytes_of(place.size_class);
        const std::uint64_t mark = buddy::lent_mark | buddy::order_for(bytes);
        return begin % bytes == 0 && bytes <= region.end - begin &&
               buddy::Marks(words_, region).get(begin) == mark;
    }

    /// The same, of any offset.
    [[nodiscard]] bool read(HeapOffset begin, Place& place) {
        const auto region = buddy::Region::of(words_.region_holding(begin));
        return region.may_hold(begin) && read(region, begin, place);
    }

    /// The mark of the block of the buddies, of a slab's size at least, that holds `at`, and where
    /// it begins; 0: there is none, or it is smaller.
    [[nodiscard]] std::uint64_t mark_around(const buddy::Region& region, HeapOffset at,
                                            HeapOffset& begin) {
        if (at < region.begin || at >= region.end) return 0;
        buddy::Marks marks(words_, region);
        for (std::uint64_t bytes = smallest_slab_bytes; bytes <= largest_slab_bytes; bytes *= 2) {
            begin = at & ~(bytes - 1);
            if (begin < region.begin) return 0;
            if (const std::uint64_t mark = marks.get(begin); mark != 0) return mark;
        }
        return 0;
    }

private:
    Words& words_;
};

}  // namespace slab

}  // namespace shmpool
