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

#include "shmpool/heap/heap_words.hpp"
#include "shmpool/heap/tlsf_census.hpp"
#include "shmpool/heap/tlsf_layout.hpp"
#include "shmpool/platform/result.hpp"

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

    /// `engine`: where its words begin, all of them 0 at first.
    Tlsf(Words& words, HeapOffset engine) : words_(words), engine_(engine) {}

    /// Makes it one free block: how many bytes can be handed out of it. region_too_small.
    Outcome<std::uint64_t> add_region(const HeapExtent& extent) {
        const auto region = tlsf::Region::of(extent.offset, extent.bytes);
        const std::uint64_t room = region.end - region.begin;
        if (room == 0) return fail(Errc::region_too_small);
        if (room > tlsf::block_bytes_max) return fail(Errc::size_overflow);
        for (HeapOffset at = region.bits; at + 8 <= region.begin - tlsf::header_bytes; at += 8) {
            words_.set_in_free(at, 0);
        }
        words_.set_in_free(region.begin + 8, 0);
        words_.set_in_free(region.end, tlsf::live);
        words_.set_in_free(region.end + 8, region.begin);
        make_free(region.begin, room, Links::new_ones);
        return room;
    }

    /// `bytes` or more, aligned to `alignment`, a power of two. no_memory.
    Outcome<HeapPiece> allocate(std::uint64_t bytes, std::uint64_t alignment) {
        if (bytes > tlsf::block_bytes_max || alignment > tlsf::block_bytes_max) {
            return fail(Errc::no_memory);
        }
        const std::uint64_t size = tlsf::round_up(
            std::max<std::uint64_t>(bytes, 1) + tlsf::header_bytes, tlsf::granule_bytes);
        const std::uint64_t gap_max =
            alignment > tlsf::granule_bytes ? alignment - tlsf::granule_bytes : 0;
        const HeapOffset found = find(tlsf::cell_for(size + gap_max));
        if (found == 0) return fail(Errc::no_memory);
        const std::uint64_t total = words_.get(found);
        unlink(found, total);
        const HeapOffset block =
            tlsf::round_up(found + tlsf::header_bytes, alignment) - tlsf::header_bytes;
        if (total % tlsf::granule_bytes != 0 || total < block - found + size) return damage();
        if (block != found) split_front(found, block);
        split_back(block, size, total - (block - found));
        set_live(block, size);
        return HeapPiece{block + tlsf::header_bytes, size};
    }

    /// What was used for it. not_allocated: nothing live begins there.
    Outcome<std::uint64_t> free(HeapOffset payload) {
        const auto found = live_block_bytes(payload);
        if (!found) return found;
        HeapOffset block = payload - tlsf::header_bytes;
        clear_live(block);
        std::uint64_t size = *found;
        const HeapOffset next = block + size;
        if (const std::uint64_t next_size = words_.get(next); !is_live(next_size)) {
            unlink(next, next_size);
            size += next_size;
        }
        if (const HeapOffset before = words_.get(block + 8); before != 0) {
            if (const std::uint64_t before_size = words_.get(before); !is_live(before_size)) {
                unlink(before, before_size);
                block = before;
                size += before_size;
            }
        }
        words_.set(block + size + 8, block);
        make_free(block, size, Links::of_content);
        return *found;
    }

    /// not_allocated.
    Outcome<std::uint64_t> usable_bytes(HeapOffset payload) {
        return live_block_bytes(payload).map(
            [](std::uint64_t bytes) { return bytes - tlsf::header_bytes; });
    }

    /// Counts and checks all blocks and all lists.
    HeapCensus take_census() { return tlsf::Census(words_, engine_).take(); }

private:
    /// What the links of a block that becomes free lie upon.
    enum class Links : std::uint8_t {
        new_ones,    ///< Memory that is free before and after: nobody needs it again.
        of_content,  ///< What its user has written, until the change is complete.
    };

    [[nodiscard]] static bool is_live(std::uint64_t size) { return (size & tlsf::live) != 0; }
    /// Holds nothing if there is none.
    [[nodiscard]] tlsf::Region region_of(HeapOffset at) {
        const HeapExtent extent = words_.region_holding(at);
        return tlsf::Region::of(extent.offset, extent.bytes);
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

    /// Of the whole block. not_allocated.
    Outcome<std::uint64_t> live_block_bytes(HeapOffset payload) {
        const tlsf::Region region = region_of(payload);
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

    /// Size, and a place in its list.
    void make_free(HeapOffset block, std::uint64_t size, Links links) {
        if (size < tlsf::granule_bytes || size > tlsf::block_bytes_max) return words_.fail();
        const tlsf::Cell cell = tlsf::cell_of(size);
        const HeapOffset next = words_.get(head(cell));
        if (links == Links::new_ones) {
            words_.set_in_free(block, size);
            words_.set_in_free(block + 16, next);
            words_.set_in_free(block + 24, 0);
        } else {
            words_.set(block, size);
            words_.set(block + 16, next);
            words_.set(block + 24, 0);
        }
        words_.set(head(cell), block);
        if (next != 0) return words_.set(next + 24, block);
        words_.set(lists(cell.first),
                   words_.get(lists(cell.first)) | (std::uint64_t{1} << cell.second));
        words_.set(levels(), words_.get(levels()) | (std::uint64_t{1} << cell.first));
    }

    void unlink(HeapOffset block, std::uint64_t size) {
        if (size < tlsf::granule_bytes || size > tlsf::block_bytes_max) return words_.fail();
        const tlsf::Cell cell = tlsf::cell_of(size);
        const HeapOffset next = words_.get(block + 16);
        const HeapOffset before = words_.get(block + 24);
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

    /// What lies between `found` and `block` is free again, for itself.
    void split_front(HeapOffset found, HeapOffset block) {
        make_free(found, block - found, Links::of_content);
        words_.set_in_free(block + 8, found);
    }

    /// `block` has `size` of its `room`; the rest, if there is any, is free for itself.
    void split_back(HeapOffset block, std::uint64_t size, std::uint64_t room) {
        HeapOffset before_next = block;
        if (room > size) {
            before_next = block + size;
            words_.set_in_free(before_next + 8, block);
            make_free(before_next, room - size, Links::new_ones);
        }
        words_.set(block + room + 8, before_next);
    }

    void set_live(HeapOffset block, std::uint64_t size) {
        const tlsf::Region region = region_of(block);
        if (!region.may_hold(block)) return words_.fail();
        const HeapOffset bits = region.bits_of(block);
        words_.set(block, size | tlsf::live);
        words_.set(bits, words_.get(bits) | region.bit_of(block));
    }

    void clear_live(HeapOffset block) {
        const tlsf::Region region = region_of(block);
        const HeapOffset bits = region.bits_of(block);
        words_.set(bits, words_.get(bits) & ~region.bit_of(block));
    }

    Words& words_;
    HeapOffset engine_;
};

}  // namespace shmpool
