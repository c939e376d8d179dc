// SPDX-License-Identifier: Apache-2.0
/// What makes an engine of the stack family a heap: the guard that all kinds of heaps share, the
/// rules of the null handle, and what happens before and behind each change. Before it: what a
/// dead holder has decided and not finished is finished, and who has just opened the heap looks
/// whether anything was lost. Behind it: what this change has decided is finished.
#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include "shmpool/heap/heap_guard.hpp"
#include "shmpool/heap/heap_origin.hpp"
#include "shmpool/heap/stack.hpp"
#include "shmpool/heap/stack_heap.hpp"

namespace shmpool {

template <template <typename> typename EngineOf, typename StoreHook = NoStoreHook>
class GuardedStack final : public StackHeap {
public:
    using Words = HeapWords<StoreHook>;
    using Engine = EngineOf<Words>;

    [[nodiscard]] static Result<void> format(std::span<std::byte> memory,
                                             const HeapOptions& options) {
        if (options.owned) {
            return fail(Errc::unsupported,
                        "a heap of kind " + std::string(name_of(Engine::shape(8).kind)) +
                            " does not know whose a block is; what the dead held "
                            "is kept (on_death = keep)");
        }
        const std::uint64_t block_bytes = options.block_bytes;
        if (!Engine::may_have_blocks_of(block_bytes)) {
            return fail(Errc::invalid_argument, "block_size (block_bytes) is " +
                                                    std::to_string(block_bytes) +
                                                    "; it must be a multiple of 8, from 8 to " +
                                                    std::to_string((std::uint64_t{1} << 63) - 8));
        }
        const StackPlan plan = StackPlan::of(Engine::shape(block_bytes), memory.size());
        if (plan.shape.block_bytes != 0 &&
            plan.capacity < plan.shape.arena + plan.shape.granule_bytes) {
            return tl::unexpected(why_not_begun(plan.heap, memory, Errc::region_too_small));
        }
        if (const auto begun = begin_heap(memory, plan.heap, options); !begun) {
            return tl::unexpected(begun.error());
        }
        GuardedStack heap(memory, plan, std::chrono::nanoseconds::zero());
        if (const auto formatted = heap.write_stack_header(); !formatted) {
            return tl::unexpected(why_not_begun(plan.heap, memory, Errc::region_too_small));
        }
        publish_heap(memory);
        return {};
    }

    /// The header has been checked, and is of this plan.
    GuardedStack(std::span<std::byte> memory, const StackPlan& plan,
                 std::chrono::nanoseconds patience, HeapOrigin origin = {}, StoreHook hook = {})
        : memory_(memory),
          plan_(plan),
          guard_(memory, plan.heap, patience, hook),
          origin_(origin) {}

    /// What the stack begins with, without the lock: words that never change, and `len`, which is
    /// right before and behind each store. wrong_magic, damaged_header, config_mismatch.
    [[nodiscard]] Outcome<void> check() {
        Words words = guard_.words();
        Stack<Words> stack(words, plan_);
        auto checked = Engine(stack).check();
        return words.failed() ? fail(Errc::damaged_header) : checked;
    }

    [[nodiscard]] HeapKind kind() const override { return plan_.shape.kind; }
    [[nodiscard]] std::uint64_t block_bytes() const override { return plan_.shape.block_bytes; }
    [[nodiscard]] std::uint64_t user_bytes() const override { return Engine::user_bytes; }

    Outcome<StackHandle> alloc(HeapHolder holder, std::uint64_t len) override {
        if (Engine::has_null && len == 0) return StackHandle{};
        return change(holder, [&](Engine& engine) { return engine.alloc(len).map(as_given()); });
    }

    Outcome<StackHandle> realloc(HeapHolder holder, const StackHandle& handle,
                                 std::uint64_t len) override {
        if (Engine::has_null && handle.is_null()) return alloc(holder, len);
        if (Engine::has_null && len == 0) {
            return dealloc(holder, handle).map([] { return StackHandle{}; });
        }
        return change(holder, [&](Engine& engine) {
            return engine.realloc(inside(handle), len).map(as_given());
        });
    }

    Outcome<void> dealloc(HeapHolder holder, const StackHandle& handle) override {
        if (Engine::has_null && handle.is_null()) return {};
        return change(holder, [&](Engine& engine) { return engine.dealloc(inside(handle)); });
    }

    Outcome<std::vector<StackHandle>> alloc_bulk(HeapHolder holder,
                                                 std::span<const std::uint64_t> lengths) override {
        if (lengths.empty()) return std::vector<StackHandle>{};
        return change(holder, [&](Engine& engine) {
            return engine.alloc_bulk(lengths).map([&](std::vector<StackHandle> handles) {
                std::ranges::transform(handles, handles.begin(), as_given());
                return handles;
            });
        });
    }

    Outcome<void> dealloc_bulk(HeapHolder holder, std::span<const StackHandle> handles) override {
        if (handles.empty()) return {};
        return or_out_of_memory([&] {
            std::vector<StackHandle> blocks;
            blocks.reserve(handles.size());
            for (const StackHandle& one : handles) blocks.push_back(inside(one));
            return change(holder, [&](Engine& engine) { return engine.dealloc_bulk(blocks); });
        });
    }

    Outcome<std::uint64_t> len(HeapHolder holder) override {
        return statistics(holder).map([](const StackStatistics& now) { return now.len; });
    }
    Outcome<bool> is_empty(HeapHolder holder) override {
        return len(holder).map([](std::uint64_t bytes) { return bytes == 0; });
    }

    Outcome<StackStatistics> statistics(HeapHolder holder) override {
        return change(holder,
                      [&](Words& words, Stack<Words>& stack, Engine&) -> Outcome<StackStatistics> {
                          return StackStatistics{plan_.capacity, stack.len(),
                                                 words.get(offsetof(HeapHeader, used_bytes)),
                                                 words.get(offsetof(HeapHeader, blocks))};
                      });
    }

    Outcome<std::uint64_t> recover(HeapHolder holder) override {
        return guard_.change(holder, [&](Words& words) {
            Stack<Words> stack(words, plan_);
            return Engine(stack).recover();
        });
    }

    Outcome<std::vector<HeapFinding>> audit(HeapHolder holder) override {
        const auto look = [&](Words& words) {
            Stack<Words> stack(words, plan_);
            return Engine(stack).take_census();
        };
        // What the dead have left is finished first, if that is possible.
        auto findings = change(holder, [&](Engine&) -> Outcome<std::vector<HeapFinding>> {
            return guard_.findings_of(look);
        });
        if (findings || findings.error() != Errc::heap_damaged) return findings;
        return guard_.audit(holder, look);
    }

    Outcome<std::uint64_t> reclaim(HeapHolder, const IsGone&) override { return 0; }

    Outcome<std::span<std::byte>> stack() override { return memory_.subspan(plan_.begin); }

    void holder_died(HeapHolder holder) override { guard_.holder_died(holder); }

private:
    [[nodiscard]] auto as_given() const {
        return [this](const StackHandle& block) {
            if (Engine::has_null && block.is_null()) return block;
            return StackHandle{origin_.given(block.offset), block.len};
        };
    }
    [[nodiscard]] StackHandle inside(const StackHandle& handle) const {
        if (Engine::has_null && handle.is_null()) return handle;
        return {origin_.inside(handle.offset), handle.len};
    }

    Outcome<void> write_stack_header() {
        return guard_.change(1, [&](Words& words) -> Outcome<void> {
            words.set(offsetof(HeapHeader, total_bytes), plan_.capacity);
            Stack<Words> stack(words, plan_);
            return Engine(stack).format();
        });
    }

    template <typename Body>
    auto change(HeapHolder holder, Body body) {
        return change(holder, [&](Words&, Stack<Words>&, Engine& engine) { return body(engine); });
    }

    template <typename Body>
    requires std::is_invocable_v < Body, Words&, Stack<Words>
    &, Engine& > auto change(HeapHolder holder, Body body)
                     -> std::invoke_result_t<Body, Words&, Stack<Words>&, Engine&> {
        return guard_.change(
            holder,
            [&](Words& words) -> std::invoke_result_t<Body, Words&, Stack<Words>&, Engine&> {
                Stack<Words> stack(words, plan_);
                Engine engine(stack);
                is_open_ ? engine.finish() : engine.open();
                if (!stack.commit()) return fail(Errc::heap_damaged);
                is_open_ = true;
                auto result = body(words, stack, engine);
                if (result && stack.commit()) engine.finish();
                return result;
            });
    }

    std::span<std::byte> memory_;
    StackPlan plan_;
    HeapGuard<StoreHook> guard_;
    HeapOrigin origin_;
    bool is_open_ = false;  ///< Read and written under the heap's lock.
};

}  // namespace shmpool
