// SPDX-License-Identifier: Apache-2.0
/// What makes an engine a heap: its header, its lock, the undoing of what the dead and the failed
/// have left, the counters, and the checks of arguments. An engine is plain code over HeapWords.
#pragma once

#include <bit>
#include <string>
#include <type_traits>
#include <utility>

#include "shmpool/heap/byte_heap.hpp"

namespace shmpool {

namespace heap_layout {

inline constexpr HeapOffset journal_offset = sizeof(HeapHeader);

[[nodiscard]] constexpr HeapOffset engine_offset(std::uint32_t journal_limit) {
    return journal_offset + std::uint64_t{journal_limit} * sizeof(JournalEntry);
}

/// Checks what every kind has in common. `kind` is checked by the caller.
[[nodiscard]] Result<void> check_header(std::span<std::byte> memory, std::uint32_t journal_limit);
[[nodiscard]] Result<void> check_memory(std::span<const std::byte> memory,
                                        const HeapOptions& options);

}  // namespace heap_layout

template <template <typename> typename EngineOf, typename StoreHook = NoStoreHook>
class GuardedHeap final : public ByteHeap {
public:
    using Words = HeapWords<StoreHook>;
    using Engine = EngineOf<Words>;

    static constexpr HeapOffset engine_offset = heap_layout::engine_offset(Engine::journal_limit);
    static constexpr HeapOffset first_free = engine_offset + Engine::engine_bytes;

    [[nodiscard]] static Result<void> format(std::span<std::byte> memory,
                                             const HeapOptions& options) {
        if (auto good = heap_layout::check_memory(memory, options); !good) return good;
        HeapExtent region = options.first_region;
        if (region.bytes == 0)
            region = {first_free, memory.size() - std::min(memory.size(), first_free)};
        if (memory.size() < first_free || region.offset < first_free) {
            return fail(Errc::region_too_small,
                        "a heap of this kind keeps the first " + std::to_string(first_free) +
                            " bytes for itself; " + std::to_string(memory.size()) + " were given");
        }
        std::ranges::fill(memory.first(first_free), std::byte{0});
        auto* const header = reinterpret_cast<HeapHeader*>(memory.data());
        header->layout_version = heap_layout_version;
        header->kind = static_cast<std::uint32_t>(Engine::kind);
        header->memory_bytes = memory.size();
        header->journal_offset = heap_layout::journal_offset;
        header->journal_limit = Engine::journal_limit;
        header->engine_offset = engine_offset;
        header->map_alignment = options.map_alignment;
        GuardedHeap heap(memory, std::chrono::nanoseconds::zero());
        if (const auto added = heap.add_memory(1, region); !added) {
            return tl::unexpected(to_error(added.error()));
        }
        header->magic.store(heap_magic, std::memory_order_release);  // [R-heap-format]
        return {};
    }

    /// The header has been checked, and is of this kind.
    GuardedHeap(std::span<std::byte> memory, std::chrono::nanoseconds patience)
        : memory_(memory), patience_(patience) {}

    Outcome<HeapOffset> allocate(HeapHolder holder, std::uint64_t bytes,
                                 std::uint64_t alignment) override {
        if (!std::has_single_bit(alignment) || alignment > header().map_alignment) {
            return shmpool::fail(Errc::invalid_argument);
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
        return change(holder, [&](Words& words, Engine& engine) -> Outcome<void> {
            const auto place = place_for(words, extent);
            if (!place) return tl::unexpected(place.error());
            const auto room = engine.add_region(extent);
            if (!room) return tl::unexpected(room.error());
            words.add(offsetof(HeapHeader, total_bytes), *room);
            words.set(*place, extent.offset);
            words.set(*place + offsetof(HeapRegionImage, bytes), extent.bytes);
            return {};
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
        return change(
            holder, [&](Words& words, Engine& engine) -> Outcome<std::vector<HeapFinding>> {
                HeapCensus census = engine.take_census();
                census.expect("total_bytes", offsetof(HeapHeader, total_bytes), census.total_bytes,
                              words.get(offsetof(HeapHeader, total_bytes)));
                census.expect("used_bytes", offsetof(HeapHeader, used_bytes), census.used_bytes,
                              words.get(offsetof(HeapHeader, used_bytes)));
                census.expect("blocks", offsetof(HeapHeader, blocks), census.blocks,
                              words.get(offsetof(HeapHeader, blocks)));
                return std::move(census.findings);
            });
    }

    void holder_died(HeapHolder holder) override { HeapLock(header().lock).orphan(holder); }

private:
    [[nodiscard]] HeapHeader& header() const {
        return *reinterpret_cast<HeapHeader*>(memory_.data());
    }

    static void count(Words& words, std::uint64_t bytes, std::uint64_t blocks) {
        words.add(offsetof(HeapHeader, used_bytes), bytes);
        words.add(offsetof(HeapHeader, blocks), blocks);
    }

    /// Where the table has room for the region. memory_overlap, invalid_argument.
    [[nodiscard]] Outcome<HeapOffset> place_for(Words& words, const HeapExtent& extent) const {
        const bool lies_inside = extent.offset % 8 == 0 && extent.offset >= first_free &&
                                 extent.offset <= memory_.size() &&
                                 extent.bytes <= memory_.size() - extent.offset;
        if (!lies_inside) return shmpool::fail(Errc::invalid_argument);
        HeapOffset place = 0;
        for (std::uint32_t i = heap_regions_max; i-- > 0;) {
            const HeapExtent other = words.region(i);
            if (other.bytes == 0)
                place = offsetof(HeapHeader, regions) + i * sizeof(HeapRegionImage);
            if (other.overlaps(extent)) return shmpool::fail(Errc::memory_overlap);
        }
        if (place == 0) return shmpool::fail(Errc::no_memory);
        return place;
    }

    /// All of it or nothing: under the lock, behind the undoing of what somebody has left.
    template <typename Body>
    auto change(HeapHolder holder, Body body) -> std::invoke_result_t<Body, Words&, Engine&> {
        HeapLock lock(header().lock);
        if (auto got = lock.lock(holder, patience_); !got) {
            return tl::unexpected(got.error());
        }
        Words words(memory_, heap_layout::journal_offset, Engine::journal_limit);
        if (words.has_entries()) words.undo();
        Engine engine(words, engine_offset);
        auto result = body(words, engine);
        if (words.failed()) {
            words.undo();
            header().damaged.store(1, std::memory_order_relaxed);
            result = shmpool::fail(Errc::heap_damaged);
        } else if (result) {
            words.commit();
        } else {
            words.undo();
        }
        lock.unlock();
        return result;
    }

    std::span<std::byte> memory_;
    std::chrono::nanoseconds patience_;
};

}  // namespace shmpool
