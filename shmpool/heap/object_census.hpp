// SPDX-License-Identifier: Apache-2.0
/// Reads all of a slab cache: every slab that was cut, the list of its free objects, then the stack
/// of slabs, and compares. Bounded, whatever it reads.
#pragma once

#include <cstdint>
#include <unordered_set>
#include <vector>

#include "shmpool/heap/heap_census.hpp"
#include "shmpool/heap/object_slabs.hpp"

namespace shmpool {

/// The holder of the heap's lock. Whatever is wrong is a finding, and not damage: an audit changes
/// nothing.
template <typename Words>
class ObjectCensus {
public:
    ObjectCensus(Words& words, const ObjectPlan& plan)
        : words_(words), plan_(plan), slabs_(words, plan.shape, plan.heap.engine_offset()) {}

    [[nodiscard]] HeapCensus take() {
        for (std::uint32_t i = 0; i < heap_regions_max; ++i) look_at_region(i);
        follow_stack();
        return std::move(census_);
    }

private:
    using Counts = typename object_slab::Slabs<Words>::Counts;

    void look_at_region(std::uint32_t number) {
        const object_slab::Shape& shape = plan_.shape;
        const HeapExtent extent = words_.region(number);
        const std::uint64_t cut = words_.get(slabs_.cut_of(number));
        if (extent.offset % shape.slab_bytes != 0 || extent.bytes % shape.slab_bytes != 0) {
            return census_.find(extent.offset, "a region that is not made of slabs");
        }
        if (cut > extent.bytes || cut % shape.slab_bytes != 0) {
            return census_.find(slabs_.cut_of(number), "more is cut than there is, or no slab");
        }
        census_.total_bytes += extent.bytes / shape.slab_bytes * shape.objects * shape.object_bytes;
        for (std::uint64_t at = 0; at < cut; at += shape.slab_bytes) look_at(extent.offset + at);
    }

    void look_at(HeapOffset slab) {
        if (!slabs_.is_guarded(slab)) return census_.find(slab, "a slab without its guard");
        const std::uint64_t word = words_.get(slab + object_slab::counts);
        const Counts counts{word & 0xFFFF, word >> 16};
        if (counts.fresh > plan_.shape.objects || !slabs_.may_follow(counts.free, counts)) {
            return census_.find(slab, "a slab whose counts are nonsense");
        }
        if (!slabs_.is_full(counts)) not_full_.insert(slab);
        std::uint64_t live = 0;
        for (std::uint64_t i = 0; i < counts.fresh; ++i) {
            if (slabs_.entry_of(slab, i) != object_slab::live) continue;
            ++live;
            if (plan_.owned) look_at_owner(slabs_.owner_of(slab, i));
        }
        census_.blocks += live;
        census_.used_bytes += live * plan_.shape.object_bytes;
        census_.expect("the free objects of a slab", slab, counts.fresh - live,
                       count_free(slab, counts));
    }

    void look_at_owner(HeapOffset at) {
        if (!may_be_owner(words_.get(at))) census_.find(at, owner_of_nobody);
    }

    /// By the list; none is counted twice, so it ends. One that does not end as it must has none.
    [[nodiscard]] std::uint64_t count_free(HeapOffset slab, const Counts& counts) {
        std::vector<bool> met(counts.fresh, false);
        std::uint64_t count = 0;
        std::uint64_t index = counts.free;
        for (; index < counts.fresh && !met[index]; index = slabs_.entry_of(slab, index)) {
            met[index] = true;
            ++count;
        }
        return index == object_slab::none ? count : ~std::uint64_t{0};
    }

    void follow_stack() {
        HeapOffset slab = words_.get(slabs_.head());
        for (; not_full_.erase(slab) != 0; slab = words_.get(slab + object_slab::next)) {
        }
        if (slab != 0) census_.find(slab, "on the stack of slabs twice, or full, or no slab");
        for (const HeapOffset lost : not_full_) census_.find(lost, "a slab that is on no stack");
    }

    Words& words_;
    const ObjectPlan& plan_;
    object_slab::Slabs<Words> slabs_;
    HeapCensus census_;
    std::unordered_set<HeapOffset> not_full_;  ///< And not yet met on the stack.
};

}  // namespace shmpool
