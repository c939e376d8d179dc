// SPDX-License-Identifier: Apache-2.0
/// Whose each page or id of an owned heap is: one word for each number. What stands there counts
/// only as long as the number is handed out, so to write it while the number is free takes no entry
/// of the journal.
#pragma once

#include <cstdint>
#include <vector>

#include "shmpool/heap/heap_census.hpp"
#include "shmpool/heap/heap_owner.hpp"
#include "shmpool/heap/heap_words.hpp"

namespace shmpool {

/// The holder of the heap's lock, one thread.
template <typename Words>
class OwnerTable {
public:
    [[nodiscard]] static constexpr std::uint64_t bytes_for(std::uint64_t count) {
        return 8 * count;
    }

    /// Not used at all if `count` is 0.
    OwnerTable(Words& words, HeapOffset offset, std::uint64_t count)
        : words_(words), offset_(offset), count_(count) {}

    /// They are free, and will be the owner's.
    void hand_out(std::uint64_t first, std::uint64_t count, HeapOwner owner) {
        if (count_ == 0) return;
        for (std::uint64_t n = first; n < first + count; ++n) words_.set_in_free(word_of(n), owner);
    }
    void set(std::uint64_t number, HeapOwner owner) { words_.set(word_of(number), owner); }
    /// They become nobody's when the change is decided, which fills a cell too.
    void keep(std::uint64_t first, std::uint64_t count) {
        if (count_ == 0) return;
        static_assert(nobodys == 0);
        words_.zero_when_decided({word_of(first), 8 * count});
    }

    [[nodiscard]] bool is_left(std::uint64_t number, const IsGone& is_gone) {
        const HeapOwner owner = words_.get(word_of(number));
        return owner != nobodys && is_gone(owner);
    }

    /// `counts(number)`: it is handed out, and has an owner.
    template <typename Counts>
    void look_at_all(HeapCensus& census, Counts counts) {
        for (std::uint64_t n = 0; n < count_; ++n) {
            const bool is_nonsense = !may_be_owner(words_.get(word_of(n)));
            if (is_nonsense && counts(n)) census.find(word_of(n), owner_of_nobody);
        }
    }

    /// Numbers whose owner is gone; some of them may be free by now.
    [[nodiscard]] std::vector<std::uint64_t> all_left(const IsGone& is_gone) {
        std::vector<std::uint64_t> left;
        HeapOwner last = nobodys;
        bool last_is_gone = false;
        for (std::uint64_t n = 0; n < count_; ++n) {
            const HeapOwner owner = words_.get(word_of(n));
            if (owner == nobodys) continue;
            if (owner != last) last_is_gone = is_gone(owner);
            last = owner;
            if (last_is_gone) left.push_back(n);
        }
        return left;
    }

private:
    [[nodiscard]] HeapOffset word_of(std::uint64_t number) const { return offset_ + 8 * number; }

    Words& words_;
    HeapOffset offset_;
    std::uint64_t count_;
};

}  // namespace shmpool
