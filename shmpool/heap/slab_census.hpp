// SPDX-License-Identifier: Apache-2.0
/// Reads all of a slab heap: the buddies' blocks, in them the slabs, then the slabs' lists, and
/// compares. Bounded, whatever it reads.
#pragma once

#include <bit>
#include <cstdint>

#include "shmpool/heap/buddy_census.hpp"
#include "shmpool/heap/slab_layout.hpp"

namespace shmpool::slab {

/// The holder of the heap's lock.
template <typename Words>
class Census {
public:
    Census(Words& words, HeapOffset engine) : words_(words), engine_(engine) {}

    [[nodiscard]] HeapCensus take() {
        HeapCensus census =
            buddy::Census(words_, engine_).take([&](HeapCensus& so_far, const buddy::Met& met) {
                look_into(so_far, met);
            });
        for (std::uint32_t size_class = 0; size_class < classes; ++size_class) {
            lists_.follow(census, words_.get(head_of(engine_, size_class)), size_class);
            census.expect("the slab that is kept", kept_of(engine_, size_class), empty_[size_class],
                          words_.get(kept_of(engine_, size_class)));
        }
        lists_.find_lost(census);
        return census;
    }

private:
    void look_into(HeapCensus& census, const buddy::Met& met) {
        Place place;
        if (!Finder(words_).read(met.region, met.block, place)) {
            return census.find(met.block, "a slab whose mark and record do not agree");
        }
        look_at_marks(census, met, place);
        const std::uint64_t bits = words_.get(place.free_bits());
        const std::uint64_t all = all_free(place.size_class);
        if ((bits & ~all) != 0) census.find(met.block, "a slab with bits of no block");
        const auto live = static_cast<std::uint64_t>(std::popcount(~bits & all));
        census.blocks += live;
        census.used_bytes += live * block_bytes_of(place.size_class);
        if (bits != 0) lists_.add(place.begin, place.size_class);
        if (bits != all) return;
        if (empty_[place.size_class] != 0) census.find(met.block, "a second empty slab");
        empty_[place.size_class] = place.begin;
    }

    /// But for its record, nothing lies in the bytes for its inside.
    void look_at_marks(HeapCensus& census, const buddy::Met& met, const Place& place) {
        const HeapExtent record{place.record, record_bytes};
        buddy::Marks marks(words_, met.region);
        const HeapOffset end = met.block + slab_bytes_of(place.size_class);
        for (HeapOffset at = met.block + buddy::smallest_bytes; at < end;
             at += buddy::smallest_bytes) {
            const bool is_stray = !record.holds(met.region.word_of(at)) && marks.get(at) != 0;
            if (is_stray) census.find(at, "a mark inside of a slab");
        }
    }

    Words& words_;
    HeapOffset engine_;
    ListCensus<Words, RecordOf<Words>> lists_{words_, RecordOf<Words>(words_)};
    HeapOffset empty_[classes] = {};
};

}  // namespace shmpool::slab
