// SPDX-License-Identifier: Apache-2.0
/// Binary buddies over the words of a heap: blocks of 32 bytes times a power of two, each aligned
/// to its size. A block that is too large is halved until it fits; a block that is freed and whose
/// other half is free becomes one with it, and so on.
///
/// One byte for each 32 bytes of a region says whether a block begins there, of which order, and
/// whether it is live. So nothing of the heap lies in live blocks, double frees, foreign offsets
/// and offsets into a block are errors, exactly, and the other half is found free in one look. A
/// region ends with its bytes, so that memory behind it can become a part of it.
///
/// Every change is logged (heap_words.hpp): under the heap's lock, undone by its next holder.
///
/// Source: Knowlton, "A fast storage allocator" (CACM 1965); doubly linked lists of free blocks.
#pragma once

#include <bit>
#include <cstdint>

#include "shmpool/heap/buddy_census.hpp"
#include "shmpool/heap/buddy_layout.hpp"
#include "shmpool/heap/heap_answer.hpp"
#include "shmpool/heap/heap_list.hpp"
#include "shmpool/heap/heap_words.hpp"

namespace shmpool {

/// The holder of the heap's lock, one thread. After an error, and after `words.failed()`, the
/// caller undoes what was written.
template <typename Words>
class Buddy {
public:
    static constexpr HeapKind kind = HeapKind::buddy;
    static constexpr std::uint64_t engine_bytes = buddy::heads_offset + 8 * buddy::orders;
    /// Of one call, at most: six words for each order that is joined, or four for each of the
    /// blocks that new memory is cut into, two of each order, and two for each half before it that
    /// one of them is joined with.
    static constexpr std::uint32_t journal_limit = 10 * buddy::orders + 16;

    /// `engine`: where its words begin, all of them 0 at first.
    Buddy(Words& words, HeapOffset engine) : words_(words), engine_(engine) {}

    /// Cuts it into the largest blocks that fit: how many bytes they have. region_too_small.
    Answer<std::uint64_t> add_region(const HeapExtent& extent) {
        const auto region = buddy::Region::of(extent);
        if (region.begin == region.end) return fail(Errc::region_too_small);
        words_.zero_in_free({region.marks, 8 * buddy::Region::word_count(extent.bytes)});
        cut(region, region.begin, extent.offset);
        return region.end - region.begin;
    }

    /// They can be one region: `added` begins where `region` ends, and has room for the marks of
    /// both.
    [[nodiscard]] static bool may_join(const HeapExtent& region, const HeapExtent& added) {
        const auto before = buddy::Region::of(region);
        const auto joined = buddy::Region::of(region.with(added));
        return before.begin < before.end && joined.marks >= region.end() && joined.end > before.end;
    }

    /// Makes one region of them: how many bytes more can be handed out. The marks of `region`
    /// become free, and what lay there is needed if this is undone.
    Answer<std::uint64_t> join(const HeapExtent& region, const HeapExtent& added) {
        const auto before = buddy::Region::of(region);
        const auto joined = buddy::Region::of(region.with(added));
        const std::uint64_t marks_before = 8 * buddy::Region::word_count(region.bytes);
        const std::uint64_t marks = 8 * buddy::Region::word_count(region.bytes + added.bytes);
        words_.copy_to_free(before.marks, {joined.marks, marks_before});
        words_.zero_in_free({joined.marks + marks_before, marks - marks_before});
        cut(joined, before.end, added.offset);
        return joined.end - before.end;
    }

    /// `bytes` or more, aligned to `alignment`, a power of two; live, or lent. `links`: those of
    /// what is cut off lie where none were at the beginning of this change, unless it has freed
    /// before. no_memory.
    Answer<HeapPiece> allocate(std::uint64_t bytes, std::uint64_t alignment,
                               std::uint64_t kind_mark = buddy::live_mark,
                               Links links = Links::new_ones) {
        const std::uint32_t wanted = buddy::order_for(std::max(bytes, alignment));
        if (wanted >= buddy::orders) return fail(Errc::no_memory);
        const std::uint64_t has_blocks = words_.get(engine_) & (~std::uint64_t{0} << wanted);
        if (has_blocks == 0) return fail(Errc::no_memory);
        auto order = static_cast<std::uint32_t>(std::countr_zero(has_blocks));
        if (order >= buddy::orders) return damage();
        const HeapOffset block = list_of(order).first();
        const buddy::Region region = region_of(block);
        if (!is_free(region, block, order)) return damage();
        buddy::Marks marks(words_, region);
        unlink(block, order);
        while (order > wanted) {
            --order;
            link(marks, {block + buddy::bytes_of(order), order}, links);
        }
        marks.set(block, kind_mark | wanted);
        return HeapPiece{block, buddy::bytes_of(wanted)};
    }

    /// What was used for it. not_allocated: nothing live, or lent, begins there.
    Answer<std::uint64_t> free(HeapOffset block, std::uint64_t kind_mark = buddy::live_mark) {
        const buddy::Region region = region_of(block);
        const auto bytes = bytes_of(region, block, kind_mark);
        if (!bytes) return bytes;
        buddy::Marks marks(words_, region);
        marks.set(block, 0);
        const Piece piece = join_halves(region, marks, {block, buddy::order_for(*bytes)});
        link(marks, piece, Links::of_content);
        return bytes;
    }

    /// not_allocated.
    Answer<std::uint64_t> usable_bytes(HeapOffset block) {
        return bytes_of(region_of(block), block, buddy::live_mark);
    }

    /// Calls visit(offset) for each live block, by the marks that say so.
    template <typename Visit>
    void for_each_live(Visit visit) {
        for_each_block([&](const buddy::Region&, HeapOffset block, std::uint64_t mark) {
            if ((mark & buddy::kind_bits) == buddy::live_mark) visit(block);
        });
    }

    /// Calls visit(region, offset, mark) for each block, free ones too.
    template <typename Visit>
    void for_each_block(Visit visit) {
        for (std::uint32_t i = 0; i < heap_regions_max; ++i) {
            const auto region = buddy::Region::of(words_.region(i));
            buddy::Marks marks(words_, region);
            for (HeapOffset at = region.begin; at < region.end;) {
                const std::uint64_t mark = marks.get(at);
                if (mark != 0) visit(region, at, mark);
                at += mark == 0
                          ? buddy::smallest_bytes
                          : buddy::bytes_of(static_cast<std::uint32_t>(mark & buddy::order_bits));
            }
        }
    }

    /// Counts and checks all blocks and all lists.
    HeapCensus take_census() {
        return buddy::Census(words_, engine_).take([](HeapCensus& census, const auto& lent) {
            census.find(lent.block, "lent, and nobody above this heap lends");
        });
    }

private:
    struct Piece {
        HeapOffset block;
        std::uint32_t order;
    };

    /// Holds nothing if there is none.
    [[nodiscard]] buddy::Region region_of(HeapOffset at) {
        return buddy::Region::of(words_.region_holding(at));
    }
    [[nodiscard]] tl::unexpected<Errc> damage() {
        words_.fail();
        return fail(Errc::heap_damaged);
    }

    Answer<std::uint64_t> bytes_of(const buddy::Region& region, HeapOffset block,
                                   std::uint64_t kind_mark) {
        if (!region.may_hold(block)) return fail(Errc::not_allocated);
        const std::uint64_t mark = buddy::Marks(words_, region).get(block);
        if ((mark & buddy::kind_bits) != kind_mark) return fail(Errc::not_allocated);
        const std::uint64_t bytes = buddy::bytes_of(mark & buddy::order_bits);
        if (block % bytes != 0 || bytes > region.end - block) return damage();
        return bytes;
    }

    [[nodiscard]] bool is_free(const buddy::Region& region, HeapOffset block, std::uint32_t order) {
        return region.may_hold(block) &&
               buddy::Marks(words_, region).get(block) == (buddy::free_mark | order);
    }

    /// What lies from there to the end of the region is free from now on, as the largest blocks
    /// that fit, each joined with what is free before it. The marks are new, and what lies behind
    /// `new_from`.
    void cut(const buddy::Region& region, HeapOffset from, HeapOffset new_from) {
        buddy::Marks marks(words_, region, Links::new_ones);
        while (from < region.end) {
            const std::uint32_t order = region.largest_at(from);
            const Piece piece = join_halves(region, marks, {from, order});
            link(marks, piece, piece.block < new_from ? Links::of_content : Links::new_ones);
            from += buddy::bytes_of(order);
        }
    }

    /// With its other half, as long as that is free.
    Piece join_halves(const buddy::Region& region, buddy::Marks<Words>& marks, Piece piece) {
        auto [block, order] = piece;
        for (; order + 1 < buddy::orders; ++order) {
            const HeapOffset half = block ^ buddy::bytes_of(order);
            if (!region.may_hold(half) || marks.get(half) != (buddy::free_mark | order)) break;
            unlink(half, order);
            marks.set(half, 0);
            block = std::min(block, half);
        }
        return {block, order};
    }

    /// Free from now on, and the first of its list.
    void link(buddy::Marks<Words>& marks, const Piece& piece, Links links) {
        marks.set(piece.block, buddy::free_mark | piece.order);
        if (!list_of(piece.order).push(piece.block, links)) return;
        words_.set(engine_, words_.get(engine_) | std::uint64_t{1} << piece.order);
    }

    /// Users write into blocks that they have freed: links lead to free blocks of that order, or
    /// are nonsense.
    void unlink(HeapOffset block, std::uint32_t order) {
        for (const HeapOffset link : {words_.get(block), words_.get(block + 8)}) {
            if (link != 0 && !is_free(region_of(link), link, order)) return words_.fail();
        }
        if (!list_of(order).remove(block)) return;
        words_.set(engine_, words_.get(engine_) & ~(std::uint64_t{1} << order));
    }

    [[nodiscard]] HeapList<Words> list_of(std::uint32_t order) {
        return {words_, buddy::head_of(engine_, order)};
    }

    Words& words_;
    HeapOffset engine_;
};

}  // namespace shmpool
