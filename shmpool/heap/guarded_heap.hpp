// SPDX-License-Identifier: Apache-2.0
/// What makes an engine a heap of bytes: the guard that all kinds share, the checks of arguments,
/// and the counters. An engine is plain code over HeapWords.
#pragma once

#include <bit>
#include <type_traits>

#include "shmpool/heap/byte_heap.hpp"
#include "shmpool/heap/heap_guard.hpp"

namespace shmpool {

template <template <typename> typename EngineOf, typename StoreHook = NoStoreHook>
class GuardedHeap final : public ByteHeap {
public:
    using Words = HeapWords<StoreHook>;
    using Engine = EngineOf<Words>;

    static constexpr HeapPlan plan{Engine::kind, Engine::journal_limit, Engine::engine_bytes, {}};
    static constexpr HeapOffset engine_offset = plan.engine_offset();
    static constexpr HeapOffset first_free = plan.first_free();

    [[nodiscard]] static Result<void> format(std::span<std::byte> memory,
                                             const HeapOptions& options) {
        const auto region = begin_heap(memory, plan, options);
        if (!region) return tl::unexpected(region.error());
        GuardedHeap heap(memory, std::chrono::nanoseconds::zero());
        if (const auto added = heap.add_memory(1, *region); !added) {
            return tl::unexpected(to_error(added.error()));
        }
        publish_heap(memory);
        return {};
    }

    /// The header has been checked, and is of this kind.
    GuardedHeap(std::span<std::byte> memory, std::chrono::nanoseconds patience)
        : guard_(memory, plan, patience) {}

    Outcome<HeapOffset> allocate(HeapHolder holder, std::uint64_t bytes,
                                 std::uint64_t alignment) override {
        if (!std::has_single_bit(alignment) || alignment > guard_.header().map_alignment) {
            return fail(Errc::invalid_argument);
        }
        return change(holder, [&](Words& words, Engine& engine) {
            return engine.allocate(bytes, alignment).map([&](const HeapPiece& piece) {
                count(words, piece.bytes, 1);
                return piece.offset;
            });
        });
    }

    Outcome<void> free(HeapHolder holder, HeapOffset block) override {
        return change(holder, [&](Words& words, Engine& engine) {
            return engine.free(block).map(
                [&](std::uint64_t bytes) { count(words, 0 - bytes, 0 - std::uint64_t{1}); });
        });
    }

    Outcome<std::uint64_t> usable_bytes(HeapHolder holder, HeapOffset block) override {
        return change(holder, [&](Words&, Engine& engine) { return engine.usable_bytes(block); });
    }

    Outcome<void> add_memory(HeapHolder holder, const HeapExtent& extent) override {
        return change(holder, [&](Words& words, Engine& engine) {
            return guard_.add_region(
                words, extent, [&](const HeapExtent& added) { return engine.add_region(added); });
        });
    }

    Outcome<HeapStatistics> statistics(HeapHolder holder) override {
        return change(holder, [&](Words& words, Engine&) -> Outcome<HeapStatistics> {
            return HeapStatistics{words.get(offsetof(HeapHeader, total_bytes)),
                                  words.get(offsetof(HeapHeader, used_bytes)),
                                  words.get(offsetof(HeapHeader, blocks))};
        });
    }

    Outcome<std::vector<HeapFinding>> audit(HeapHolder holder) override {
        return change(holder,
                      [&](Words& words, Engine& engine) -> Outcome<std::vector<HeapFinding>> {
                          return guard_.findings(words, engine.take_census());
                      });
    }

    void holder_died(HeapHolder holder) override { guard_.holder_died(holder); }

private:
    static void count(Words& words, std::uint64_t bytes, std::uint64_t blocks) {
        words.add(offsetof(HeapHeader, used_bytes), bytes);
        words.add(offsetof(HeapHeader, blocks), blocks);
    }

    template <typename Body>
    auto change(HeapHolder holder, Body body) -> std::invoke_result_t<Body, Words&, Engine&> {
        return guard_.change(holder, [&](Words& words) {
            Engine engine(words, engine_offset);
            return body(words, engine);
        });
    }

    HeapGuard<StoreHook> guard_;
};

}  // namespace shmpool
