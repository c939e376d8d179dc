// SPDX-License-Identifier: Apache-2.0
/// The truth about each page of a page_chain, one word, and who has pinned it.
///
///   word = pins : 28 | first pin : 32 | unused : 1 | left : 1 | state : 2      0: free
///
/// `state` and `pins` say whether the page is free, and what may be done with it. `left`: its owner
/// is gone, and somebody else has pinned it; who unpins it last frees it.
///
/// In a heap that is owned each pinner has a place of his own in a table, with how often he has
/// pinned the page, for one word of owner can not name several; the places of one page are a list
/// that begins in its word (`first pin`, number of the place + 1). So who pins twice takes one
/// place, and the pins of somebody who is gone are found without a look at the pages.
#pragma once

#include <cstdint>
#include <vector>

#include "shmpool/heap/heap_owner.hpp"
#include "shmpool/heap/page_chain_plan.hpp"

namespace shmpool {

enum class PageState : std::uint8_t { free = 0, allocated = 1, pinned = 2 };

struct PageWord {
    static constexpr std::uint64_t pins_max = (std::uint64_t{1} << 28) - 1;

    PageState state = PageState::free;
    bool left = false;
    std::uint64_t first_pin = 0;
    std::uint64_t pins = 0;

    [[nodiscard]] static constexpr PageWord of(std::uint64_t word) {
        return {PageState(word & 3), (word & 4) != 0, (word >> 4) & 0xFFFF'FFFF, word >> 36};
    }
    [[nodiscard]] constexpr std::uint64_t word() const {
        return static_cast<std::uint64_t>(state) | (left ? 4U : 0U) | first_pin << 4 | pins << 36;
    }
    /// Some page's word, in a heap that is owned or not.
    [[nodiscard]] constexpr bool is_sound(bool owned) const {
        if (state == PageState::free || state == PageState::allocated) {
            return pins == 0 && first_pin == 0 && !left;
        }
        return state == PageState::pinned && pins != 0 && (first_pin != 0) == owned;
    }
};

/// A place of the table of pins.
struct PinPlace {
    PageId page = 0;  ///< 0: the place is free.
    HeapOwner owner = nobodys;
    std::uint64_t count = 0;
    std::uint64_t next = 0;  ///< Of the page's list, or of the free ones; number + 1.
};

/// The holder of the heap's lock, one thread. Of a heap that is owned.
template <typename Words>
class PinTable {
public:
    PinTable(Words& words, const PageChainPlan& plan) : words_(words), plan_(plan) {}

    [[nodiscard]] std::uint64_t used_places() {
        const std::uint64_t used = words_.get(plan_.word(chain_words::pin_places));
        if (used <= plan_.places) return used;
        words_.fail();
        return 0;
    }
    /// Number + 1, of a place that was ever used.
    [[nodiscard]] PinPlace get(std::uint64_t link) {
        if (link == 0 || link > used_places()) {
            words_.fail();
            return {};
        }
        const HeapOffset at = place(link);
        return {words_.get(at), words_.get(at + 8), words_.get(at + 16), words_.get(at + 24)};
    }

    /// Where it says whose the pin is.
    [[nodiscard]] HeapOffset owner_of(std::uint64_t link) const { return place(link) + 8; }

    /// The page of this word gets one more pin. no_memory: the table is full.
    Outcome<void> add(PageId page, PageWord& word, HeapOwner owner) {
        if (const std::uint64_t link = find(page, word, owner).link; link != 0) {
            words_.add(place(link) + 16, 1);
            return {};
        }
        const std::uint64_t link = take_place();
        if (link == 0) return fail(Errc::no_memory);
        set(link, {page, owner, 1, word.first_pin});
        word.first_pin = link;
        return {};
    }

    /// How many pins went: one, or all that the owner has. not_pinned.
    Outcome<std::uint64_t> remove(PageId page, PageWord& word, HeapOwner owner, bool all) {
        const Found found = find(page, word, owner);
        if (found.link == 0) return fail(Errc::not_pinned);
        const PinPlace pin = get(found.link);
        if (!all && pin.count > 1) {
            words_.set(place(found.link) + 16, pin.count - 1);
            return 1;
        }
        if (found.before == 0) {
            word.first_pin = pin.next;
        } else {
            words_.set(place(found.before) + 24, pin.next);
        }
        const HeapOffset head = plan_.word(chain_words::pin_head);
        set(found.link, {0, nobodys, 0, words_.get(head)});
        words_.set(head, found.link);
        return all ? pin.count : 1;
    }

    /// Places whose owner is gone.
    [[nodiscard]] std::vector<std::uint64_t> all_left(const IsGone& is_gone) {
        std::vector<std::uint64_t> left;
        const std::uint64_t used = used_places();
        for (std::uint64_t link = 1; link <= used; ++link) {
            if (is_left(get(link), is_gone)) left.push_back(link);
        }
        return left;
    }
    [[nodiscard]] static bool is_left(const PinPlace& pin, const IsGone& is_gone) {
        return pin.page != 0 && pin.owner != nobodys && is_gone(pin.owner);
    }

private:
    struct Found {
        std::uint64_t link = 0;
        std::uint64_t before = 0;
    };
    /// The owner's place in the page's list; 0: he has none.
    [[nodiscard]] Found find(PageId page, const PageWord& word, HeapOwner owner) {
        Found found{word.first_pin, 0};
        for (std::uint64_t steps = 0; found.link != 0; ++steps) {
            const PinPlace pin = get(found.link);
            if (pin.page != page || steps > plan_.places) {
                words_.fail();
                return {};
            }
            if (pin.owner == owner) return found;
            found = {pin.next, found.link};
        }
        return {};
    }
    /// 0: the table is full.
    [[nodiscard]] std::uint64_t take_place() {
        const HeapOffset head = plan_.word(chain_words::pin_head);
        if (const std::uint64_t link = words_.get(head); link != 0) {
            const PinPlace pin = get(link);
            if (pin.page != 0) words_.fail();
            words_.set(head, pin.next);
            return link;
        }
        const std::uint64_t used = used_places();
        if (used == plan_.places) return 0;
        words_.set(plan_.word(chain_words::pin_places), used + 1);
        return used + 1;
    }
    void set(std::uint64_t link, const PinPlace& pin) {
        const HeapOffset at = place(link);
        words_.set(at, pin.page);
        words_.set(at + 8, pin.owner);
        words_.set(at + 16, pin.count);
        words_.set(at + 24, pin.next);
    }
    [[nodiscard]] HeapOffset place(std::uint64_t link) const {
        return plan_.pins + (link - 1) * pin_place_bytes;
    }

    Words& words_;
    const PageChainPlan& plan_;
};

}  // namespace shmpool
