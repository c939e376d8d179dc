// SPDX-License-Identifier: Apache-2.0
/// What the operations of heaps have in common: how a victim comes to a heap, and how it is seen
/// that the operation went the way its name says.
#pragma once

#include "operation.hpp"

namespace shmpool::sweep {

inline void attach_for_heaps(Victim& victim) {
    victim.attach_with_lane();
    victim.blocks.reserve(64);
    victim.handles.reserve(64);
}

/// From now on it is watched.
template <typename Heap>
Heap& use(Victim& victim, std::optional<Heap>& place, Result<Heap> opened) {
    place.emplace(must(std::move(opened), "the victim's heap"));
    victim.watch(place->memory());
    return *place;
}

/// Into `blocks`.
inline void keep_block(Victim& victim, const Outcome<HeapOffset>& block) {
    victim.blocks.push_back(must(block, "the victim's block"));
}

/// `act`: whether it went as named.
inline Operation in_heap(const std::string& name, std::function<void(Victim&)> prepare,
                         std::function<bool(Victim&)> act) {
    return {"heap/" + name, Lists::either, std::move(prepare),
            [act = std::move(act)](Victim& victim) { victim.result = act(victim) ? 1 : 0; },
            [](const Victim& victim) { return victim.result == 1; }};
}

}  // namespace shmpool::sweep
