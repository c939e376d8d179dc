// SPDX-License-Identifier: Apache-2.0
/// See queue_totals.hpp. All loads are relaxed: numbers for people, which order nothing.
#include "peer/queue_totals.hpp"

#include <algorithm>

namespace shmpool {
namespace {

bool drops_oldest(const ProtocolView& view, std::uint32_t channel_index) {
    const ChannelImage* const channel = view.channels.find(channel_index);
    return channel != nullptr && channel->policy.load(std::memory_order_relaxed) ==
                                     static_cast<std::uint32_t>(ChannelPolicy::drop_oldest);
}

}  // namespace

QueueTotals read_queue_totals(const ProtocolView& view, std::uint32_t subscriber_index) {
    const SubscriberImage& subscriber = view.subscribers.at(subscriber_index);
    QueueTotals totals;
    std::uint64_t steps = subscriber.retired_received.load(std::memory_order_relaxed);
    totals.dropped = subscriber.retired_dropped.load(std::memory_order_relaxed);
    const Atomic<std::uint32_t>* const numbers = view.ring_numbers(subscriber_index);
    for (std::uint32_t i = 0; i < view.publishers_per_channel; ++i) {
        const std::uint32_t number = numbers[i].load(std::memory_order_relaxed);
        const RingImage* const ring = number == 0 ? nullptr : view.rings.find(number - 1);
        if (ring == nullptr) continue;
        const std::uint64_t head = head_position(ring->head.load(std::memory_order_relaxed));
        const std::uint64_t tail = ring->tail.load(std::memory_order_relaxed);
        steps += head;
        totals.queued += std::min<std::uint64_t>(tail > head ? tail - head : 0,
                                                 ring->depth.load(std::memory_order_relaxed));
        totals.dropped += ring->dropped.load(std::memory_order_relaxed);
    }
    // A head steps over what its publisher dropped as the oldest.
    const std::uint64_t not_received =
        drops_oldest(view, subscriber.channel_index.load(std::memory_order_relaxed))
            ? std::min(steps, totals.dropped)
            : 0;
    totals.received = steps - not_received;
    return totals;
}

}  // namespace shmpool
