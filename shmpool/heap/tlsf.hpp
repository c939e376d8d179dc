// SPDX-License-Identifier: Apache-2.0
/// Two-level segregated fit over the words of a heap: allocates and frees in bounded time, whatever
/// is live. A good fit: the first block of the first list all of whose blocks are large enough.
///
/// Blocks follow one another through each region, and each knows the one before it; a sentinel ends
/// a region. They begin 16 bytes behind a multiple of 32, so every payload is aligned to 32; for a
/// larger alignment, what lies in front is split off as a free block. One bit for each 32 bytes of
/// a region says where a live block begins: that makes double frees, foreign offsets and offsets
/// into a block errors, exactly, whatever payloads hold.
///
/// Every change is logged (heap_words.hpp): under the heap's lock, undone by its next holder.
///
/// Source: Masmano, Ripoll, Crespo, Real, "TLSF: a new dynamic memory allocator for real-time
/// systems" (ECRTS 2004); 28 first levels of 32 lists, granularity 32 bytes.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "shmpool/heap/heap_answer.hpp"
#include "shmpool/heap/heap_words.hpp"
#include "shmpool/heap/tlsf_census.hpp"
#include "shmpool/heap/tlsf_layout.hpp"

namespace shmpool {

/// The holder of the heap's lock, one thread. After an error, and after `words.failed()`, the
/// caller undoes what was written.
template <typename Words>
class Tlsf {
public:
    static constexpr HeapKind kind = HeapKind::tlsf;
    static constexpr std::uint64_t engine_bytes =
        tlsf::heads_offset + 8 * tlsf::first_levels * tlsf::second_levels;
    /// Of one call, at most; a test counts.
    static constexpr std::uint32_t journal_limit = 32;
    /// All of one region may be one block.
    static constexpr std::uint64_t region_bytes_max = tlsf::region_bytes_max;

    /// `engine`: where its words begin, all of them 0 at first.
    Tlsf(Words& words, HeapOffset engine) : words_(words), engine_(engine) {}

    /// Makes it one free block: how many bytes can be handed out of it. region_too_small.
    Answer<std::uint64_t> add_region(const HeapExtent& extent) {
        const auto region = tlsf::Region::of(extent);
        const std::uint64_t room = region.end - region.begin;
        if (room == 0) return fail(Errc::region_too_small);
        if (room > tlsf::block_bytes_max) return fail(Errc::size_overflow);
        words_.zero_in_free({region.bits, 8 * tlsf::Region::word_count(extent.bytes)});
        words_.set_in_free(region.begin + 8, 0);
        end_with(region, region.begin);
        make_free(region.begin, room, Links::new_ones);
        return room;
    }

    /// They can be one region: `added` begins where `region` ends, has room for the bits and the
    /// sentinel of both, and no block is too large. One whose end somebody has overrun stays alone.
    [[nodiscard]] bool may_join(const HeapExtent& region, const HeapExtent& added) {
        const auto before = tlsf::Region::of(region);
        const auto joined = tlsf::Region::of(region.with(added));
        return before.begin < before.end && joined.end >= region.end() &&
               joined.end - joined.begin <= tlsf::block_bytes_max && ends_well(before);
    }

    /// Makes one region of them: how many bytes more can be handed out. Sentinel and bits of
    /// `region` become free, and what lay there is needed if this is undone.
    Answer<std::uint64_t> join(const HeapExtent& region, const HeapExtent& added) {
        const auto before = tlsf::Region::of(region);
        const auto joined = tlsf::Region::of(region.with(added));
        const std::uint64_t bits_before = 8 * tlsf::Region::word_count(region.bytes);
        const std::uint64_t bits = 8 * tlsf::Region::word_count(region.bytes + added.bytes);
        words_.copy_to_free(before.bits, {joined.bits, bits_before});
        words_.zero_in_free({joined.bits + bits_before, bits - bits_before});
        const HeapOffset last = words_.get(before.end + 8);
        const std::uint64_t size = words_.get(last);
        const HeapOffset block = is_live(size) ? before.end : last;
        if (is_live(size)) {
            make_free(block, joined.end - block, Links::of_content);
        } else {
            relink(block, size, block, joined.end - block, Links::of_content);
        }
        end_with(joined, block);
        return joined.end - before.end;
    }

    /// `bytes` or more, aligned to `alignment`, a power of two. no_memory.
    Answer<HeapPiece> allocate(std::uint64_t bytes, std::uint64_t alignment) {
        if (bytes > tlsf::block_bytes_max || alignment > tlsf::block_bytes_max) {
            return fail(Errc::no_memory);
        }
        const std::uint64_t size =
            align_up(std::max<std::uint64_t>(bytes, 1) + tlsf::header_bytes, tlsf::granule_bytes);
        const std::uint64_t gap_max =
            alignment > tlsf::granule_bytes ? alignment - tlsf::granule_bytes : 0;
        const HeapOffset found = find(tlsf::cell_for(size + gap_max));
        if (found == 0) return fail(Errc::no_memory);
        const tlsf::Region region = region_of(found);
        const Answer<std::uint64_t> whole = free_block_bytes(region, found);
        if (!whole) return tl::unexpected(whole.error());
        const std::uint64_t total = *whole;
        const HeapOffset block =
            align_up(found + tlsf::header_bytes, alignment) - tlsf::header_bytes;
        const std::uint64_t gap = block - found;
        if (total < gap + size) return damage();
        const std::uint64_t rest = total - gap - size;
        if (rest != 0) {
            words_.set_in_free(block + size + 8, block);
            relink(found, total, block + size, rest, Links::new_ones);
        } else {
            unlink(found, total);
        }
        if (gap != 0) {
            words_.set_in_free(block + 8, found);
            make_free(found, gap, Links::of_content);
        }
        words_.set(found + total + 8, rest != 0 ? block + size : block);
        set_live(region, block, size);
        return HeapPiece{block + tlsf::header_bytes, size};
    }

    /// What was used for it. not_allocated: nothing live begins there.
    Answer<std::uint64_t> free(HeapOffset payload) {
        const tlsf::Region region = region_of(payload);
        const auto found = live_block_bytes(region, payload);
        if (!found) return found;
        HeapOffset block = payload - tlsf::header_bytes;
        std::uint64_t size = *found;
        const Answer<Sides> free_sides = free_beside(region, block, size);
        if (!free_sides) return tl::unexpected(free_sides.error());
        const auto [before_bytes, next_bytes] = *free_sides;
        const HeapOffset bits = region.bits_of(block);
        words_.set(bits, words_.get(bits) & ~region.bit_of(block));
        const HeapOffset next = block + size;
        size += before_bytes + next_bytes;
        if (before_bytes != 0) {
            if (next_bytes != 0) unlink(next, next_bytes);
            block -= before_bytes;
            relink(block, before_bytes, block, size, Links::of_content);
        } else if (next_bytes != 0) {
            relink(next, next_bytes, block, size, Links::of_content);
        } else {
            make_free(block, size, Links::of_content);
        }
        words_.set(block + size + 8, block);
        return *found;
    }

    /// not_allocated.
    Answer<std::uint64_t> usable_bytes(HeapOffset payload) {
        return live_block_bytes(region_of(payload), payload).map([](std::uint64_t bytes) {
            return bytes - tlsf::header_bytes;
        });
    }

    /// Calls visit(offset as `allocate` gave it) for each live block, by the bits that say so.
    template <typename Visit>
    void for_each_live(Visit visit) {
        for (std::uint32_t i = 0; i < heap_regions_max; ++i) {
            const auto region = tlsf::Region::of(words_.region(i));
            for (HeapOffset at = region.begin; at < region.end; at += 64 * tlsf::granule_bytes) {
                std::uint64_t bits = words_.get(region.bits_of(at));
                for (; bits != 0; bits &= bits - 1) {
                    const auto bit = static_cast<std::uint64_t>(std::countr_zero(bits));
                    visit(at + bit * tlsf::granule_bytes + tlsf::header_bytes);
                }
            }
        }
    }

    /// Counts and checks all blocks and all lists.
    HeapCensus take_census() { return tlsf::Census(words_, engine_).take(); }

private:
    [[nodiscard]] static bool is_live(std::uint64_t size) { return (size & tlsf::live) != 0; }
    /// Holds nothing if there is none.
    [[nodiscard]] tlsf::Region region_of(HeapOffset at) {
        return tlsf::Region::of(words_.region_holding(at));
    }
    [[nodiscard]] HeapOffset levels() const { return engine_; }
    [[nodiscard]] HeapOffset lists(std::uint32_t first) const {
        return tlsf::lists_of(engine_, first);
    }
    [[nodiscard]] HeapOffset head(tlsf::Cell cell) const { return tlsf::head_of(engine_, cell); }
    [[nodiscard]] tl::unexpected<Errc> damage() {
        words_.fail();
        return fail(Errc::heap_damaged);
    }

    /// Its sentinel is one, and the block before it reaches up to it.
    [[nodiscard]] bool ends_well(const tlsf::Region& region) {
        const HeapOffset last = words_.get(region.end + 8);
        return words_.get(region.end) == tlsf::live && region.may_hold(last) &&
               (words_.get(last) & ~tlsf::live) == region.end - last;
    }
    /// The sentinel of a region, where nothing was; `last`: the block before it.
    void end_with(const tlsf::Region& region, HeapOffset last) {
        words_.set_in_free(region.end, tlsf::live);
        words_.set_in_free(region.end + 8, last);
    }

    /// Of the whole block. not_allocated.
    Answer<std::uint64_t> live_block_bytes(const tlsf::Region& region, HeapOffset payload) {
        const HeapOffset block = payload - tlsf::header_bytes;
        if (!region.may_hold(block)) return fail(Errc::not_allocated);
        if ((words_.get(region.bits_of(block)) & region.bit_of(block)) == 0) {
            return fail(Errc::not_allocated);
        }
        const std::uint64_t size = words_.get(block) & ~tlsf::live;
        if (size == 0 || size % tlsf::granule_bytes != 0 || size > region.end - block) {
            return damage();
        }
        return size;
    }

    // Users write into blocks that they have freed, and behind the end of their own. So a free
    // block is believed when its bit, its size, and who knows it agree: the block behind it, and
    // those beside it in its list.

    /// A live block begins there, or the sentinel.
    [[nodiscard]] bool is_live_at(const tlsf::Region& region, HeapOffset block) {
        return block == region.end ||
               (words_.get(region.bits_of(block)) & region.bit_of(block)) != 0;
    }
    /// heap_damaged.
    Answer<std::uint64_t> free_block_bytes(const tlsf::Region& region, HeapOffset block) {
        if (!region.may_hold(block) || is_live_at(region, block)) return damage();
        const std::uint64_t size = words_.get(block);
        if (size == 0 || size % tlsf::granule_bytes != 0 || size > region.end - block) {
            return damage();
        }
        if (words_.get(block + size + 8) != block) return damage();
        return size;
    }

    /// What lies free in front of a live block, and behind it; 0: nothing.
    struct Sides {
        std::uint64_t before_bytes;
        std::uint64_t next_bytes;
    };
    /// heap_damaged.
    Answer<Sides> free_beside(const tlsf::Region& region, HeapOffset block, std::uint64_t size) {
        Sides sides{0, 0};
        const HeapOffset next = block + size;
        const HeapOffset before = words_.get(block + 8);
        const bool is_first = block == region.begin;
        const bool may_be_before =
            is_first ? before == 0 : before < block && region.may_hold(before);
        if (!may_be_before || words_.get(next + 8) != block) return damage();
        if (!is_live_at(region, next)) {
            const auto bytes = free_block_bytes(region, next);
            if (!bytes) return tl::unexpected(bytes.error());
            sides.next_bytes = *bytes;
        }
        if (!is_first && !is_live_at(region, before)) {
            const auto bytes = free_block_bytes(region, before);
            if (!bytes) return tl::unexpected(bytes.error());
            if (*bytes != block - before) return damage();
            sides.before_bytes = *bytes;
        }
        return sides;
    }

    /// The blocks beside it in its list; 0: none.
    struct Linked {
        HeapOffset next;
        HeapOffset before;
    };
    /// heap_damaged.
    Answer<Linked> links_of(HeapOffset block, tlsf::Cell cell) {
        const Linked links{words_.get(block + 16), words_.get(block + 24)};
        const bool next_agrees = links.next == 0 || is_free_and_names(links.next, 24, block);
        const bool before_agrees = links.before == 0 ? words_.get(head(cell)) == block
                                                     : is_free_and_names(links.before, 16, block);
        if (!next_agrees || !before_agrees) return damage();
        return links;
    }
    [[nodiscard]] bool is_free_and_names(HeapOffset other, std::uint64_t link, HeapOffset block) {
        return free_block_bytes(region_of(other), other) && words_.get(other + link) == block;
    }

    /// A block of that list or of the next one that has any; 0: none.
    HeapOffset find(tlsf::Cell cell) {
        if (cell.first >= tlsf::first_levels) return 0;
        std::uint64_t in_level = words_.get(lists(cell.first)) & (~std::uint64_t{0} << cell.second);
        if (in_level == 0) {
            const std::uint64_t above =
                words_.get(levels()) & (~std::uint64_t{0} << (cell.first + 1));
            if (above == 0) return 0;
            cell.first = static_cast<std::uint32_t>(std::countr_zero(above));
            in_level = words_.get(lists(cell.first));
        }
        cell.second = static_cast<std::uint32_t>(std::countr_zero(in_level));
        const bool is_list = cell.first < tlsf::first_levels && cell.second < tlsf::second_levels;
        const HeapOffset block = is_list ? words_.get(head(cell)) : 0;
        if (block == 0) words_.fail();  // The bits say that there is one.
        return block;
    }

    /// `block` of `size` is free in the place of what was free before, most of all when that was in
    /// the same list.
    void relink(HeapOffset old, std::uint64_t old_size, HeapOffset block, std::uint64_t size,
                Links links) {
        if (!may_be_size(old_size) || !may_be_size(size)) return words_.fail();
        const tlsf::Cell cell = tlsf::cell_of(size);
        if (tlsf::cell_of(old_size) != cell) {
            unlink(old, old_size);
            return make_free(block, size, links);
        }
        if (block == old) return words_.set(block, size);
        const Answer<Linked> linked = links_of(old, cell);
        if (!linked) return;
        const auto [next, before] = *linked;
        write_free(block, size, next, before, links);
        words_.set(before != 0 ? before + 16 : head(cell), block);
        if (next != 0) words_.set(next + 24, block);
    }

    /// Size, and the first place in its list.
    void make_free(HeapOffset block, std::uint64_t size, Links links) {
        if (!may_be_size(size)) return words_.fail();
        const tlsf::Cell cell = tlsf::cell_of(size);
        const HeapOffset next = words_.get(head(cell));
        write_free(block, size, next, 0, links);
        words_.set(head(cell), block);
        if (next != 0) return words_.set(next + 24, block);
        const std::uint64_t others = words_.get(lists(cell.first));
        words_.set(lists(cell.first), others | (std::uint64_t{1} << cell.second));
        if (others != 0) return;
        words_.set(levels(), words_.get(levels()) | (std::uint64_t{1} << cell.first));
    }

    void write_free(HeapOffset block, std::uint64_t size, HeapOffset next, HeapOffset before,
                    Links links) {
        words_.set_link(block, size, links);
        words_.set_link(block + 16, next, links);
        words_.set_link(block + 24, before, links);
    }

    [[nodiscard]] static bool may_be_size(std::uint64_t size) {
        return size >= tlsf::granule_bytes && size <= tlsf::block_bytes_max;
    }

    void unlink(HeapOffset block, std::uint64_t size) {
        if (!may_be_size(size)) return words_.fail();
        const tlsf::Cell cell = tlsf::cell_of(size);
        const Answer<Linked> linked = links_of(block, cell);
        if (!linked) return;
        const auto [next, before] = *linked;
        if (next != 0) words_.set(next + 24, before);
        if (before != 0) return words_.set(before + 16, next);
        words_.set(head(cell), next);
        if (next != 0) return;
        const std::uint64_t left =
            words_.get(lists(cell.first)) & ~(std::uint64_t{1} << cell.second);
        words_.set(lists(cell.first), left);
        if (left != 0) return;
        words_.set(levels(), words_.get(levels()) & ~(std::uint64_t{1} << cell.first));
    }

    void set_live(const tlsf::Region& region, HeapOffset block, std::uint64_t size) {
        if (!region.may_hold(block)) return words_.fail();
        const HeapOffset bits = region.bits_of(block);
        words_.set(block, size | tlsf::live);
        words_.set(bits, words_.get(bits) | region.bit_of(block));
    }

    Words& words_;
    HeapOffset engine_;
};

}  // namespace shmpool
