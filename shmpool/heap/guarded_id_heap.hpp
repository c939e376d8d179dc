// SPDX-License-Identifier: Apache-2.0
/// What makes bitmaps a heap of ids: the guard that all kinds share, and the checks of arguments.
#pragma once

#include <algorithm>
#include <bit>
#include <type_traits>

#include "shmpool/heap/bitmap_ids.hpp"
#include "shmpool/heap/heap_guard.hpp"
#include "shmpool/heap/id_heap.hpp"

namespace shmpool {

template <typename StoreHook = NoStoreHook>
class GuardedIdHeap final : public IdHeap {
public:
    using Words = HeapWords<StoreHook>;
    using Engine = BitmapIds<Words>;

    [[nodiscard]] static Result<void> format(std::span<std::byte> memory,
                                             const HeapOptions& options) {
        const std::uint64_t capacity = std::max(options.id_capacity, options.id_count);
        const auto plan = IdPlan::of(memory.size(), options.first_id, capacity, options.owned);
        if (!plan) return tl::unexpected(plan.error());
        HeapOptions no_region = options;
        no_region.first_region = {};
        const auto begun = begin_heap(memory, plan->heap, no_region);
        if (!begun) return tl::unexpected(begun.error());
        GuardedIdHeap heap(memory, *plan, std::chrono::nanoseconds::zero());
        if (const auto added = heap.add_ids(1, options.id_count); !added) {
            return tl::unexpected(to_error(added.error()));
        }
        publish_heap(memory);
        return {};
    }

    /// The header has been checked, and is of this plan.
    GuardedIdHeap(std::span<std::byte> memory, const IdPlan& plan,
                  std::chrono::nanoseconds patience)
        : plan_(plan), guard_(memory, plan.heap, patience) {}

    Outcome<std::uint64_t> allocate_id(HeapUser user, std::uint64_t count,
                                       std::uint64_t alignment) override {
        if (count == 0 || !std::has_single_bit(alignment)) return fail(Errc::invalid_argument);
        return change(user.holder, [&](Words&, Engine& engine) {
            return engine.allocate(count, alignment, user.owner);
        });
    }

    Outcome<void> allocate_fixed_id(HeapHolder holder, std::uint64_t id) override {
        return change(holder, [&](Words&, Engine& engine) { return engine.allocate_fixed(id); });
    }

    Outcome<void> free_id(HeapHolder holder, std::uint64_t start, std::uint64_t count) override {
        if (count == 0) return fail(Errc::invalid_argument);
        return change(holder, [&](Words&, Engine& engine) { return engine.free(start, count); });
    }

    Outcome<bool> is_allocated(HeapHolder holder, std::uint64_t id) override {
        return change(holder, [&](Words&, Engine& engine) -> Outcome<bool> {
            return engine.are_live(id, 1);
        });
    }

    Outcome<void> set_owner(HeapHolder holder, std::uint64_t start, std::uint64_t count,
                            HeapOwner owner) override {
        const bool is_owned = plan_.owners != 0;
        if (!is_owned && owner != nobodys) return fail(Errc::unsupported);
        if (count == 0) return fail(Errc::invalid_argument);
        return guard_.one_by_one(is_owned ? count : 1, [&](std::uint64_t i) {
            return change(holder, [&](Words&, Engine& engine) -> Outcome<void> {
                if (!engine.are_live(start + i, count - i)) return fail(Errc::not_allocated);
                if (is_owned) engine.set_owner(start + i, owner);
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

    Outcome<void> add_ids(HeapHolder holder, std::uint64_t count) override {
        if (count == 0) return fail(Errc::invalid_argument);
        return change(holder, [&](Words&, Engine& engine) { return engine.add(count); });
    }

    Outcome<IdStatistics> statistics(HeapHolder holder) override {
        return change(holder, [](Words&, Engine& engine) -> Outcome<IdStatistics> {
            return IdStatistics{engine.size(), engine.used(), engine.available()};
        });
    }

    Outcome<std::vector<HeapFinding>> audit(HeapHolder holder) override {
        return guard_.audit(holder,
                            [&](Words& words) { return Engine(words, plan_).take_census(); });
    }

    void holder_died(HeapHolder holder) override { guard_.holder_died(holder); }

private:
    template <typename Body>
    auto change(HeapHolder holder, Body body) -> std::invoke_result_t<Body, Words&, Engine&> {
        return guard_.change(holder, [&](Words& words) {
            Engine engine(words, plan_);
            return body(words, engine);
        });
    }

    IdPlan plan_;
    HeapGuard<StoreHook> guard_;
};

}  // namespace shmpool
