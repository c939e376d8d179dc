// SPDX-License-Identifier: Apache-2.0
/// What makes chained pages a heap: the guard that all kinds share, and the checks of arguments.
#pragma once

#include <type_traits>

#include "shmpool/heap/chained_pages.hpp"
#include "shmpool/heap/heap_guard.hpp"
#include "shmpool/heap/page_chain.hpp"
#include "shmpool/heap/page_chain_census.hpp"

namespace shmpool {

/// Of the heap that lies there. As open_page_chain.
[[nodiscard]] Result<PageChainPlan> plan_of_page_chain(std::span<const std::byte> memory);

template <typename StoreHook = NoStoreHook>
class GuardedPageChain final : public PageChain {
public:
    using Words = HeapWords<StoreHook>;
    using Engine = ChainedPages<Words>;

    [[nodiscard]] static Result<void> format(std::span<std::byte> memory,
                                             const HeapOptions& options) {
        const auto plan = PageChainPlan::of(memory.size(), options.bytes_per_page,
                                            options.map_alignment, options.owned);
        if (!plan) return tl::unexpected(plan.error());
        if (options.first_region.bytes != 0) {
            return fail(Errc::invalid_argument,
                        "first_region: a heap of kind page_chain manages all of its memory");
        }
        const auto begun = begin_heap(memory, plan->heap, options);
        if (!begun) return tl::unexpected(begun.error());
        GuardedPageChain heap(memory, *plan, std::chrono::nanoseconds::zero());
        if (plan->capacity == 0 || !heap.add_all_pages()) {
            return fail(Errc::region_too_small,
                        "behind what the heap keeps for itself is no room for a page of " +
                            std::to_string(plan->bytes_per_page) + " bytes");
        }
        publish_heap(memory);
        return {};
    }

    /// The header has been checked, and is of this plan.
    GuardedPageChain(std::span<std::byte> memory, const PageChainPlan& plan,
                     std::chrono::nanoseconds patience, StoreHook hook = {})
        : plan_(plan), guard_(memory, plan.heap, patience, hook) {}

    [[nodiscard]] std::uint64_t bytes_per_page() const override { return plan_.bytes_per_page; }
    [[nodiscard]] std::uint64_t capacity() const override { return plan_.capacity; }
    Outcome<HeapOffset> offset_of(PageId page) const override {
        if (!plan_.may_be_page(page)) return fail(Errc::invalid_argument);
        return plan_.offset_of(page);
    }

    Outcome<PageId> allocate(HeapUser user) override {
        return change(user.holder, [&](Engine& engine) { return engine.allocate(user.owner); });
    }
    Outcome<void> free(HeapHolder holder, PageId page) override {
        return change_page(holder, page, [&](Engine& engine) { return engine.free(page); });
    }

    Outcome<PageState> state(HeapHolder holder, PageId page) override {
        return change(holder, [&](Engine& engine) { return engine.state(page); });
    }
    Outcome<void> pin(HeapUser user, PageId page) override {
        return change_page(user.holder, page,
                           [&](Engine& engine) { return engine.pin(page, user.owner); });
    }
    Outcome<void> unpin(HeapUser user, PageId page) override {
        return change_page(user.holder, page,
                           [&](Engine& engine) { return engine.unpin(page, user.owner); });
    }

    Outcome<void> set_owner(HeapHolder holder, PageId page, HeapOwner owner) override {
        if (plan_.places == 0 && owner != nobodys) return fail(Errc::unsupported);
        return change_page(holder, page, [&](Engine& engine) {
            return engine.live(page).map([&](const PageWord&) {
                if (plan_.places != 0) engine.set_owner(page, owner);
            });
        });
    }

    /// Pins first: then pages that only the dead have pinned are free of them.
    Outcome<std::uint64_t> reclaim(HeapHolder holder, const IsGone& is_gone) override {
        const auto pins = take_back(
            holder, [&](Engine& engine) { return engine.pins_left(is_gone); },
            [&](Engine& engine, std::uint64_t pin) { return engine.take_back_pin(pin, is_gone); });
        if (!pins && pins.error() != Errc::heap_damaged)
            return pins;  // Pages are there for all that.
        const auto pages = take_back(
            holder, [&](Engine& engine) { return engine.pages_left(is_gone); },
            [&](Engine& engine, PageId page) { return engine.take_back_page(page, is_gone); });
        return pages.map([&](std::uint64_t count) { return count + pins.value_or(0); });
    }

    Outcome<PageId> free_list_head(HeapHolder holder) override {
        return change(holder, [](Engine& engine) -> Outcome<PageId> { return first_of(engine); });
    }

    Outcome<PageChainStatistics> statistics(HeapHolder holder) override {
        return guard_.change(holder, [&](Words& words) -> Outcome<PageChainStatistics> {
            Engine engine(words, plan_);
            return statistics_of(words, engine);
        });
    }

    Outcome<PageChainSnapshot> snapshot(HeapHolder holder) override {
        return guard_.change(holder, [&](Words& words) -> Outcome<PageChainSnapshot> {
            Engine engine(words, plan_);
            PageChainSnapshot now{statistics_of(words, engine), first_of(engine), {}};
            now.states.assign(first_page_id, PageState::allocated);
            for (PageId page = first_page_id; page < now.statistics.total; ++page) {
                now.states.push_back(engine.state_of(page).state);
            }
            return now;
        });
    }

    Outcome<std::vector<HeapFinding>> audit(HeapHolder holder) override {
        return guard_.audit(holder, [&](Words& words) {
            Engine engine(words, plan_);
            return PageChainCensus<Words>(words, plan_, engine).take();
        });
    }

    void holder_died(HeapHolder holder) override { guard_.holder_died(holder); }

private:
    Outcome<void> add_all_pages() {
        return guard_.change(1, [&](Words& words) {
            const HeapExtent all{plan_.begin, plan_.capacity * plan_.bytes_per_page};
            TakenAlike taker([](const HeapExtent& pages) { return pages.bytes; });
            return guard_.add_region(words, all, taker);
        });
    }

    /// Somebody may have bent the chain.
    [[nodiscard]] static PageId first_of(Engine& engine) {
        const PageId page = engine.free_head();
        return engine.is_free(page) ? page : 0;
    }
    [[nodiscard]] PageChainStatistics statistics_of(Words& words, Engine& engine) const {
        const std::uint64_t used = words.get(offsetof(HeapHeader, used_bytes));
        return {used / plan_.bytes_per_page + first_page_id, engine.free_count(),
                engine.total_pages()};
    }

    template <typename Body>
    auto change(HeapHolder holder, Body body) -> std::invoke_result_t<Body, Engine&> {
        return guard_.change(holder, [&](Words& words) {
            Engine engine(words, plan_);
            return body(engine);
        });
    }
    /// Before anybody waits for the lock: it is a page that there can be.
    template <typename Body>
    Outcome<void> change_page(HeapHolder holder, PageId page, Body body) {
        if (!plan_.may_be_page(page)) return fail(Errc::invalid_argument);
        return change(holder, body);
    }

    template <typename Find, typename TakeBack>
    Outcome<std::uint64_t> take_back(HeapHolder holder, Find find, TakeBack take_one) {
        using Left = Outcome<std::vector<std::uint64_t>>;
        return guard_.reclaim(
            [&] { return change(holder, [&](Engine& engine) -> Left { return find(engine); }); },
            [&](std::uint64_t one) {
                return change(holder, [&](Engine& engine) { return take_one(engine, one); });
            });
    }

    PageChainPlan plan_;
    HeapGuard<StoreHook> guard_;
};

}  // namespace shmpool
