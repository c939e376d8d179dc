// SPDX-License-Identifier: Apache-2.0
/// See quota.hpp. Loads are relaxed: a count of what others change meanwhile is of no single moment
/// anyway, and nothing is read through what it finds.
#include "protocol/quota.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "shmpool/pool/reclaim.hpp"

namespace shmpool {
namespace {

template <typename T>
T value(const Atomic<T>& number) {
    return number.load(std::memory_order_relaxed);
}

bool contains(std::span<const PeerTurn> peers, const PeerTurn& one) {
    return std::ranges::find(peers, one) != peers.end();
}

/// The lanes of the peers, and the blocks that any of them ever touched.
struct Lanes {
    std::vector<bool> ours;
    std::array<std::uint64_t, block_words> touched{};
};

Lanes lanes_of(const PoolView& pool, std::span<const PeerTurn> peers) {
    Lanes lanes{std::vector<bool>(pool.lane_count), {}};
    for (std::uint32_t i = 1; i < pool.lane_count; ++i) {
        const std::uint64_t owner = value(pool.lanes[i].owner);
        const bool ours = std::ranges::any_of(peers, [owner](const PeerTurn& peer) {
            return owner == owner_of_peer(peer.index, peer.incarnation);
        });
        if (!ours) continue;
        lanes.ours[i] = true;
        for (std::size_t w = 0; w < block_words; ++w) {
            lanes.touched[w] |= value(pool.lanes[i].touched_blocks[w]);
        }
    }
    return lanes;
}

/// By channel: the lease bits of all their subscribers, of those that have left too.
std::vector<std::uint64_t> lease_bits_of(const ProtocolView& view,
                                         std::span<const PeerTurn> peers) {
    std::vector<std::uint64_t> bits(view.channels.count);
    for (std::uint32_t i = 0; i < view.subscribers.count; ++i) {
        const SubscriberImage& one = view.subscribers.at(i);
        const std::uint32_t channel = value(one.channel_index);
        const bool there = value(one.state) != static_cast<std::uint32_t>(EndpointState::empty);
        if (!there || channel >= bits.size()) continue;
        if (!contains(peers, {value(one.peer_index), value(one.peer_incarnation)})) continue;
        bits[channel] |= std::uint64_t{1} << (value(one.lease_bit) % subscribers_per_channel_max);
    }
    return bits;
}

std::uint64_t room_below(std::uint64_t until, std::uint64_t drawn) {
    return until > drawn ? until - drawn : 0;
}

/// No limit is one that is never reached.
std::uint64_t next_count_at(std::uint64_t drawn, std::uint64_t limit, std::uint64_t used) {
    if (limit == 0) return std::numeric_limits<std::uint64_t>::max();
    return drawn + (limit > used ? limit - used : 0);
}

bool has_limit(const Holding& limit) {
    return limit.slots != 0 || limit.bytes != 0;
}

std::string spell_use(const std::string& who, const QuotaUse& use, const char* key) {
    std::string text = who + " holds " + std::to_string(use.used.slots);
    if (use.limit.slots != 0) text += " of " + std::to_string(use.limit.slots);
    text += " slots and " + std::to_string(use.used.bytes);
    if (use.limit.bytes != 0) text += " of " + std::to_string(use.limit.bytes);
    return text + " bytes (" + key + "_slots, " + key + "_bytes)";
}

}  // namespace

Holding count_holding(const PoolView& pool, const ProtocolView& view,
                      std::span<const PeerTurn> peers) {
    const Lanes lanes = lanes_of(pool, peers);
    const std::vector<std::uint64_t> leases = lease_bits_of(view, peers);
    const auto weight = [&](const SlotRecord& record) -> std::uint64_t {
        const SlotWord word = value(record.word);
        const std::uint32_t owner = word_owner(word);
        switch (word_state(word)) {
            case SlotState::listed: return 0;
            case SlotState::published:
                if (owner >= leases.size()) return 0;
                return static_cast<std::uint64_t>(
                    std::popcount(value(record.lease_mask) & leases[owner]));
            default: return owner < lanes.ours.size() && lanes.ours[owner] ? 1 : 0;
        }
    };
    Holding held;
    for_each_in_blocks(
        pool, [&](std::uint32_t word) { return lanes.touched[word]; },
        [&](std::uint32_t class_index, std::uint32_t, const SlotRecord& record) {
            const std::uint64_t slots = weight(record);
            held.slots += slots;
            held.bytes += slots * pool.classes[class_index].slot_bytes;
        });
    return held;
}

void find_peers_of_user(const ProtocolView& view, std::uint32_t user, std::vector<PeerTurn>& into) {
    into.clear();
    for (std::uint32_t i = 0; i < view.peers.count; ++i) {
        const PeerImage& place = view.peers.at(i);
        const bool there = value(place.state) != static_cast<std::uint32_t>(PeerState::empty);
        if (there && value(place.uid) == user) into.push_back({i, value(place.incarnation)});
    }
}

LaneQuota::LaneQuota(const PoolView& pool, const ProtocolView& view, std::uint32_t peer_index)
    : pool_(pool),
      view_(view),
      place_(view.peers.at(peer_index)),
      self_{peer_index, value(place_.incarnation)} {}

std::uint32_t LaneQuota::may_draw(std::uint32_t class_index, std::uint32_t wanted) {
    const Holding peer_limit{value(place_.quota_slots), value(place_.quota_bytes)};
    const Holding user_limit{value(place_.user_quota_slots), value(place_.user_quota_bytes)};
    const std::uint64_t slot_bytes = pool_.classes[class_index].slot_bytes;
    limited_ = has_limit(peer_limit) || has_limit(user_limit);
    if (has_limit(peer_limit)) {
        wanted = std::min(wanted, room(of_peer_, peer_limit, std::span(&self_, 1), slot_bytes));
    }
    if (has_limit(user_limit) && wanted != 0) {
        find_peers_of_user(view_, value(place_.uid), peers_of_user_);
        wanted = std::min(wanted, room(of_user_, user_limit, peers_of_user_, slot_bytes));
    }
    return wanted;
}

void LaneQuota::drawn(std::uint32_t class_index, std::uint32_t count) {
    if (!limited_) return;
    const std::uint64_t bytes = count * pool_.classes[class_index].slot_bytes;
    place_.drawn_slots.fetch_add(count, std::memory_order_relaxed);
    place_.drawn_bytes.fetch_add(bytes, std::memory_order_relaxed);
}

/// Slots that may be drawn now. Counts if nothing is left of the last count, or if it was of
/// another limit or of other peers: the host may have changed, peers of the user may have come or
/// gone.
std::uint32_t LaneQuota::room(Scope& scope, const Holding& limit, std::span<const PeerTurn> peers,
                              std::uint64_t slot_bytes) {
    const Holding drawn = sum_drawn(peers);
    const auto left = [&] {
        const std::uint64_t slots = room_below(scope.until.slots, drawn.slots);
        const std::uint64_t bytes = room_below(scope.until.bytes, drawn.bytes);
        return static_cast<std::uint32_t>(
            std::min({slots, bytes / slot_bytes, std::uint64_t{slot_count_max}}));
    };
    const bool same = scope.limit == limit && std::ranges::equal(scope.peers, peers);
    if (same && left() != 0) return left();
    const Holding used = count_holding(pool_, view_, peers);
    scope.limit = limit;
    scope.peers.assign(peers.begin(), peers.end());
    scope.until = {next_count_at(drawn.slots, limit.slots, used.slots),
                   next_count_at(drawn.bytes, limit.bytes, used.bytes)};
    return left();
}

Holding LaneQuota::sum_drawn(std::span<const PeerTurn> peers) const {
    Holding sum;
    for (const PeerTurn& peer : peers) {
        sum.slots += value(view_.peers.at(peer.index).drawn_slots);
        sum.bytes += value(view_.peers.at(peer.index).drawn_bytes);
    }
    return sum;
}

QuotaReport read_quota(const PoolView& pool, const ProtocolView& view, std::uint32_t peer_index) {
    const PeerImage& place = view.peers.at(peer_index);
    const PeerTurn self{peer_index, value(place.incarnation)};
    const std::uint32_t user = value(place.uid);
    std::vector<PeerTurn> of_user;
    find_peers_of_user(view, user, of_user);
    return {peer_index,
            user,
            {count_holding(pool, view, std::span(&self, 1)),
             {value(place.quota_slots), value(place.quota_bytes)}},
            {count_holding(pool, view, of_user),
             {value(place.user_quota_slots), value(place.user_quota_bytes)}}};
}

std::string QuotaReport::text() const {
    return spell_use("peer " + std::to_string(peer), of_peer, "peer") + ", " +
           spell_use("all peers of user " + std::to_string(user), of_user, "user") +
           "; free some, or raise [quota] in the host's configuration";
}

}  // namespace shmpool
