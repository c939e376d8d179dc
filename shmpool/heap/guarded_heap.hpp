// SPDX-License-Identifier: Apache-2.0
/// What makes an engine a heap of bytes: the guard that all kinds share, the checks of arguments,
/// and the counters. An engine is plain code over HeapWords.
///
/// To allocate and to free is compiled in one piece each, engine and all (`flatten`): a change
/// reads and writes some twenty words, and a call for each cost more than all stores of the
/// journal.
#pragma once

#include <algorithm>
#include <bit>
#include <type_traits>

#include "shmpool/heap/byte_heap.hpp"
#include "shmpool/heap/heap_cell.hpp"
#include "shmpool/heap/heap_guard.hpp"
#include "shmpool/heap/heap_origin.hpp"
#include "shmpool/heap/owned_blocks.hpp"
#include "shmpool/platform/alignment.hpp"

namespace shmpool {

template <template <typename> typename EngineOf, typename StoreHook = NoStoreHook>
class GuardedHeap final : public ByteHeap {
public:
    using Words = HeapWords<StoreHook>;
    using Engine = EngineOf<Words>;

    using Owned = OwnedBlocks<Words>;

    static constexpr HeapPlan plan{
        Engine::kind,
        Engine::journal_limit + Owned::journal_limit + cell_journal_limit,
        Engine::engine_bytes,
        {}};
    static constexpr HeapOffset engine_offset = plan.engine_offset();
    static constexpr HeapOffset first_free = plan.first_free();

    [[nodiscard]] static Result<void> format(std::span<std::byte> memory,
                                             const HeapOptions& options) {
        if (auto fits = check_size(memory.size()); !fits) return fits;
        const auto region = begin_heap(memory, plan, options);
        if (!region) return tl::unexpected(region.error());
        GuardedHeap heap(memory, std::chrono::nanoseconds::zero());
        if (const auto added = heap.add_memory(1, *region); !added) {
            return tl::unexpected(why_not_begun(plan, memory, added.error()));
        }
        publish_heap(memory);
        return {};
    }

    /// The header has been checked, and is of this kind.
    GuardedHeap(std::span<std::byte> memory, std::chrono::nanoseconds patience,
                HeapOrigin origin = {})
        : guard_(memory, plan, patience),
          origin_(origin),
          owned_(guard_.header().owned != 0),
          map_alignment_(guard_.header().map_alignment) {}

    [[gnu::flatten]] Outcome<HeapOffset> allocate(HeapUser user, std::uint64_t bytes,
                                                  std::uint64_t alignment) override {
        if (!may_align(alignment)) return fail(Errc::invalid_argument);
        return change(user.holder, [&](Words& words, Engine& engine) {
            return take(words, engine, user.owner, bytes, alignment).map(as_given());
        });
    }

    [[gnu::flatten]] Outcome<void> free(HeapHolder holder, HeapOffset block) override {
        return change(holder, [&](Words& words, Engine& engine) {
            return give_back(words, engine, origin_.inside(block));
        });
    }

    Outcome<std::uint64_t> usable_bytes(HeapHolder holder, HeapOffset block) override {
        return change(holder, [&](Words& words, Engine& engine) {
            return usable(words, engine, origin_.inside(block));
        });
    }

    Outcome<HeapOffset> allocate_into(HeapHolder holder, std::uint64_t bytes,
                                      std::uint64_t alignment, const HeapCell& cell) override {
        if (!may_align(alignment)) return fail(Errc::invalid_argument);
        return change(holder, [&](Words& words, Engine& engine) {
            return empty_place(words, engine, cell).and_then([&](HeapOffset place) {
                const auto taken = take(words, engine, nobodys, bytes, alignment).map(as_given());
                return taken.map([&](HeapOffset block) {
                    words.set_when_decided(place, block);
                    return block;
                });
            });
        });
    }

    Outcome<void> keep_in(HeapHolder holder, HeapOffset block, const HeapCell& cell) override {
        return change(holder, [&](Words& words, Engine& engine) {
            return empty_place(words, engine, cell).and_then([&](HeapOffset place) {
                return give_to(words, engine, origin_.inside(block), nobodys).map([&] {
                    words.set_when_decided(place, block);
                });
            });
        });
    }

    Outcome<void> free_from(HeapHolder holder, const HeapCell& cell) override {
        return change(holder, [&](Words& words, Engine& engine) -> Outcome<void> {
            const auto place = place_of(origin_, cell, usable_in(words, engine));
            if (!place) return tl::unexpected(place.error());
            const HeapOffset block = origin_.inside(words.get(*place));
            words.set(*place, 0);
            return give_back(words, engine, block);
        });
    }

    Outcome<void> set_owner(HeapHolder holder, HeapOffset block, HeapOwner owner) override {
        if (!owned_ && owner != nobodys) return fail(Errc::unsupported);
        return change(holder, [&](Words& words, Engine& engine) {
            return give_to(words, engine, origin_.inside(block), owner);
        });
    }

    Outcome<std::uint64_t> reclaim(HeapHolder holder, const IsGone& is_gone) override {
        using Left = Outcome<std::vector<std::uint64_t>>;
        if (!owned_) return 0;
        const auto find = [&] {
            return change(holder, [&](Words& words, Engine& engine) -> Left {
                std::vector<std::uint64_t> left;
                engine.for_each_live([&](HeapOffset piece) {
                    if (is_left(words, piece, is_gone)) left.push_back(piece);
                });
                return left;
            });
        };
        return guard_.reclaim(find, [&](HeapOffset piece) {
            return change(holder, [&](Words& words, Engine& engine) -> Outcome<bool> {
                const bool is_live = engine.usable_bytes(piece).has_value();
                if (!is_live || !is_left(words, piece, is_gone)) return false;
                return give_back_piece(words, engine, piece).map([] { return true; });
            });
        });
    }

    /// In parts that the engine can take: each of them a change of its own.
    Outcome<void> add_memory(HeapHolder holder, const HeapExtent& extent) override {
        if (!guard_.may_be_region(extent)) return fail(Errc::invalid_argument);
        const std::uint64_t parts = parts_of(extent.bytes);
        const std::uint64_t part_bytes = part_of(extent.bytes, parts);
        return guard_.one_by_one(parts, [&](std::uint64_t i) {
            const std::uint64_t begin = i * part_bytes;
            const std::uint64_t bytes = std::min(part_bytes, extent.bytes - begin);
            return add_part(holder, {extent.offset + begin, bytes}, parts - i);
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
        return guard_.audit(holder, [&](Words& words) {
            Engine engine(words, engine_offset);
            HeapCensus census = engine.take_census();
            if (owned_) look_at_prefixes(words, engine, census);
            return census;
        });
    }

    void holder_died(HeapHolder holder) override { guard_.holder_died(holder); }

private:
    /// Of one region.
    static constexpr std::uint64_t region_bytes_max = [] {
        if constexpr (requires { Engine::region_bytes_max; }) return Engine::region_bytes_max;
        return ~std::uint64_t{0};
    }();
    static_assert(region_bytes_max % page_bytes == 0 || region_bytes_max == ~std::uint64_t{0});

    [[nodiscard]] static std::uint64_t parts_of(std::uint64_t bytes) {
        return bytes == 0 ? 1 : (bytes - 1) / region_bytes_max + 1;
    }
    /// All of the same size, but for the last one.
    [[nodiscard]] static std::uint64_t part_of(std::uint64_t bytes, std::uint64_t parts) {
        return parts == 1 ? bytes : align_up((bytes - 1) / parts + 1, page_bytes);
    }
    /// Of the address space: what may be added later counts.
    [[nodiscard]] static Result<void> check_size(std::uint64_t bytes) {
        if (parts_of(bytes) <= heap_regions_max) return {};
        return fail(Errc::invalid_argument,
                    "a heap of kind " + std::string(name_of(Engine::kind)) + " can have " +
                        std::to_string(heap_regions_max * region_bytes_max) + " bytes, not " +
                        std::to_string(bytes) + "; make several of them, or one of kind buddy");
    }
    Outcome<void> add_part(HeapHolder holder, const HeapExtent& part, std::uint64_t to_come) {
        return change(holder, [&](Words& words, Engine& engine) {
            return guard_.add_region(words, part, engine, to_come);
        });
    }

    static void count(Words& words, std::uint64_t bytes, std::uint64_t blocks) {
        words.add(offsetof(HeapHeader, used_bytes), bytes);
        words.add(offsetof(HeapHeader, blocks), blocks);
    }

    [[nodiscard]] bool may_align(std::uint64_t alignment) const {
        return std::has_single_bit(alignment) && alignment <= map_alignment_;
    }

    // Parts of a change. They name blocks as the engine does, without the origin.
    Answer<HeapOffset> take(Words& words, Engine& engine, HeapOwner owner, std::uint64_t bytes,
                            std::uint64_t alignment) {
        const std::uint64_t prefix = owned_ ? Owned::prefix_for(alignment) : 0;
        if (bytes > ~std::uint64_t{0} - prefix) return fail(Errc::no_memory);
        return engine.allocate(bytes + prefix, alignment).map([&](const HeapPiece& piece) {
            count(words, piece.bytes, 1);
            return owned_ ? Owned(words).begin(piece.offset, prefix, owner) : piece.offset;
        });
    }
    Answer<void> give_back(Words& words, Engine& engine, HeapOffset block) {
        return piece_of(words, block).and_then([&](HeapOffset piece) {
            return give_back_piece(words, engine, piece);
        });
    }
    static Answer<void> give_back_piece(Words& words, Engine& engine, HeapOffset piece) {
        return engine.free(piece).map(
            [&](std::uint64_t bytes) { count(words, 0 - bytes, 0 - std::uint64_t{1}); });
    }
    Answer<std::uint64_t> usable(Words& words, Engine& engine, HeapOffset block) {
        return piece_of(words, block).and_then([&](HeapOffset piece) {
            return engine.usable_bytes(piece).map(
                [&](std::uint64_t bytes) { return bytes - (block - piece); });
        });
    }
    /// Of a heap that is not owned no word changes.
    Answer<void> give_to(Words& words, Engine& engine, HeapOffset block, HeapOwner owner) {
        return piece_of(words, block).and_then([&](HeapOffset piece) {
            return engine.usable_bytes(piece).map([&](std::uint64_t) {
                if (owned_) Owned(words).set_owner(piece, owner);
            });
        });
    }
    Answer<HeapOffset> empty_place(Words& words, Engine& engine, const HeapCell& cell) {
        return empty_place_of(words, origin_, cell, usable_in(words, engine));
    }
    [[nodiscard]] auto usable_in(Words& words, Engine& engine) {
        return [this, &words, &engine](HeapOffset block) { return usable(words, engine, block); };
    }
    [[nodiscard]] auto as_given() const {
        return [this](HeapOffset block) { return origin_.given(block); };
    }

    static void look_at_prefixes(Words& words, Engine& engine, HeapCensus& census) {
        engine.for_each_live([&](HeapOffset piece) {
            Owned owned(words);
            const std::uint64_t prefix = owned.prefix_of(piece);
            const auto usable = engine.usable_bytes(piece);
            const bool fits =
                usable && prefix <= *usable && owned.piece_of(piece + prefix) == piece;
            const bool has_owner = may_be_owner(owned.owner_of(piece));
            if (!fits) census.find(piece, "a block whose owner is not written as it must be");
            if (fits && !has_owner) census.find(piece, "a block of an owner that nobody can be");
        });
    }

    template <typename Body>
    auto change(HeapHolder holder, Body body) -> std::invoke_result_t<Body, Words&, Engine&> {
        return guard_.change(holder, [&](Words& words) {
            Engine engine(words, engine_offset);
            return body(words, engine);
        });
    }

    /// not_allocated.
    [[nodiscard]] Answer<HeapOffset> piece_of(Words& words, HeapOffset block) const {
        if (!owned_) return block;
        const auto piece = Owned(words).piece_of(block);
        if (!piece) return fail(Errc::not_allocated);
        return *piece;
    }
    [[nodiscard]] static bool is_left(Words& words, HeapOffset piece, const IsGone& is_gone) {
        const HeapOwner owner = Owned(words).owner_of(piece);
        return owner != nobodys && is_gone(owner);
    }

    HeapGuard<StoreHook> guard_;
    HeapOrigin origin_;
    // Read once: whoever writes nonsense may do it now.
    bool owned_;
    std::uint64_t map_alignment_;
};

}  // namespace shmpool
