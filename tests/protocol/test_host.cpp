// SPDX-License-Identifier: Apache-2.0
#include "test_host.hpp"

#include <cstdio>
#include <cstdlib>

#include "shmpool/platform/membarrier.hpp"
#include "shmpool/pool/reclaim.hpp"

namespace shmpool::testing_protocol {
namespace {

/// A test cannot go on without its fixture.
template <typename T>
T must(Result<T> result) {
    if (!result) {
        std::fprintf(stderr, "fixture: %s\n", result.error().message.c_str());
        std::abort();
    }
    return std::move(*result);
}

PoolRegion pool_region(const Segment& segment) {
    return {must(segment.region(RegionKind::pool_control)).bytes,
            must(segment.region(RegionKind::pool_payload)).bytes};
}

std::unique_ptr<Lane> claimed_lane(VarSlotPool& pool, const ProtocolView& view,
                                   std::uint32_t peer) {
    auto lane = pool.open_lane(owner_of_peer(peer, view.peers.at(peer).incarnation.load()));
    if (!lane) std::abort();
    return std::move(*lane);
}

}  // namespace

SegmentShape small_shape() {
    SegmentShape shape;
    shape.classes = {{64, 64}, {256, 256}};
    shape.lanes = 16;
    shape.peers = 16;
    shape.channels = 4;
    shape.publishers = 16;
    shape.subscribers = 80;
    shape.rings = 96;
    shape.ring_entries = 1024;
    shape.publishers_per_channel = 8;
    return shape;
}

std::unique_ptr<Mapped> create_segment(const SegmentShape& shape) {
    Segment segment =
        must(Segment::create("test", must(plan_segment_for(shape)), protocol_fingerprint));
    VarSlotPool pool = must(VarSlotPool::init(pool_region(segment), shape.classes, shape.lanes));
    ProtocolView view = must(ProtocolView::of(segment));
    segment.publish();
    return std::make_unique<Mapped>(Mapped{std::move(segment), std::move(pool), view});
}

std::unique_ptr<Mapped> open_segment(const Segment& inherited) {
    Segment segment = must(Segment::open(must(Descriptor::duplicate(inherited.control())),
                                         must(Descriptor::duplicate(inherited.payload())),
                                         Access::read_write, protocol_fingerprint));
    VarSlotPool pool = must(VarSlotPool::attach(pool_region(segment)));
    ProtocolView view = must(ProtocolView::of(segment));
    return std::make_unique<Mapped>(Mapped{std::move(segment), std::move(pool), view});
}

TestHost::TestHost(const SegmentShape& shape) : mapped_(create_segment(shape)) {
    if (!register_global_barrier()) std::abort();
    lane_ = std::make_unique<Lane>(pool().view(), host_lane);
    directory_ = std::make_unique<ChannelDirectory>(pool(), *lane_, view());
    reclaim_ = std::make_unique<PeerReclaim>(pool(), *lane_, view(), *directory_);
}

TestHost::TestHost(std::unique_ptr<Mapped> taken_over) : mapped_(std::move(taken_over)) {
    if (!register_global_barrier()) std::abort();
    recover_intent(pool().view(), host_lane);
    lane_ = std::make_unique<Lane>(pool().view(), host_lane);
    (void)sweep_lane(pool(), *lane_, host_lane, [](std::uint32_t, SlotKey) { return false; });
    directory_ = std::make_unique<ChannelDirectory>(pool(), *lane_, view());
    reclaim_ = std::make_unique<PeerReclaim>(pool(), *lane_, view(), *directory_);
}

std::uint32_t TestHost::admit() {
    for (std::uint32_t i = 0; i < view().peers.count; ++i) {
        PeerImage& peer = view().peers.at(i);
        if (peer.state.load() != static_cast<std::uint32_t>(PeerState::empty)) continue;
        peer.incarnation.fetch_add(1);
        peer.state.store(static_cast<std::uint32_t>(PeerState::attached));
        return i;
    }
    std::fprintf(stderr, "fixture: no free peer\n");
    std::abort();
}

Reclaimed TestHost::reclaim(std::uint32_t peer_index, EndpointState how) {
    return reclaim_->reclaim(peer_index, how);
}

bool TestHost::reclaim_lingering() {
    bool nobody = true;
    for (std::uint32_t i = 0; i < view().peers.count; ++i) {
        const auto state = static_cast<PeerState>(view().peers.at(i).state.load());
        if (state != PeerState::lingering && state != PeerState::reclaiming) continue;
        if (!reclaim(i).finished) nobody = false;
    }
    return nobody;
}

Opened TestHost::open_publisher(std::uint32_t peer, ChannelPolicy policy,
                                const std::string& channel) {
    ChannelRequest request;
    request.channel = channel;
    request.policy = policy;
    return must(directory_->open_publisher(request, peer));
}

Opened TestHost::open_subscriber(std::uint32_t peer, std::uint32_t depth, ChannelPolicy policy,
                                 const std::string& channel, std::uint32_t flags) {
    ChannelRequest request;
    request.channel = channel;
    request.policy = policy;
    return must(directory_->open_subscriber(request, peer, depth, flags));
}

TestPeer::TestPeer(TestHost& host, std::uint32_t peer_index)
    : pool_(&host.pool()),
      view_(&host.view()),
      index_(peer_index),
      lane_(claimed_lane(*pool_, *view_, index_)) {}

TestPeer::TestPeer(std::unique_ptr<Mapped> mapped, std::uint32_t peer_index)
    : mapped_(std::move(mapped)),
      pool_(&mapped_->pool),
      view_(&mapped_->view),
      index_(peer_index),
      lane_(claimed_lane(*pool_, *view_, index_)) {
    if (!register_global_barrier()) std::abort();
}

std::unique_ptr<Lane> TestPeer::another_lane() {
    return claimed_lane(*pool_, *view_, index_);
}

std::string what_is_broken(const VarSlotPool& pool) {
    std::string text;
    for (const AuditFinding& finding : audit(pool.view(), 5)) {
        text += finding.invariant + " class " + std::to_string(finding.class_index) + " slot " +
                std::to_string(finding.slot_index) + ": " + finding.text + "\n";
    }
    return text;
}

std::string what_is_missing(const VarSlotPool& pool) {
    std::string text = what_is_broken(pool);
    const auto classes = read_statistics(pool.view());
    for (std::size_t i = 0; i < classes.size(); ++i) {
        const ClassStatistics& one = classes[i];
        if (one.free + one.cached == one.slot_count) continue;
        text += "class " + std::to_string(i) + ": of " + std::to_string(one.slot_count) +
                " slots " + std::to_string(one.loaned) + " are on loan, " +
                std::to_string(one.published) + " published, " + std::to_string(one.in_transit) +
                " in transit\n";
    }
    return text;
}

}  // namespace shmpool::testing_protocol
