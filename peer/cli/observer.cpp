// SPDX-License-Identifier: Apache-2.0
/// See observer.hpp.
#include "peer/cli/observer.hpp"

#include <cstring>

namespace shmpool::cli {

Result<Observer> Observer::attach(const CommonOptions& common) {
    auto control = std::make_unique<ControlChannel>();
    auto attachment = control->attach(observer_request(common));
    if (!attachment) return tl::unexpected(attachment.error());
    if (attachment->descriptors.size() != 1) {
        return fail(Errc::protocol_violation, "the host did not pass the control memory");
    }
    auto segment = Segment::open(std::move(attachment->descriptors[0]), {}, Access::read_only,
                                 protocol_fingerprint);
    if (!segment) return tl::unexpected(segment.error());
    const auto region = segment->region(RegionKind::pool_control);
    if (!region) return tl::unexpected(region.error());
    auto pool = VarSlotPool::observe(region->bytes);
    if (!pool) return tl::unexpected(pool.error());
    const auto view = ProtocolView::of(*segment);
    if (!view) return tl::unexpected(view.error());
    return Observer(std::move(control), std::move(*segment), std::move(*pool), *view);
}

const PeerImage* find_peer(const ProtocolView& view, std::uint32_t peer_index) {
    const PeerImage* const peer = view.peers.find(peer_index);
    const bool there = peer != nullptr && peer->state.load(std::memory_order_relaxed) !=
                                              static_cast<std::uint32_t>(PeerState::empty);
    return there ? peer : nullptr;
}

std::optional<std::uint32_t> living_peer_of(const ProtocolView& view, std::uint64_t owner) {
    const std::uint32_t index = peer_of_owner(owner);
    const PeerImage* const peer = find_peer(view, index);
    if (peer == nullptr ||
        owner != owner_of_peer(index, peer->incarnation.load(std::memory_order_relaxed))) {
        return std::nullopt;
    }
    return index;
}

bool is_nobodys_lane(const Observer& observer, std::uint32_t lane) {
    if (lane == host_lane) return false;
    const PoolView& pool = observer.pool();
    if (lane >= pool.lane_count) return true;
    const std::uint64_t owner = pool.lanes[lane].owner.load(std::memory_order_acquire);  // [A-lane]
    return !living_peer_of(observer.view(), owner);
}

std::string text_of(const char* chars, std::size_t limit) {
    return {chars, strnlen(chars, limit)};
}

}  // namespace shmpool::cli
