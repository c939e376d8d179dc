// SPDX-License-Identifier: Apache-2.0
/// Slabs above buddies: blocks of 64, 128, ... 4096 bytes are handed out of slabs of 4 KiB to
/// 32 KiB, each of them a block of the buddies (buddy.hpp) and all of one size. What is larger, or
/// more strictly aligned, is a block of the buddies; so is what is small when they have no room for
/// a slab. Every block is aligned to its size.
///
/// A bit for each block of a slab says whether it is free. The bits lie, with the links of the
/// slab, in the record that the buddies' marks have room for: nothing of the heap lies in blocks,
/// live or free, so no user overwrites it. A slab is found from a block by its mark: of the four
/// places where a slab that holds it can begin, the first that has a mark is the block of the
/// buddies around it. So double frees, foreign offsets and offsets into a block are errors,
/// exactly.
///
/// Of two empty slabs of a class one is given back, so that who allocates and frees one block at
/// the border does not cut a slab each time; the kept ones are given back when the buddies have
/// nothing left. Every step takes a bounded time, whatever the heap holds.
///
/// Every change is logged (heap_words.hpp): under the heap's lock, undone by its next holder.
///
/// Source: Bonwick, "The slab allocator" (USENIX 1994); bits in place of his lists of free objects.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>

#include "shmpool/heap/buddy.hpp"
#include "shmpool/heap/slab_census.hpp"
#include "shmpool/heap/slab_layout.hpp"

namespace shmpool {

/// The holder of the heap's lock, one thread. After an error, and after `words.failed()`, the
/// caller undoes what was written.
template <typename Words>
class Slab {
public:
    static constexpr HeapKind kind = HeapKind::slab;
    static constexpr std::uint64_t engine_bytes = slab::engine_bytes;
    /// Of one call, at most: all kept slabs are given back, each with six words for every order
    /// above its own, and a few; then the buddies allocate.
    static constexpr std::uint32_t journal_limit =
        slab::classes * (6 * (buddy::orders - buddy::order_for(slab::smallest_slab_bytes)) + 16) +
        Buddy<Words>::journal_limit;

    /// `engine`: where its words begin, all of them 0 at first.
    Slab(Words& words, HeapOffset engine)
        : words_(words), engine_(engine), buddies_(words, engine), find_(words) {}

    /// How many bytes can be handed out of it. region_too_small.
    Answer<std::uint64_t> add_region(const HeapExtent& extent) {
        return buddies_.add_region(extent);
    }

    [[nodiscard]] static bool may_join(const HeapExtent& region, const HeapExtent& added) {
        return Buddy<Words>::may_join(region, added);
    }
    /// As of the buddies. Records move with the marks; nobody knows a slab by its record's place.
    Answer<std::uint64_t> join(const HeapExtent& region, const HeapExtent& added) {
        return buddies_.join(region, added);
    }

    /// `bytes` or more, aligned to `alignment`, a power of two. no_memory.
    Answer<HeapPiece> allocate(std::uint64_t bytes, std::uint64_t alignment) {
        const std::uint32_t size_class = slab::class_for(std::max(bytes, alignment));
        if (size_class < slab::classes) {
            const auto piece = allocate_in_slab(size_class);
            if (piece || piece.error() != Errc::no_memory) return piece;
        }
        const auto piece = buddies_.allocate(bytes, alignment);
        if (piece || piece.error() != Errc::no_memory || !give_back_kept()) return piece;
        // Links that were there before lie in what was joined now, and undoing needs them.
        return buddies_.allocate(bytes, alignment, buddy::live_mark, Links::of_content);
    }

    /// What was used for it. not_allocated: nothing live begins there.
    Answer<std::uint64_t> free(HeapOffset block) {
        const auto found = slab_around(block);
        if (!found) return tl::unexpected(found.error());
        if (!*found) return buddies_.free(block);
        const slab::Place& place = **found;
        const auto bit = live_bit(place, block);
        if (!bit) return bit;
        const std::uint64_t bits = words_.get(place.free_bits());
        words_.set(place.free_bits(), bits | *bit);
        if (bits == 0) list_of(place).push(place.begin, Links::of_content);
        if ((bits | *bit) == slab::all_free(place.size_class)) keep_or_give_back(place);
        return slab::block_bytes_of(place.size_class);
    }

    /// not_allocated.
    Answer<std::uint64_t> usable_bytes(HeapOffset block) {
        const auto found = slab_around(block);
        if (!found) return tl::unexpected(found.error());
        if (!*found) return buddies_.usable_bytes(block);
        return live_bit(**found, block).map([&](std::uint64_t) {
            return slab::block_bytes_of((*found)->size_class);
        });
    }

    /// Calls visit(offset) for each live block, by the marks and bits that say so.
    template <typename Visit>
    void for_each_live(Visit visit) {
        buddies_.for_each_block([&](const buddy::Region& region, HeapOffset at,
                                    std::uint64_t mark) {
            const std::uint64_t kind_mark = mark & buddy::kind_bits;
            if (kind_mark == buddy::live_mark) visit(at);
            slab::Place place;
            if (kind_mark != buddy::lent_mark || !find_.read(region, at, place)) return;
            const std::uint64_t all = slab::all_free(place.size_class);
            for (auto live = ~words_.get(place.free_bits()) & all; live != 0; live &= live - 1) {
                visit(place.block(static_cast<std::uint64_t>(std::countr_zero(live))));
            }
        });
    }

    /// Counts and checks all slabs, blocks and lists.
    HeapCensus take_census() { return slab::Census(words_, engine_).take(); }

private:
    [[nodiscard]] tl::unexpected<Errc> damage() {
        words_.fail();
        return fail(Errc::heap_damaged);
    }

    /// Of the slab's class; `place` is in it, or comes into it.
    [[nodiscard]] HeapList<Words, slab::RecordOf<Words>> list_of(const slab::Place& place) {
        return {words_, slab::head_of(engine_, place.size_class),
                slab::RecordOf<Words>(words_, place)};
    }
    /// 0: none has a free block.
    [[nodiscard]] HeapOffset first_of(std::uint32_t size_class) {
        return words_.get(slab::head_of(engine_, size_class));
    }

    /// The slab that `block` lies in, if it lies in one.
    Answer<std::optional<slab::Place>> slab_around(HeapOffset block) {
        const auto region = buddy::Region::of(words_.region_holding(block));
        HeapOffset begin = 0;
        const std::uint64_t mark = find_.mark_around(region, block, begin);
        if ((mark & buddy::kind_bits) != buddy::lent_mark) return std::nullopt;
        slab::Place place;
        if (!find_.read(region, begin, place)) return damage();
        return place;
    }

    /// The bit of the live block that begins there. not_allocated.
    Answer<std::uint64_t> live_bit(const slab::Place& place, HeapOffset block) {
        const std::uint64_t index = (block - place.begin) / slab::block_bytes_of(place.size_class);
        if (index >= slab::blocks_of(place.size_class) || place.block(index) != block) {
            return fail(Errc::not_allocated);
        }
        const std::uint64_t bit = std::uint64_t{1} << index;
        if ((words_.get(place.free_bits()) & bit) != 0) return fail(Errc::not_allocated);
        return bit;
    }

    /// no_memory: no slab has a free block, and the buddies have no room for one.
    Answer<HeapPiece> allocate_in_slab(std::uint32_t size_class) {
        if (first_of(size_class) == 0) {
            if (const auto cut = cut_slab(size_class); !cut) return tl::unexpected(cut.error());
        }
        slab::Place place;
        const bool is_slab = find_.read(first_of(size_class), place);
        if (!is_slab || place.size_class != size_class) return damage();
        const std::uint64_t bits = words_.get(place.free_bits());
        const auto index = static_cast<std::uint64_t>(std::countr_zero(bits));
        if (index >= slab::blocks_of(size_class)) return damage();
        const std::uint64_t rest = bits & (bits - 1);
        words_.set(place.free_bits(), rest);
        if (rest == 0) list_of(place).remove(place.begin);
        const HeapOffset kept = slab::kept_of(engine_, size_class);
        if (words_.get(kept) == place.begin) words_.set(kept, 0);
        return HeapPiece{place.block(index), slab::block_bytes_of(size_class)};
    }

    /// One more slab, all of it free. no_memory.
    Answer<void> cut_slab(std::uint32_t size_class) {
        const std::uint64_t bytes = slab::slab_bytes_of(size_class);
        return buddies_.allocate(bytes, bytes, buddy::lent_mark).map([&](const HeapPiece& piece) {
            const auto region = buddy::Region::of(words_.region_holding(piece.offset));
            const slab::Place place{piece.offset, slab::Place::record_of(region, piece.offset),
                                    size_class, region};
            words_.set(place.free_bits(), slab::all_free(size_class));
            words_.set(place.identity(), place.begin | size_class);
            list_of(place).push(place.begin, Links::of_content);
        });
    }

    /// It has become empty.
    void keep_or_give_back(const slab::Place& place) {
        const HeapOffset kept = slab::kept_of(engine_, place.size_class);
        words_.get(kept) == 0 ? words_.set(kept, place.begin) : give_back(place);
    }

    /// To the buddies, whose marks for its inside are 0 again.
    void give_back(const slab::Place& place) {
        list_of(place).remove(place.begin);
        for (HeapOffset at = place.record; at < place.record + slab::record_bytes; at += 8) {
            words_.set(at, 0);
        }
        if (!buddies_.free(place.begin, buddy::lent_mark)) words_.fail();
    }

    /// All slabs that are kept: whether there was any.
    bool give_back_kept() {
        bool any = false;
        for (std::uint32_t size_class = 0; size_class < slab::classes; ++size_class) {
            const HeapOffset kept = slab::kept_of(engine_, size_class);
            const HeapOffset begin = words_.get(kept);
            if (begin == 0) continue;
            any = true;
            words_.set(kept, 0);
            slab::Place place;
            find_.read(begin, place) ? give_back(place) : words_.fail();
        }
        return any;
    }

    Words& words_;
    HeapOffset engine_;
    Buddy<Words> buddies_;
    slab::Finder<Words> find_;
};

}  // namespace shmpool
