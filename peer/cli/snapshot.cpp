// SPDX-License-Identifier: Apache-2.0
/// See snapshot.hpp. Loads are relaxed but for one: these are numbers, which order nothing.
///
/// Pairings:
///   [R-statistics] -> [A-statistics]   who sees a reclaim counted sees its two moments.
#include "peer/cli/snapshot.hpp"

#include <bit>

#include "peer/cli/policy_option.hpp"
#include "peer/queue_totals.hpp"
#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool::cli {
namespace {

template <typename T>
T value(const Atomic<T>& number) {
    return number.load(std::memory_order_relaxed);
}

std::string name_of_state(std::uint32_t state) {
    switch (static_cast<PeerState>(state)) {
        case PeerState::empty: return "empty";
        case PeerState::attached: return "attached";
        case PeerState::dying: return "dying";
        case PeerState::reclaiming: return "reclaiming";
        case PeerState::lingering: return "lingering";
        case PeerState::suspect: return "suspect";
    }
    return "unknown";
}

std::string name_of_host_state(std::uint32_t state) {
    switch (static_cast<HostState>(state)) {
        case HostState::starting: return "starting";
        case HostState::running: return "running";
        case HostState::stopping: return "stopping";
        case HostState::stopped: return "stopped";
        case HostState::replaced: return "replaced";
    }
    return "unknown";
}

bool is_open(const Atomic<std::uint32_t>& state) {
    return value(state) == static_cast<std::uint32_t>(EndpointState::open);
}

/// Counts every slot for its class and for whoever has it.
class SlotCount {
public:
    SlotCount(const Observer& observer, std::vector<PeerNumbers>& by_index)
        : pool_(observer.pool()), view_(observer.view()), peers_(by_index) {
        assign_lanes();
        assign_lease_bits();
    }

    [[nodiscard]] std::vector<ClassStatistics> run() {
        std::vector<ClassStatistics> classes(pool_.class_count);
        for (std::uint32_t i = 0; i < pool_.class_count; ++i) {
            const ClassView& view = pool_.classes[i];
            classes[i].slot_size = view.slot_bytes;
            classes[i].slot_limit = view.slot_limit;
            for_each_slot_in_service(view, [&](const SlotRecord& record) {
                ++classes[i].slot_count;
                count(record, classes[i]);
            });
            for (std::uint32_t lane = 0; lane < pool_.lane_count; ++lane) {
                classes[i].allocations_total += value(pool_.lanes[lane].allocations[i]);
                classes[i].exhausted_total += value(pool_.lanes[lane].exhausted[i]);
            }
        }
        return classes;
    }

private:
    static constexpr std::size_t bits = 64;

    void assign_lanes() {
        by_lane_.resize(pool_.lane_count);
        for (std::uint32_t lane = 1; lane < pool_.lane_count; ++lane) {
            const auto peer = living_peer_of(view_, value(pool_.lanes[lane].owner));
            if (!peer) continue;
            by_lane_[lane] = &peers_[*peer];
            ++by_lane_[lane]->lanes;
        }
    }

    /// Subscribers that have left keep their record, and their leases, until the last sample ends.
    void assign_lease_bits() {
        by_lease_.resize(view_.channels.count * bits);
        for (std::uint32_t i = 0; i < view_.subscribers.count; ++i) {
            const SubscriberImage& one = view_.subscribers.at(i);
            const std::uint32_t channel = value(one.channel_index);
            if (value(one.state) == 0 || channel >= view_.channels.count) continue;
            const auto peer = living_peer_of(
                view_, owner_of_peer(value(one.peer_index), value(one.peer_incarnation)));
            if (peer) by_lease_[channel * bits + value(one.lease_bit) % bits] = &peers_[*peer];
        }
    }

    void count(const SlotRecord& record, ClassStatistics& into) {
        const SlotWord word = value(record.word);
        into.high_water += word_generation(word) != 0 ? 1U : 0U;
        const std::uint32_t owner = word_owner(word);
        PeerNumbers* const peer = owner < by_lane_.size() ? by_lane_[owner] : nullptr;
        switch (word_state(word)) {
            case SlotState::listed: ++into.free; return;
            case SlotState::cached:
                ++into.cached;
                if (peer != nullptr) ++peer->cached;
                return;
            case SlotState::published:
                ++into.published;
                return count_leases(owner, value(record.lease_mask), into.slot_size);
            case SlotState::in_transit: ++into.in_transit; break;
            case SlotState::loaned_raw:
            case SlotState::loaned: ++into.loaned; break;
        }
        if (peer == nullptr) return;
        ++peer->loaned;
        peer->bytes_held += into.slot_size;
    }

    void count_leases(std::uint32_t channel, std::uint64_t mask, std::uint64_t slot_bytes) {
        if (channel >= view_.channels.count) return;
        for (mask &= ~publisher_lease; mask != 0; mask &= mask - 1) {
            PeerNumbers* const peer =
                by_lease_[channel * bits + static_cast<std::size_t>(std::countr_zero(mask))];
            if (peer == nullptr) continue;
            ++peer->leases;
            peer->bytes_held += slot_bytes;
        }
    }

    const PoolView& pool_;
    const ProtocolView& view_;
    std::vector<PeerNumbers>& peers_;     ///< By number.
    std::vector<PeerNumbers*> by_lane_;   ///< Null: nobody who lives.
    std::vector<PeerNumbers*> by_lease_;  ///< By channel and bit.
};

void describe_peers(const PoolView& pool, const ProtocolView& view,
                    std::vector<PeerNumbers>& peers) {
    const std::uint64_t now_ns = monotonic_ns();
    for (std::uint32_t i = 0; i < view.peers.count; ++i) {
        const PeerImage& image = view.peers.at(i);
        PeerNumbers& peer = peers[i];
        peer.id = i;
        peer.name = text_of(image.name, name_bytes);
        peer.pid = value(image.pid);
        peer.uid = value(image.uid);
        peer.state = name_of_state(value(image.state));
        peer.read_only = value(image.read_only) != 0;
        if (find_peer(view, i) != nullptr) peer.quota = read_quota(pool, view, i);
        const std::uint64_t attached_ns = value(image.attached_ns);
        peer.attached_seconds =
            now_ns > attached_ns ? static_cast<double>(now_ns - attached_ns) / 1e9 : 0;
    }
}

std::vector<ChannelNumbers> read_channels(const ProtocolView& view) {
    std::vector<ChannelNumbers> channels(view.channels.count);
    for (std::uint32_t i = 0; i < view.channels.count; ++i) {
        const ChannelImage& image = view.channels.at(i);
        channels[i].name = text_of(image.name, name_bytes);
        channels[i].policy = name_of(static_cast<ChannelPolicy>(value(image.policy)));
        channels[i].type = text_of(image.type_name, type_name_bytes);
        channels[i].type_bytes = image.type_bytes;
        channels[i].published_total = value(image.retired_published);
    }
    for (std::uint32_t i = 0; i < view.publishers.count; ++i) {
        const PublisherImage& image = view.publishers.at(i);
        const std::uint32_t channel = value(image.channel_index);
        if (!is_open(image.state) || channel >= channels.size()) continue;
        ++channels[channel].publishers;
        channels[channel].published_total += value(image.published_total);
    }
    for (std::uint32_t i = 0; i < view.subscribers.count; ++i) {
        const SubscriberImage& image = view.subscribers.at(i);
        const std::uint32_t channel = value(image.channel_index);
        if (!is_open(image.state) || channel >= channels.size()) continue;
        const QueueTotals totals = read_queue_totals(view, i);
        channels[channel].subscribers.push_back({value(image.peer_index), value(image.depth),
                                                 totals.queued, totals.received, totals.dropped});
    }
    for (std::uint32_t i = view.channels.count; i-- > 0;) {
        if (!is_open(view.channels.at(i).state)) channels.erase(channels.begin() + i);
    }
    return channels;
}

}  // namespace

Snapshot take_snapshot(const Observer& observer) {
    const SegmentHeader& header = observer.header();
    Snapshot shot;
    shot.name = text_of(header.pool_name, pool_name_bytes);
    shot.host_pid = value(header.host_pid);
    shot.host_state = name_of_host_state(value(header.host_state));
    shot.damaged = observer.pool().damaged();
    shot.segment = {header.control_bytes + header.payload_bytes, value(header.committed_bytes),
                    value(header.layout_version), header.layout_fingerprint};
    shot.reclaims.peers_total =
        header.peers_reclaimed.load(std::memory_order_acquire);  // [A-statistics]
    shot.reclaims.slots_total = value(header.slots_reclaimed);
    shot.reclaims.last_notice_at_ns = value(header.last_notice_ns);
    shot.reclaims.last_reclaim_at_ns = value(header.last_reclaim_ns);

    std::vector<PeerNumbers> by_index(observer.view().peers.count);
    describe_peers(observer.pool(), observer.view(), by_index);
    shot.classes = SlotCount(observer, by_index).run();
    for (PeerNumbers& peer : by_index) {
        if (find_peer(observer.view(), peer.id) != nullptr) shot.peers.push_back(std::move(peer));
    }
    shot.channels = read_channels(observer.view());
    return shot;
}

}  // namespace shmpool::cli
