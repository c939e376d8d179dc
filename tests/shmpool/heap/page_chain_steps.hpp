// SPDX-License-Identifier: Apache-2.0
/// Steps that can be done to a page_chain, as values: played against the real heap and, beside it,
/// a naive model. A failing sequence is shortened and printed as C++ that replays it.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/shmpool/heap/own_page_chain.hpp"

namespace shmpool::test {

enum class Verb { allocate, free, pin, unpin, die, spoil, give, reopen };

struct PageStep {
    Verb verb;
    PageId page = 0;
    HeapOwner owner = nobodys;
};

inline std::string code_of(const std::vector<PageStep>& steps) {
    constexpr const char* names[] = {"allocate", "free",  "pin",  "unpin",
                                     "die",      "spoil", "give", "reopen"};
    std::string text = "replay({";
    for (const PageStep& one : steps) {
        text += "{Verb::" + std::string(names[static_cast<int>(one.verb)]) + ", " +
                std::to_string(one.page) + ", " + std::to_string(one.owner) + "}, ";
    }
    return text + "});";
}

/// What a page_chain is to be: a stack of free pages, and what is said of each of the others.
class PageChainModel {
public:
    /// `places`: how many pins there can be, those of one on one page counted once.
    PageChainModel(std::uint64_t capacity, std::uint64_t places)
        : capacity_(capacity), places_(places) {}

    /// As text: the page, or the error.
    std::string act(const PageStep& step) {
        switch (step.verb) {
            case Verb::allocate: return allocate(step.owner);
            case Verb::free: return with_live(step.page, [&](Page& page) { return free(page); });
            case Verb::pin:
                return with_live(step.page, [&](Page& page) { return pin(page, step.owner); });
            case Verb::unpin:
                return with_live(step.page, [&](Page& page) { return unpin(page, step.owner); });
            case Verb::give:
                return with_live(step.page, [&](Page& page) {
                    page.owner = step.owner;
                    page.left = false;
                    return std::string();
                });
            case Verb::die: return die(step.owner);
            case Verb::spoil:
                if (!free_.empty()) spoiled_.insert(free_.back());
                return {};
            case Verb::reopen: return {};
        }
        return {};
    }

    [[nodiscard]] PageId top() const { return free_.empty() ? 0 : free_.back(); }
    [[nodiscard]] bool is_spoiled() const { return !spoiled_.empty(); }
    [[nodiscard]] PageChainStatistics statistics() const {
        return {live_.size() + 2, free_.size(), total_};
    }
    [[nodiscard]] PageState state(PageId page) const {
        const auto found = live_.find(page);
        if (found == live_.end()) return PageState::free;
        return found->second.pins.empty() ? PageState::allocated : PageState::pinned;
    }

private:
    struct Page {
        PageId id;
        HeapOwner owner;
        bool left = false;
        std::map<HeapOwner, int> pins{};
    };

    std::string allocate(HeapOwner owner) {
        if (spoiled_.contains(top())) {
            std::ranges::sort(free_, std::greater<>());
            spoiled_.clear();
        }
        PageId page = top();
        if (page != 0) {
            free_.pop_back();
        } else {
            page = std::max(total_, PageId{2});
            if (page - 2 == capacity_) return "no_memory";
            total_ = page + 1;
        }
        live_.insert({page, {page, owner}});
        return std::to_string(page);
    }

    template <typename Act>
    std::string with_live(PageId page, Act act) {
        if (page < 2 || page >= std::max(total_, PageId{2})) return "invalid_argument";
        const auto found = live_.find(page);
        return found == live_.end() ? "not_allocated" : act(found->second);
    }
    std::string free(const Page& page) {
        if (!page.pins.empty()) return "pinned";
        free_.push_back(page.id);
        live_.erase(page.id);
        return {};
    }
    std::string pin(Page& page, HeapOwner owner) {
        std::size_t taken = 0;
        for (const auto& [id, one] : live_) taken += one.pins.size();
        if (taken == places_ && !page.pins.contains(owner)) return "no_memory";
        ++page.pins[owner];
        return {};
    }
    std::string unpin(Page& page, HeapOwner owner) {
        const auto pin = page.pins.find(owner);
        if (pin == page.pins.end()) return "not_pinned";
        if (--pin->second == 0) page.pins.erase(pin);
        if (page.pins.empty() && page.left) free(page);
        return {};
    }
    /// In which order pages come back is the heap's affair: see `take_order`.
    std::string die(HeapOwner owner) {
        const std::map<PageId, Page> before = live_;
        for (const auto& [id, page] : before) {
            live_.at(id).pins.erase(owner);
            if (page.owner == owner) {
                live_.at(id).left = true;
                live_.at(id).owner = nobodys;
            }
            if (live_.at(id).left && live_.at(id).pins.empty()) free(live_.at(id));
        }
        return {};
    }

public:
    /// The real heap has the same free pages in this order, the top one last.
    void take_order(const std::vector<PageId>& order) { free_ = order; }
    [[nodiscard]] std::set<PageId> free_pages() const { return {free_.begin(), free_.end()}; }

private:
    std::uint64_t capacity_;
    std::uint64_t places_;
    PageId total_ = 0;
    std::vector<PageId> free_;
    std::set<PageId> spoiled_;
    std::map<PageId, Page> live_;
};

/// A heap and its model, step by step. Empty: they agree all the way.
class PageChainPlay {
public:
    std::string play(const std::vector<PageStep>& steps) {
        for (std::size_t i = 0; i < steps.size(); ++i) {
            const std::string wanted = model_.act(steps[i]);
            const std::string found = act(steps[i]);
            const std::string where = " at step " + std::to_string(i);
            if (found != wanted) return "'" + found + "' instead of '" + wanted + "'" + where;
            if (own_.now() != model_.statistics()) return "the counts differ" + where;
            if (const std::string wrong = look(steps[i]); !wrong.empty()) return wrong + where;
        }
        if (model_.is_spoiled()) return {};
        return broken(*own_.heap, OwnPageChain::me);
    }
    ~PageChainPlay() { own_.abandon(); }

private:
    static std::string text(const Outcome<void>& outcome) {
        return outcome ? std::string() : std::string(name_of(outcome.error()));
    }
    std::string act(const PageStep& step) {
        const HeapUser who{OwnPageChain::me, step.owner};
        switch (step.verb) {
            case Verb::allocate: {
                const auto page = own_.heap->allocate(who);
                return page ? std::to_string(*page) : std::string(name_of(page.error()));
            }
            case Verb::free: return text(own_.heap->free(who.holder, step.page));
            case Verb::pin: return text(own_.heap->pin(who, step.page));
            case Verb::unpin: return text(own_.heap->unpin(who, step.page));
            case Verb::give: return text(own_.heap->set_owner(who.holder, step.page, who.owner));
            case Verb::die: {
                const auto is_gone = [&](HeapOwner owner) { return owner == step.owner; };
                return own_.heap->reclaim(who.holder, is_gone) ? "" : "reclaim failed";
            }
            case Verb::spoil: {
                const PageId top = own_.heap->free_list_head(who.holder).value();
                if (top != 0) own_.write_header(top, {top, 0});
                return {};
            }
            case Verb::reopen: own_.reopen(); return {};
        }
        return {};
    }
    std::string look(const PageStep& step) {
        if (step.verb == Verb::die && !model_.is_spoiled()) {
            if (!take_order()) return "other pages are free";
        }
        if (!model_.is_spoiled() && own_.heap->free_list_head(OwnPageChain::me) != model_.top()) {
            return "another page is the next one";
        }
        if (step.page < 2 || step.page >= own_.now().total) return {};
        return own_.state(step.page) == model_.state(step.page) ? "" : "the states differ";
    }
    bool take_order() {
        std::vector<PageId> order;
        PageId page = own_.heap->free_list_head(OwnPageChain::me).value();
        while (page != 0 && order.size() < own_.heap->capacity()) {
            order.insert(order.begin(), page);
            page = FreePageHeader::from_bytes(own_.bytes(page))->next_free;
        }
        const bool same = std::set<PageId>(order.begin(), order.end()) == model_.free_pages();
        model_.take_order(order);
        return same;
    }

    OwnPageChain own_{200 << 10, true};
    PageChainModel model_{own_.heap->capacity(), own_.plan().places};
};

/// Takes parts out of it as long as it fails.
inline std::vector<PageStep> shortened(std::vector<PageStep> steps) {
    for (std::size_t part = steps.size() / 2; part > 0; part /= 2) {
        for (std::size_t at = 0; at + part <= steps.size();) {
            std::vector<PageStep> less = steps;
            const auto begin = less.begin() + static_cast<std::ptrdiff_t>(at);
            less.erase(begin, begin + static_cast<std::ptrdiff_t>(part));
            if (PageChainPlay().play(less).empty()) {
                at += part;
            } else {
                steps = std::move(less);
            }
        }
    }
    return steps;
}

}  // namespace shmpool::test
