// SPDX-License-Identifier: Apache-2.0
/// What makes slabs of objects a heap: the guard that all kinds share, and the counters. To
/// allocate and to free is compiled in one piece each (see guarded_heap.hpp).
#pragma once

#include <type_traits>

#include "shmpool/heap/heap_guard.hpp"
#include "shmpool/heap/heap_origin.hpp"
#include "shmpool/heap/object_census.hpp"
#include "shmpool/heap/object_heap.hpp"
#include "shmpool/heap/object_slabs.hpp"

namespace shmpool {

template <typename StoreHook = NoStoreHook>
class GuardedObjectHeap final : public ObjectHeap {
public:
    using Words = HeapWords<StoreHook>;
    using Engine = ObjectSlabs<Words>;

    [[nodiscard]] static Result<void> format(std::span<std::byte> memory,
                                             const HeapOptions& options) {
        const auto plan = ObjectPlan::of(options.block_bytes, options.bytes_per_page,
                                         options.map_alignment, options.owned);
        if (!plan) return tl::unexpected(plan.error());
        const auto region = begin_heap(memory, plan->heap, options);
        if (!region) return tl::unexpected(region.error());
        GuardedObjectHeap heap(memory, *plan, std::chrono::nanoseconds::zero());
        if (const auto added = heap.add_memory(1, *region); !added) {
            return tl::unexpected(why_not_begun(plan->heap, memory, added.error()));
        }
        publish_heap(memory);
        return {};
    }

    /// The header has been checked, and is of this plan.
    GuardedObjectHeap(std::span<std::byte> memory, const ObjectPlan& plan,
                      std::chrono::nanoseconds patience, HeapOrigin origin = {})
        : plan_(plan), guard_(memory, plan.heap, patience), origin_(origin) {}

    [[nodiscard]] std::uint64_t object_bytes() const override { return plan_.shape.object_bytes; }
    [[nodiscard]] std::uint64_t object_alignment() const override {
        return plan_.shape.alignment();
    }
    [[nodiscard]] std::uint64_t slab_bytes() const override { return plan_.shape.slab_bytes; }

    [[gnu::flatten]] Outcome<HeapOffset> allocate(HeapUser user) override {
        return change(user.holder, [&](Words& words, Engine& engine) {
            return engine.allocate(user.owner).map([&](HeapOffset object) {
                count(words, 1);
                return origin_.given(object);
            });
        });
    }

    [[gnu::flatten]] Outcome<void> free(HeapHolder holder, HeapOffset object) override {
        return change(holder, [&](Words& words, Engine& engine) {
            return free_one(words, engine, origin_.inside(object));
        });
    }

    Outcome<HeapOffset> allocate_into(HeapHolder holder, const HeapCell& cell) override {
        return change(holder, [&](Words& words, Engine& engine) {
            const auto place = empty_place_of(words, origin_, cell, usable_in(engine));
            return place.and_then([&](HeapOffset at) {
                return engine.allocate(nobodys).map([&](HeapOffset object) {
                    count(words, 1);
                    words.set_when_decided(at, origin_.given(object));
                    return origin_.given(object);
                });
            });
        });
    }

    Outcome<void> keep_in(HeapHolder holder, HeapOffset object, const HeapCell& cell) override {
        return change(holder, [&](Words& words, Engine& engine) -> Outcome<void> {
            const auto place = empty_place_of(words, origin_, cell, usable_in(engine));
            if (!place) return tl::unexpected(place.error());
            if (!engine.is_live(origin_.inside(object))) return fail(Errc::not_allocated);
            if (plan_.owned) (void)engine.set_owner(origin_.inside(object), nobodys);
            words.set_when_decided(*place, object);
            return {};
        });
    }

    Outcome<void> free_from(HeapHolder holder, const HeapCell& cell) override {
        return change(holder, [&](Words& words, Engine& engine) -> Outcome<void> {
            const auto place = place_of(origin_, cell, usable_in(engine));
            if (!place) return tl::unexpected(place.error());
            const HeapOffset object = origin_.inside(words.get(*place));
            words.set(*place, 0);
            return free_one(words, engine, object);
        });
    }

    Outcome<bool> is_live(HeapHolder holder, HeapOffset object) override {
        return change(holder, [&](Words&, Engine& engine) -> Outcome<bool> {
            return engine.is_live(origin_.inside(object));
        });
    }

    Outcome<void> set_owner(HeapHolder holder, HeapOffset object, HeapOwner owner) override {
        if (!plan_.owned && owner != nobodys) return fail(Errc::unsupported);
        return change(holder, [&](Words&, Engine& engine) -> Outcome<void> {
            const HeapOffset inside = origin_.inside(object);
            if (plan_.owned) return engine.set_owner(inside, owner);
            if (!engine.is_live(inside)) return fail(Errc::not_allocated);
            return {};
        });
    }

    Outcome<std::uint64_t> reclaim(HeapHolder holder, const IsGone& is_gone) override {
        using Left = Outcome<std::vector<std::uint64_t>>;
        if (!plan_.owned) return 0;
        const auto find = [&] {
            return change(holder, [&](Words&, Engine& engine) -> Left {
                auto left = engine.all_left(is_gone);
                if (left.met_damage) guard_.note_damage();
                return std::move(left.objects);
            });
        };
        return guard_.reclaim(find, [&](HeapOffset object) {
            return change(holder, [&](Words& words, Engine& engine) -> Outcome<bool> {
                if (!engine.is_left(object, is_gone)) return false;
                return free_one(words, engine, object).map([] { return true; });
            });
        });
    }

    Outcome<void> add_memory(HeapHolder holder, const HeapExtent& extent) override {
        if (!guard_.may_be_region(extent)) return fail(Errc::invalid_argument);
        return change(holder, [&](Words& words, Engine& engine) -> Outcome<void> {
            const HeapExtent slabs = engine.whole_slabs(extent);
            if (slabs.bytes == 0) return fail(Errc::region_too_small);
            TakenAlike taker([&](const HeapExtent& added) { return engine.room_in(added); });
            return guard_.add_region(words, slabs, taker);
        });
    }

    Outcome<ObjectStatistics> statistics(HeapHolder holder) override {
        return change(holder, [&](Words& words, Engine& engine) -> Outcome<ObjectStatistics> {
            return ObjectStatistics{
                words.get(offsetof(HeapHeader, total_bytes)) / plan_.shape.object_bytes,
                words.get(offsetof(HeapHeader, blocks)), engine.count_slabs()};
        });
    }

    Outcome<std::vector<HeapFinding>> audit(HeapHolder holder) override {
        return guard_.audit(holder,
                            [&](Words& words) { return ObjectCensus<Words>(words, plan_).take(); });
    }

    void holder_died(HeapHolder holder) override { guard_.holder_died(holder); }

private:
    void count(Words& words, std::uint64_t objects) const {
        words.add(offsetof(HeapHeader, used_bytes), objects * plan_.shape.object_bytes);
        words.add(offsetof(HeapHeader, blocks), objects);
    }
    Answer<void> free_one(Words& words, Engine& engine, HeapOffset object) const {
        return engine.free(object).map([&] { count(words, 0 - std::uint64_t{1}); });
    }

    [[nodiscard]] auto usable_in(Engine& engine) const {
        return [&](HeapOffset object) -> Outcome<std::uint64_t> {
            if (!engine.is_live(object)) return fail(Errc::not_allocated);
            return plan_.shape.object_bytes;
        };
    }

    template <typename Body>
    auto change(HeapHolder holder, Body body) -> std::invoke_result_t<Body, Words&, Engine&> {
        return guard_.change(holder, [&](Words& words) {
            Engine engine(words, plan_);
            return body(words, engine);
        });
    }

    ObjectPlan plan_;
    HeapGuard<StoreHook> guard_;
    HeapOrigin origin_;
};

}  // namespace shmpool
