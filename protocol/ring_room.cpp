// SPDX-License-Identifier: Apache-2.0
#include "protocol/ring_room.hpp"

#include <algorithm>

#include "protocol/ring.hpp"

namespace shmpool {

RingRoom::RingRoom(const PoolView& pool, const ProtocolView& view) {
    std::vector<Gap> used;
    for (std::uint32_t i = 0; i < view.rings.count; ++i) {
        if (view.rings.at(i).state.load(std::memory_order_acquire) ==  // [A-connect]
            static_cast<std::uint32_t>(EndpointState::empty)) {
            rings_.push_back(i);
            continue;
        }
        const RingView ring = RingView::of(view, i);
        if (!ring) {
            pool.mark_damaged();
            continue;
        }
        const auto begin = static_cast<std::uint64_t>(ring.entries - view.entries.find(0));
        used.push_back({begin, begin + ring.index_mask + 1});
    }
    std::ranges::reverse(rings_);
    std::ranges::sort(used, {}, &Gap::begin);
    std::uint64_t start = 0;
    for (const Gap& one : used) {
        if (one.begin > start) gaps_.push_back({start, one.begin});
        start = std::max(start, one.end);
    }
    if (start < view.entries.count) gaps_.push_back({start, view.entries.count});
}

std::optional<RingRoom::Place> RingRoom::take(std::uint64_t capacity) {
    const auto gap = std::ranges::find_if(
        gaps_, [capacity](const Gap& one) { return one.end - one.begin >= capacity; });
    if (rings_.empty() || gap == gaps_.end()) return std::nullopt;
    const Place place{rings_.back(), gap->begin};
    rings_.pop_back();
    gap->begin += capacity;
    return place;
}

}  // namespace shmpool
