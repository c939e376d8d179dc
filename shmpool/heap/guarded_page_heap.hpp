// SPDX-License-Identifier: Apache-2.0
/// What makes bitmap pages a heap of pages: the guard that all kinds share, and the checks of
/// arguments.
#pragma once

#include <bit>
#include <type_traits>

#include "shmpool/heap/bitmap_pages.hpp"
#include "shmpool/heap/heap_guard.hpp"
#include "shmpool/heap/heap_origin.hpp"
#include "shmpool/heap/page_heap.hpp"

namespace shmpool {

template <typename StoreHook = NoStoreHook>
class GuardedPageHeap final : public PageHeap {
public:
    using Words = HeapWords<StoreHook>;
    using Engine = BitmapPages<Words>;

    [[nodiscard]] static Result<void> format(std::span<std::byte> memory,
                                             const HeapOptions& options) {
        const auto plan = PagePlan::of(memory.size(), options.bytes_per_page, options.map_alignment,
                                       options.owned);
        if (!plan) return tl::unexpected(plan.error());
        const auto region = begin_heap(memory, plan->heap, options);
        if (!region) return tl::unexpected(region.error());
        GuardedPageHeap heap(memory, *plan, std::chrono::nanoseconds::zero());
        if (const auto added = heap.add_memory(1, *region); !added) {
            return tl::unexpected(why_not_begun(plan->heap, memory, added.error()));
        }
        publish_heap(memory);
        return {};
    }

    /// The header has been checked, and is of this plan.
    GuardedPageHeap(std::span<std::byte> memory, const PagePlan& plan,
                    std::chrono::nanoseconds patience, HeapOrigin origin = {})
        : plan_(plan),
          guard_(memory, plan.heap, patience),
          origin_(origin),
          map_alignment_(guard_.header().map_alignment) {}

    [[nodiscard]] std::uint64_t bytes_per_page() const override { return plan_.bytes_per_page; }

    Outcome<HeapOffset> allocate_pages(HeapUser user, std::uint64_t count,
                                       std::uint64_t alignment_bytes) override {
        if (count == 0 || !may_align(alignment_bytes)) return fail(Errc::invalid_argument);
        return change(user.holder, [&](Words&, Engine& engine) {
            return engine.allocate(count, alignment_bytes, user.owner).map(as_given());
        });
    }

    Outcome<HeapOffset> allocate_pages_at(HeapUser user, HeapOffset base, std::uint64_t count,
                                          std::uint64_t alignment_bytes) override {
        const HeapOffset place = origin_.inside(base);
        if (count == 0 || !may_align(alignment_bytes) || place % alignment_bytes != 0) {
            return fail(Errc::invalid_argument);
        }
        return change(user.holder, [&](Words&, Engine& engine) {
            return engine.allocate_at(place, count, user.owner).map(as_given());
        });
    }

    Outcome<void> free_pages(HeapHolder holder, HeapOffset offset, std::uint64_t count) override {
        const HeapOffset first = origin_.inside(offset);
        if (count == 0 || first % plan_.bytes_per_page != 0) return fail(Errc::invalid_argument);
        return change(holder, [&](Words&, Engine& engine) { return engine.free(first, count); });
    }

    Outcome<HeapOffset> allocate_pages_into(HeapHolder holder, std::uint64_t count,
                                            std::uint64_t alignment_bytes,
                                            const HeapCell& cell) override {
        if (count == 0 || !may_align(alignment_bytes)) return fail(Errc::invalid_argument);
        return change(holder, [&](Words& words, Engine& engine) {
            const auto place = empty_place_of(words, origin_, cell, usable_in(engine));
            return place.and_then([&](HeapOffset at) {
                const auto taken = engine.allocate(count, alignment_bytes, nobodys).map(as_given());
                return taken.map([&](HeapOffset page) {
                    words.set_when_decided(at, page);
                    return page;
                });
            });
        });
    }

    Outcome<void> keep_pages_in(HeapHolder holder, HeapOffset offset, std::uint64_t count,
                                const HeapCell& cell) override {
        const HeapOffset first = origin_.inside(offset);
        if (count == 0 || first % plan_.bytes_per_page != 0) return fail(Errc::invalid_argument);
        return change(holder, [&](Words& words, Engine& engine) -> Outcome<void> {
            const auto place = empty_place_of(words, origin_, cell, usable_in(engine));
            if (!place) return tl::unexpected(place.error());
            if (!engine.are_live(first, count)) return fail(Errc::not_allocated);
            engine.keep(first, count);
            words.set_when_decided(*place, offset);
            return {};
        });
    }

    Outcome<void> free_pages_from(HeapHolder holder, std::uint64_t count,
                                  const HeapCell& cell) override {
        if (count == 0) return fail(Errc::invalid_argument);
        return change(holder, [&](Words& words, Engine& engine) -> Outcome<void> {
            const auto place = place_of(origin_, cell, usable_in(engine));
            if (!place) return tl::unexpected(place.error());
            const HeapOffset page = origin_.inside(words.get(*place));
            if (page % plan_.bytes_per_page != 0) return fail(Errc::not_allocated);
            words.set(*place, 0);
            return engine.free(page, count);
        });
    }

    Outcome<void> set_owner(HeapHolder holder, HeapOffset offset, std::uint64_t count,
                            HeapOwner owner) override {
        const bool is_owned = plan_.owners != 0;
        if (!is_owned && owner != nobodys) return fail(Errc::unsupported);
        const HeapOffset first = origin_.inside(offset);
        if (count == 0 || first % plan_.bytes_per_page != 0) return fail(Errc::invalid_argument);
        return guard_.one_by_one(is_owned ? count : 1, [&](std::uint64_t i) {
            return change(holder, [&](Words&, Engine& engine) -> Outcome<void> {
                const HeapOffset page = first + i * plan_.bytes_per_page;
                if (!engine.are_live(page, count - i)) return fail(Errc::not_allocated);
                if (is_owned) engine.set_owner(page, owner);
                return {};
            });
        });
    }

    Outcome<std::uint64_t> reclaim(HeapHolder holder, const IsGone& is_gone) override {
        const auto in_change = [&](auto body) {
            return change(holder, [&](Words&, Engine& engine) { return body(engine); });
        };
        return guard_.template reclaim_numbers<Engine>(in_change, is_gone);
    }

    Outcome<void> add_memory(HeapHolder holder, const HeapExtent& extent) override {
        if (!guard_.may_be_region(extent)) return fail(Errc::invalid_argument);
        return change(holder, [&](Words& words, Engine& engine) -> Outcome<void> {
            const HeapExtent pages = engine.whole_pages(extent);
            if (pages.bytes == 0) return fail(Errc::region_too_small);
            TakenAlike taker([&](const HeapExtent& added) { return engine.add_region(added); });
            return guard_.add_region(words, pages, taker);
        });
    }

    Outcome<PageStatistics> statistics(HeapHolder holder) override {
        return change(holder, [](Words&, Engine& engine) -> Outcome<PageStatistics> {
            return PageStatistics{engine.total_pages(), engine.used_pages(),
                                  engine.available_pages()};
        });
    }

    Outcome<std::vector<HeapFinding>> audit(HeapHolder holder) override {
        return guard_.audit(holder,
                            [&](Words& words) { return Engine(words, plan_).take_census(); });
    }

    void holder_died(HeapHolder holder) override { guard_.holder_died(holder); }

private:
    [[nodiscard]] bool may_align(std::uint64_t alignment_bytes) const {
        return std::has_single_bit(alignment_bytes) && alignment_bytes >= plan_.bytes_per_page &&
               alignment_bytes <= map_alignment_;
    }

    [[nodiscard]] auto as_given() const {
        return [this](HeapOffset page) { return origin_.given(page); };
    }

    /// Of one page.
    [[nodiscard]] auto usable_in(Engine& engine) const {
        return [&](HeapOffset page) -> Outcome<std::uint64_t> {
            const bool is_live = page % plan_.bytes_per_page == 0 && engine.are_live(page, 1);
            if (!is_live) return fail(Errc::not_allocated);
            return plan_.bytes_per_page;
        };
    }

    template <typename Body>
    auto change(HeapHolder holder, Body body) -> std::invoke_result_t<Body, Words&, Engine&> {
        return guard_.change(holder, [&](Words& words) {
            Engine engine(words, plan_);
            return body(words, engine);
        });
    }

    PagePlan plan_;
    HeapGuard<StoreHook> guard_;
    HeapOrigin origin_;
    std::uint64_t map_alignment_;  ///< Read once, as the plan.
};

}  // namespace shmpool
