// SPDX-License-Identifier: Apache-2.0
/// A set of numbers below a bound, in the words of a heap: one bit for each number, and above them
/// words of 64 bits each of which says whether the word below holds any. The lowest member at or
/// above any number is found by reading two words of each level, whatever the set holds: a million
/// numbers have four levels.
///
/// The lowest aligned run of members is found by going from member to member; whole words, and
/// whole parts of the tree, that hold none are skipped. Its worst case is linear: a bound on the
/// time would need the longest run below each word as well, and stores for it in every change.
///
/// A change writes each word that differs once; all of them are logged (heap_words.hpp), so a
/// change has no more entries than the tree has words. Heaps plan their journals so: then no run is
/// too long for one change, and the journal takes two bits for each number.
///
/// Source: hierarchical bitmaps, as the kernel's id allocators have them; 64-ary.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <optional>

#include "shmpool/heap/heap_census.hpp"
#include "shmpool/heap/heap_words.hpp"

namespace shmpool {

/// Where the words of a tree lie, as indices from its first word; the lowest level comes first.
class BitmapShape {
public:
    /// Numbers are below `bound`.
    explicit constexpr BitmapShape(std::uint64_t bound) : bound_(bound) {
        std::uint64_t words = std::max<std::uint64_t>(1, bound / 64 + (bound % 64 != 0 ? 1 : 0));
        for (;; words = (words + 63) / 64) {
            begins_[levels_ + 1] = begins_[levels_] + words;
            ++levels_;
            if (words == 1) break;
        }
    }

    [[nodiscard]] constexpr std::uint64_t bound() const { return bound_; }
    [[nodiscard]] constexpr std::uint32_t levels() const { return levels_; }
    [[nodiscard]] constexpr std::uint64_t begin_of(std::uint32_t level) const {
        return begins_[level];
    }
    [[nodiscard]] constexpr std::uint64_t words_of(std::uint32_t level) const {
        return begins_[level + 1] - begins_[level];
    }
    [[nodiscard]] constexpr std::uint64_t words() const { return begins_[levels_]; }
    [[nodiscard]] constexpr std::uint64_t bytes() const { return 8 * words(); }

private:
    std::uint64_t bound_;
    std::uint32_t levels_ = 0;
    std::array<std::uint64_t, 12> begins_{};  // 2^64 numbers have eleven levels.
};
static_assert(BitmapShape(0).words() == 1 && BitmapShape(64).levels() == 1);
static_assert(BitmapShape(65).levels() == 2 && BitmapShape(1 << 20).levels() == 4);
static_assert(BitmapShape(~std::uint64_t{0}).levels() == 11);

/// The holder of the heap's lock, one thread. Ranges are [begin, end) and lie below the bound. What
/// is read and can not be makes `words.failed()` true (I6); every loop ends nevertheless.
template <typename Words>
class BitmapTree {
public:
    /// `begin`: where its words lie, all of them 0 at first.
    BitmapTree(Words& words, HeapOffset begin, const BitmapShape& shape)
        : words_(words), begin_(begin), shape_(shape) {}

    void insert(std::uint64_t begin, std::uint64_t end) {
        for (std::uint32_t level = 0; level < shape_.levels() && begin < end; ++level) {
            bool had_empty_word = false;
            for (std::uint64_t at = begin; at < end; at = next_word(at)) {
                const std::uint64_t old = get(level, at / 64);
                had_empty_word |= old == 0;
                put(level, at / 64, old, old | bits_of(at, end));
            }
            if (!had_empty_word) break;  // Above, all of it is known.
            begin = begin / 64;
            end = (end - 1) / 64 + 1;
        }
    }

    void remove(std::uint64_t begin, std::uint64_t end) {
        for (std::uint32_t level = 0; level < shape_.levels() && begin < end; ++level) {
            for (std::uint64_t at = begin; at < end; at = next_word(at)) {
                const std::uint64_t old = get(level, at / 64);
                put(level, at / 64, old, old & ~bits_of(at, end));
            }
            // The words between are empty now; of the first and the last one others may be left.
            const std::uint64_t first = begin / 64;
            const std::uint64_t last = (end - 1) / 64;
            begin = get(level, first) == 0 ? first : first + 1;
            end = get(level, last) == 0 ? last + 1 : last;
        }
    }

    /// The lowest member, `from` or above.
    [[nodiscard]] std::optional<std::uint64_t> next(std::uint64_t from) {
        for (std::uint32_t level = 0; level < shape_.levels(); ++level) {
            const std::uint64_t index = from / 64;
            if (index >= shape_.words_of(level)) return std::nullopt;
            const std::uint64_t word = get(level, index) & (~std::uint64_t{0} << (from % 64));
            if (word != 0) return lowest_below(level, 64 * index + lowest_bit(word));
            from = index + 1;
        }
        return std::nullopt;
    }

    [[nodiscard]] bool holds_any(std::uint64_t begin, std::uint64_t end) {
        const auto found = next(begin);
        return found && *found < end;
    }
    [[nodiscard]] bool holds_all(std::uint64_t begin, std::uint64_t end) {
        return first_missing(begin, end) == end;
    }

    /// The first of the lowest run of `count` members such that (first + phase) is a multiple of
    /// `alignment`, a power of two.
    [[nodiscard]] std::optional<std::uint64_t> find_run(std::uint64_t count,
                                                        std::uint64_t alignment,
                                                        std::uint64_t phase) {
        for (auto member = next(0); member; member = next(*member)) {
            const std::uint64_t gap = (0 - (*member + phase)) & (alignment - 1);
            const std::uint64_t room = shape_.bound() - *member;
            if (gap > room || count > room - gap) break;
            const std::uint64_t first = *member + gap;
            const std::uint64_t stop = first_missing(first, first + count);
            if (stop == first + count) return first;
            member = stop;
        }
        return std::nullopt;
    }

    /// How many members are in the range.
    [[nodiscard]] std::uint64_t count(std::uint64_t begin, std::uint64_t end) {
        std::uint64_t members = 0;
        for (std::uint64_t at = begin; at < end; at = next_word(at)) {
            members +=
                static_cast<std::uint64_t>(std::popcount(get(0, at / 64) & bits_of(at, end)));
        }
        return members;
    }

    /// Reads all of it: what is above agrees with what is below, and nothing is out of bounds.
    void look_at_all(HeapCensus& census) {
        if (shape_.bound() % 64 != 0 || shape_.bound() == 0) {
            const std::uint64_t last = shape_.words_of(0) - 1;
            if ((get(0, last) >> (shape_.bound() % 64)) != 0) {
                census.find(place(0, last), "a member out of bounds");
            }
        }
        for (std::uint32_t level = 1; level < shape_.levels(); ++level) {
            for (std::uint64_t i = 0; i < shape_.words_of(level); ++i) {
                census.expect("the summary", place(level, i), summary(level, i), get(level, i));
            }
        }
    }

private:
    [[nodiscard]] static std::uint64_t next_word(std::uint64_t at) { return (at / 64 + 1) * 64; }
    [[nodiscard]] static std::uint64_t lowest_bit(std::uint64_t word) {
        return static_cast<std::uint64_t>(std::countr_zero(word));
    }
    /// Of the word that `at` is in: the bits from `at` on, before `end`.
    [[nodiscard]] static std::uint64_t bits_of(std::uint64_t at, std::uint64_t end) {
        const std::uint64_t from = ~std::uint64_t{0} << (at % 64);
        const std::uint64_t word_end = next_word(at);
        return end >= word_end ? from : from & (~std::uint64_t{0} >> (word_end - end));
    }

    [[nodiscard]] HeapOffset place(std::uint32_t level, std::uint64_t index) const {
        return begin_ + 8 * (shape_.begin_of(level) + index);
    }
    [[nodiscard]] std::uint64_t get(std::uint32_t level, std::uint64_t index) {
        return words_.get(place(level, index));
    }
    void put(std::uint32_t level, std::uint64_t index, std::uint64_t old, std::uint64_t value) {
        if (value != old) words_.set(place(level, index), value);
    }

    /// `bit` of that level is set: the lowest member that it stands for.
    [[nodiscard]] std::optional<std::uint64_t> lowest_below(std::uint32_t level,
                                                            std::uint64_t bit) {
        for (; level > 0; --level) {
            const std::uint64_t word = bit < shape_.words_of(level - 1) ? get(level - 1, bit) : 0;
            if (word == 0) return damage();
            bit = 64 * bit + lowest_bit(word);
        }
        if (bit >= shape_.bound()) return damage();
        return bit;
    }
    std::optional<std::uint64_t> damage() {
        words_.fail();
        return std::nullopt;
    }

    /// `end`: none is.
    [[nodiscard]] std::uint64_t first_missing(std::uint64_t begin, std::uint64_t end) {
        for (std::uint64_t at = begin; at < end; at = next_word(at)) {
            const std::uint64_t missing = ~get(0, at / 64) & bits_of(at, end);
            if (missing != 0) return 64 * (at / 64) + lowest_bit(missing);
        }
        return end;
    }

    /// What the word must be, by the level below.
    [[nodiscard]] std::uint64_t summary(std::uint32_t level, std::uint64_t index) {
        std::uint64_t word = 0;
        const std::uint64_t below = std::min(64 * (index + 1), shape_.words_of(level - 1));
        for (std::uint64_t i = 64 * index; i < below; ++i) {
            word |= std::uint64_t{get(level - 1, i) != 0} << (i % 64);
        }
        return word;
    }

    Words& words_;
    HeapOffset begin_;
    const BitmapShape& shape_;
};

}  // namespace shmpool
