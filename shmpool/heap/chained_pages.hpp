// SPDX-License-Identifier: Apache-2.0
/// Pages by their ids, with pins: what was freed last is handed out first, and when nothing is
/// free, the page behind the last one that ever was handed out. One word for each page is the truth
/// about it (page_pins.hpp). The free ones are a chain that lies in themselves, each with the id of
/// the next and a checksum (page_checksum.hpp), so it costs no memory, and to open the heap no
/// time. It is an index and nothing more: whatever is taken off it is compared with the truth, and
/// a chain that somebody has written into is made anew from the states, the lowest page first.
///
/// So no page is ever handed out twice, whatever lies in free pages, and none is lost.
///
/// Operation                         class   a kill in the middle of it
///   allocate, free, pin, unpin      logged  undone
///   set_owner                       logged  undone
///   rebuilding of the chain         logged  undone; the chain, broken before, still is
///   reclaim                         logged, pin by pin and page by page
///
/// Known from sqlitegraph's PageAllocator, whose pins did nothing, whose free pages were lost when
/// it was opened again, and whose checksum saw no change of order.
#pragma once

#include <optional>
#include <vector>

#include "shmpool/heap/heap_words.hpp"
#include "shmpool/heap/owner_table.hpp"
#include "shmpool/heap/page_pins.hpp"

namespace shmpool {

/// The holder of the heap's lock, one thread. After an error, and after `words.failed()`, the
/// caller undoes what was written.
template <typename Words>
class ChainedPages {
public:
    ChainedPages(Words& words, const PageChainPlan& plan)
        : words_(words),
          plan_(plan),
          owners_(words, plan.owners, plan.places),
          pins_(words, plan) {}

    Outcome<PageId> allocate(HeapOwner owner) {
        if (!chain_is_good()) rebuild();
        const Outcome<PageId> page = free_head() != 0 ? pop() : append();
        if (!page) return page;
        if (plan_.places != 0) owners_.set(plan_.number_of(*page), owner);
        set_state(*page, {PageState::allocated});
        count_used(plan_.bytes_per_page);
        return page;
    }

    /// pinned, and as `live`.
    Outcome<void> free(PageId page) {
        const Outcome<PageWord> word = live(page);
        if (!word) return tl::unexpected(word.error());
        if (word->state == PageState::pinned) return fail(Errc::pinned);
        push(page);
        return {};
    }

    Outcome<void> pin(PageId page, HeapOwner owner) {
        Outcome<PageWord> word = live(page);
        if (!word) return tl::unexpected(word.error());
        if (word->pins == PageWord::pins_max) return fail(Errc::no_memory);
        if (plan_.places != 0) {
            if (auto added = pins_.add(page, *word, owner); !added) return added;
        }
        word->state = PageState::pinned;
        ++word->pins;
        set_state(page, *word);
        return {};
    }

    /// not_pinned: not by him; and as `live`.
    Outcome<void> unpin(PageId page, HeapOwner owner) { return unpin(page, owner, false); }

    /// invalid_argument: the page is reserved, or was never handed out.
    [[nodiscard]] Outcome<PageState> state(PageId page) {
        if (page < first_page_id) return PageState::allocated;
        if (page >= total_pages()) return fail(Errc::invalid_argument);
        return state_of(page).state;
    }
    /// As `state`, and not_allocated.
    [[nodiscard]] Outcome<PageWord> live(PageId page) {
        if (page < first_page_id || page >= total_pages()) return fail(Errc::invalid_argument);
        const PageWord word = state_of(page);
        if (word.state == PageState::free) return fail(Errc::not_allocated);
        return word;
    }

    /// It is live, and the heap is owned. Who is given what somebody has left, frees it himself.
    void set_owner(PageId page, HeapOwner owner) {
        owners_.set(plan_.number_of(page), owner);
        PageWord word = state_of(page);
        if (!word.left) return;
        word.left = false;
        set_state(page, word);
    }

    /// Pins, as PinTable knows them, and pages whose owner is gone.
    [[nodiscard]] std::vector<std::uint64_t> pins_left(const IsGone& is_gone) {
        return pins_.all_left(is_gone);
    }
    [[nodiscard]] std::vector<PageId> pages_left(const IsGone& is_gone) {
        std::vector<PageId> pages = owners_.all_left(is_gone);
        for (PageId& page : pages) page += first_page_id;
        return pages;
    }
    /// Whether it was still so.
    Outcome<bool> take_back_pin(std::uint64_t pin, const IsGone& is_gone) {
        const PinPlace place = pins_.get(pin);
        if (!pins_.is_left(place, is_gone)) return false;
        return unpin(place.page, place.owner, true).map([] { return true; });
    }
    /// Frees it, or leaves that to who unpins it last.
    Outcome<bool> take_back_page(PageId page, const IsGone& is_gone) {
        Outcome<PageWord> word = live(page);
        if (!word || !owners_.is_left(plan_.number_of(page), is_gone)) return false;
        if (word->state != PageState::pinned) {
            push(page);
        } else {
            owners_.set(plan_.number_of(page), nobodys);
            word->left = true;
            set_state(page, *word);
        }
        return true;
    }

    /// 0 before the first page was handed out; then the reserved ones are counted.
    [[nodiscard]] PageId total_pages() {
        const PageId total = word(chain_words::total_pages);
        if (total == 0 || (total > first_page_id && plan_.may_be_page(total - 1))) return total;
        words_.fail();
        return 0;
    }
    [[nodiscard]] std::uint64_t free_count() { return word(chain_words::free_count); }
    /// As the chain says.
    [[nodiscard]] PageId free_head() { return word(chain_words::free_head); }
    [[nodiscard]] bool is_free(PageId page) {
        return page >= first_page_id && page < total_pages() &&
               state_of(page).state == PageState::free;
    }

    /// It was handed out once.
    [[nodiscard]] PageWord state_of(PageId page) {
        const PageWord word = PageWord::of(words_.get(state_at(page)));
        if (!word.is_sound(plan_.places != 0)) words_.fail();
        return word;
    }

    /// What a page of the chain says of the next one, if it is worth believing.
    [[nodiscard]] std::optional<PageId> next_of(PageId page) {
        if (!is_free(page)) return std::nullopt;
        const HeapOffset at = plan_.offset_of(page);
        const FreePageHeader header{words_.get(at), words_.get(at + 8)};
        if (!header.is_of(page)) return std::nullopt;
        return header.next_free;  // Which is looked at when it is the first.
    }

private:
    [[nodiscard]] std::uint64_t word(HeapOffset field) { return words_.get(plan_.word(field)); }
    void set(HeapOffset field, std::uint64_t value) { words_.set(plan_.word(field), value); }
    [[nodiscard]] HeapOffset state_at(PageId page) const {
        return plan_.states + 8 * plan_.number_of(page);
    }
    void set_state(PageId page, const PageWord& word) { words_.set(state_at(page), word.word()); }
    void count_used(std::uint64_t bytes) { words_.add(offsetof(HeapHeader, used_bytes), bytes); }

    Outcome<void> unpin(PageId page, HeapOwner owner, bool all) {
        Outcome<PageWord> word = live(page);
        if (!word) return tl::unexpected(word.error());
        if (word->state != PageState::pinned) return fail(Errc::not_pinned);
        std::uint64_t gone = 1;
        if (plan_.places != 0) {
            const auto removed = pins_.remove(page, *word, owner, all);
            if (!removed) return tl::unexpected(removed.error());
            gone = *removed;
        }
        if (gone > word->pins) {
            words_.fail();
            return fail(Errc::heap_damaged);
        }
        word->pins -= gone;
        if (word->pins == 0 && word->left) {
            push(page);
            return {};
        }
        if (word->pins == 0) word->state = PageState::allocated;
        set_state(page, *word);
        return {};
    }

    // --- the chain -------------------------------------------------------------------------------

    [[nodiscard]] bool chain_is_good() {
        const PageId head = free_head();
        if (head == 0 || free_count() == 0) return head == free_count();
        return next_of(head).has_value();
    }

    /// The first one, which is good.
    Outcome<PageId> pop() {
        const PageId page = free_head();
        set(chain_words::free_head, next_of(page).value_or(0));
        set(chain_words::free_count, free_count() - 1);
        return page;
    }
    /// It is live, and nobody has pinned it. What its user wrote stays until this is decided.
    void push(PageId page) {
        const FreePageHeader header = FreePageHeader::of(page, free_head());
        words_.set(plan_.offset_of(page), header.next_free);
        words_.set(plan_.offset_of(page) + 8, header.checksum);
        set_state(page, {PageState::free});
        set(chain_words::free_head, page);
        set(chain_words::free_count, free_count() + 1);
        count_used(0 - plan_.bytes_per_page);
    }
    Outcome<PageId> append() {
        const PageId page = std::max(total_pages(), first_page_id);
        if (!plan_.may_be_page(page)) return fail(Errc::no_memory);
        if (words_.get(state_at(page)) != 0) words_.fail();
        set(chain_words::total_pages, page + 1);
        return page;
    }
    /// From the states. What is written into free pages needs no entry: the chain that it would be
    /// needed for is broken, and who comes behind an undone rebuilding finds that again.
    void rebuild() {
        PageId head = 0;
        std::uint64_t count = 0;
        for (PageId page = total_pages(); page > first_page_id && !words_.failed();) {
            if (state_of(--page).state != PageState::free) continue;
            const FreePageHeader header = FreePageHeader::of(page, head);
            words_.set_in_free(plan_.offset_of(page), header.next_free);
            words_.set_in_free(plan_.offset_of(page) + 8, header.checksum);
            head = page;
            ++count;
        }
        set(chain_words::free_head, head);
        set(chain_words::free_count, count);
    }

    Words& words_;
    const PageChainPlan& plan_;
    OwnerTable<Words> owners_;
    PinTable<Words> pins_;
};

}  // namespace shmpool
