// SPDX-License-Identifier: Apache-2.0
/// A buffer of Boost.Interprocess in the pool's segment, as a peer has it; see
/// shmpool/heap/best_fit.hpp. A header of its own, because it brings Boost.Interprocess with it.
///
///   auto orders = peer.best_fit_heap("orders").value();
///   orders.change([](BestFit& buffer) { ... });      // all of it, or nothing
///   orders.look([](BestFit& buffer) { return ...; });
#pragma once

#include <memory>
#include <utility>

#include "peer/heaps.hpp"
#include "shmpool/heap/best_fit.hpp"

namespace shmpool {

class SharedBestFitHeap : public OpenedHeap<BestFitHeap> {
public:
    SharedBestFitHeap(std::shared_ptr<HeapUse> use, std::unique_ptr<BestFitHeap> heap)
        : OpenedHeap(std::move(use), std::move(heap)) {}

    template <typename Body>
    auto change(Body body) {
        return call([&](BestFitHeap& heap, HeapUser who) { return heap.change(who.holder, body); });
    }
    template <typename Body>
    auto look(Body body) {
        return call([&](BestFitHeap& heap, HeapUser who) { return heap.look(who.holder, body); });
    }
};

}  // namespace shmpool
