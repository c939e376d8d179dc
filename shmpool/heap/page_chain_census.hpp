// SPDX-License-Identifier: Apache-2.0
/// The audit of a page_chain: every page's word and owner, the chain of free ones, every pin.
#pragma once

#include <string>

#include "shmpool/heap/chained_pages.hpp"
#include "shmpool/heap/heap_census.hpp"

namespace shmpool {

/// The holder of the heap's lock, one thread.
template <typename Words>
class PageChainCensus {
public:
    PageChainCensus(Words& words, const PageChainPlan& plan, ChainedPages<Words>& pages)
        : words_(words),
          plan_(plan),
          pages_(pages),
          owners_(words, plan.owners, plan.places),
          pins_(words, plan) {}

    [[nodiscard]] HeapCensus take() {
        census_.total_bytes = plan_.capacity * plan_.bytes_per_page;
        for (std::uint64_t n = 0; n < plan_.capacity; ++n) look_at(n + first_page_id);
        look_at_chain();
        owners_.look_at_all(census_, [&](std::uint64_t n) { return is_live(n + first_page_id); });
        if (plan_.places != 0) look_at_free_places();
        return std::move(census_);
    }

private:
    void look_at(PageId page) {
        const HeapOffset at = plan_.states + 8 * plan_.number_of(page);
        const std::uint64_t stored = words_.get(at);
        const PageWord word = PageWord::of(stored);
        if (page >= pages_.total_pages()) {
            census_.expect("the word of a page that never was handed out", at, 0, stored);
        } else if (!word.is_sound(plan_.places != 0)) {
            census_.find(at, "the word of page " + std::to_string(page) + " is nonsense");
        } else if (word.state == PageState::free) {
            ++free_;
        } else {
            census_.used_bytes += plan_.bytes_per_page;
            if (plan_.places != 0) look_at_pins(page, word);
        }
    }

    [[nodiscard]] bool is_live(PageId page) {
        const HeapOffset at = plan_.states + 8 * plan_.number_of(page);
        return page < pages_.total_pages() && PageWord::of(words_.get(at)).state != PageState::free;
    }

    void look_at_pins(PageId page, const PageWord& word) {
        std::uint64_t pins = 0;
        std::uint64_t link = word.first_pin;
        for (std::uint64_t steps = 0; link != 0 && steps <= plan_.places; ++steps) {
            const PinPlace pin = pins_.get(link);
            if (pin.page != page) break;
            if (!may_be_owner(pin.owner)) census_.find(pins_.owner_of(link), owner_of_nobody);
            pins += pin.count;
            ++places_;
            link = pin.next;
        }
        census_.expect("the pins of page " + std::to_string(page), plan_.states, pins, word.pins);
        if (link != 0) census_.find(plan_.pins, "a list of pins leads elsewhere");
    }

    void look_at_chain() {
        census_.expect("free_count", plan_.word(chain_words::free_count), free_,
                       pages_.free_count());
        PageId page = pages_.free_head();
        for (std::uint64_t left = free_; left > 0; --left) {
            const auto next = pages_.next_of(page);
            if (!next) return find_broken(page);
            page = *next;
        }
        if (page != 0) find_broken(page);
    }
    void find_broken(PageId page) {
        census_.find(plan_.word(chain_words::free_head),
                     "the chain of free pages is broken at page " + std::to_string(page) +
                         "; who allocates there makes it anew");
    }

    void look_at_free_places() {
        std::uint64_t link = words_.get(plan_.word(chain_words::pin_head));
        std::uint64_t free_places = 0;
        for (; link != 0 && free_places <= plan_.places; ++free_places) {
            const PinPlace pin = pins_.get(link);
            if (pin.page != 0) census_.find(plan_.pins, "a place of a pin is free and in use");
            link = pin.next;
        }
        census_.expect("pin_places", plan_.word(chain_words::pin_places), places_ + free_places,
                       pins_.used_places());
    }

    Words& words_;
    const PageChainPlan& plan_;
    ChainedPages<Words>& pages_;
    OwnerTable<Words> owners_;
    PinTable<Words> pins_;
    HeapCensus census_;
    std::uint64_t free_ = 0;
    std::uint64_t places_ = 0;
};

}  // namespace shmpool
