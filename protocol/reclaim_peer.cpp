// SPDX-License-Identifier: Apache-2.0
#include "protocol/reclaim_peer.hpp"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "protocol/lease_table.hpp"
#include "shmpool/pool/reclaim.hpp"

namespace shmpool {
namespace {

std::vector<std::uint32_t> lanes_of(const PoolView& pool, std::uint64_t owner) {
    std::vector<std::uint32_t> lanes;
    for (std::uint32_t i = 1; i < pool.lane_count; ++i) {
        if (pool.lanes[i].owner.load(std::memory_order_acquire) == owner)
            lanes.push_back(i);  // [A-lane]
    }
    return lanes;
}

/// Every slot that some open ring still holds for its reader. Entries that were read are in it too;
/// their slots' words no longer say in_transit, because a reader stamps before it goes on.
std::vector<std::unordered_set<SlotKey>> slots_on_their_way(const ProtocolView& view,
                                                            const PoolView& pool) {
    std::vector<std::unordered_set<SlotKey>> by_class(pool.class_count);
    std::uint64_t entries_left = view.entries.count;
    for (std::uint32_t i = 0; i < view.rings.count; ++i) {
        const RingView ring = RingView::of(view, i);
        if (!ring || ring.closed() ||
            ring.image->state.load(std::memory_order_acquire) ==  // [A-connect]
                static_cast<std::uint32_t>(EndpointState::empty)) {
            continue;
        }
        if (ring.index_mask >= entries_left) {  // Rings that overlap: they could go on for ever.
            pool.mark_damaged();
            break;
        }
        entries_left -= ring.index_mask + 1;
        for (std::uint64_t cell = 0; cell <= ring.index_mask; ++cell) {
            const RingEntry& entry = ring.entries[cell];
            const std::uint64_t stamp = entry.stamp.load(std::memory_order_acquire);  // [A-entry]
            if (stamp_kind(stamp) == EntryKind::moved && stamp_class(stamp) < pool.class_count) {
                by_class[stamp_class(stamp)].insert(entry.key.load(std::memory_order_relaxed));
            }
        }
    }
    return by_class;
}

}  // namespace

Reclaimed PeerReclaim::reclaim(std::uint32_t peer_index, EndpointState how) {
    PeerImage& peer = view_.peers.at(peer_index);
    const std::uint32_t incarnation = peer.incarnation.load(std::memory_order_relaxed);
    peer.state.store(static_cast<std::uint32_t>(PeerState::reclaiming),
                     std::memory_order_release);  // [R-peer]
    const std::vector<std::uint32_t> lanes =
        lanes_of(pool_.view(), owner_of_peer(peer_index, incarnation));

    for (const std::uint32_t lane : lanes) recover_intent(pool_.view(), lane);
    SHMPOOL_CRASH_POINT(reclaim_intents_decided);
    end_endpoints(peer_index, how);
    SHMPOOL_CRASH_POINT(reclaim_endpoints_ended);
    for (const std::uint32_t lane : lanes) give_up_leases(peer_index, lane);

    SHMPOOL_CRASH_POINT(reclaim_leases_given_up);
    Reclaimed result;
    directory_.maintain();
    const auto on_their_way = slots_on_their_way(view_, pool_.view());
    const InTransit in_transit = [&](std::uint32_t class_index, SlotKey key) {
        return on_their_way[class_index].contains(key);
    };
    bool lanes_free = true;
    for (const std::uint32_t lane : lanes) {
        const Sweep sweep = sweep_lane(pool_, lane_, lane, in_transit);
        SHMPOOL_CRASH_POINT(reclaim_lane_swept);
        result.slots += sweep.taken_back;
        if (sweep.left_in_transit == 0) {
            retire_lane(pool_.view(), lane);
            SHMPOOL_CRASH_POINT(reclaim_lane_retired);
        } else {
            lanes_free = false;
        }
    }
    result.finished = lanes_free && !has_publishers(peer_index);
    peer.state.store(
        static_cast<std::uint32_t>(result.finished ? PeerState::empty : PeerState::lingering),
        std::memory_order_release);  // [R-peer]
    return result;
}

bool PeerReclaim::endpoint_of(std::uint32_t peer_index, const Atomic<std::uint32_t>& state,
                              const Atomic<std::uint32_t>& owner_index,
                              const Atomic<std::uint32_t>& owner_incarnation) const {
    return state.load(std::memory_order_acquire) !=  // [A-connect]
               static_cast<std::uint32_t>(EndpointState::empty) &&
           owner_index.load(std::memory_order_relaxed) == peer_index &&
           owner_incarnation.load(std::memory_order_relaxed) ==
               view_.peers.at(peer_index).incarnation.load(std::memory_order_relaxed);
}

void PeerReclaim::end_endpoints(std::uint32_t peer_index, EndpointState how) {
    for (std::uint32_t i = 0; i < view_.publishers.count; ++i) {
        const PublisherImage& one = view_.publishers.at(i);
        if (endpoint_of(peer_index, one.state, one.peer_index, one.peer_incarnation)) {
            directory_.publisher_left(i, how);
        }
    }
    for (std::uint32_t i = 0; i < view_.subscribers.count; ++i) {
        const SubscriberImage& one = view_.subscribers.at(i);
        if (endpoint_of(peer_index, one.state, one.peer_index, one.peer_incarnation)) {
            directory_.subscriber_left(i, how);
        }
    }
}

void PeerReclaim::give_up_leases(std::uint32_t peer_index, std::uint32_t lane_index) {
    // Subscribers that had left before their peer died may have leases too: their records stay
    // until no slot carries their bit.
    std::vector<std::uint64_t> bits(view_.channels.count);
    for (std::uint32_t i = 0; i < view_.subscribers.count; ++i) {
        const SubscriberImage& one = view_.subscribers.at(i);
        const std::uint32_t channel = one.channel_index.load(std::memory_order_relaxed);
        if (channel < bits.size() &&
            endpoint_of(peer_index, one.state, one.peer_index, one.peer_incarnation)) {
            bits[channel] |= std::uint64_t{1}
                             << (one.lease_bit.load(std::memory_order_relaxed) % 63);
        }
    }
    // The walk is the dearest part of a reclaim; who only writes is spared it.
    if (std::ranges::all_of(bits, [](std::uint64_t held) { return held == 0; })) return;
    for_each_touched(
        pool_.view(), lane_index,
        [&](std::uint32_t class_index, std::uint32_t slot, SlotRecord& record) {
            const SlotWord word = record.word.load(std::memory_order_acquire);  // [A-word]
            if (word_state(word) != SlotState::published || word_owner(word) >= bits.size()) return;
            std::uint64_t held = bits[word_owner(word)];
            while (held != 0) {
                const std::uint64_t bit = held & (~held + 1);
                held &= held - 1;
                release_if_held(pool_, lane_, class_index, make_key(word_generation(word), slot),
                                bit);
            }
        });
}

bool PeerReclaim::has_publishers(std::uint32_t peer_index) const {
    for (std::uint32_t i = 0; i < view_.publishers.count; ++i) {
        const PublisherImage& one = view_.publishers.at(i);
        if (endpoint_of(peer_index, one.state, one.peer_index, one.peer_incarnation)) return true;
    }
    return false;
}

}  // namespace shmpool
