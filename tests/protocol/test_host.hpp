// SPDX-License-Identifier: Apache-2.0
/// A segment, a host and its peers without a daemon: the test process plays the host, and children
/// or other objects of the test play the peers. Everything goes the way it goes in production:
/// sealed memory objects, the directory, reclaim with lane 0; only the sockets are missing.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "protocol/channel_directory.hpp"
#include "protocol/publisher_core.hpp"
#include "protocol/reclaim_peer.hpp"
#include "protocol/segment_shape.hpp"
#include "protocol/subscriber_core.hpp"
#include "shmpool/pool/pool_audit.hpp"
#include "shmpool/pool/pool_statistics.hpp"
#include "shmpool/segment/segment.hpp"

namespace shmpool::testing_protocol {

/// A small segment: a class without magazines and one with them.
[[nodiscard]] SegmentShape small_shape();

/// One process's mapping of the segment.
struct Mapped {
    Segment segment;
    VarSlotPool pool;
    ProtocolView view;
};
[[nodiscard]] std::unique_ptr<Mapped> create_segment(const SegmentShape& shape);
/// What a peer does with the descriptors that it got; also right after fork().
[[nodiscard]] std::unique_ptr<Mapped> open_segment(const Segment& inherited);

class TestHost {
public:
    explicit TestHost(const SegmentShape& shape = small_shape());
    /// A second host over the segment of a dead one: repairs the old host's lane first.
    explicit TestHost(std::unique_ptr<Mapped> taken_over);

    [[nodiscard]] VarSlotPool& pool() { return mapped_->pool; }
    [[nodiscard]] const ProtocolView& view() const { return mapped_->view; }
    [[nodiscard]] Segment& segment() { return mapped_->segment; }
    [[nodiscard]] Lane& lane() { return *lane_; }
    [[nodiscard]] ChannelDirectory& directory() { return *directory_; }

    /// A new peer, as after an attachment.
    std::uint32_t admit();
    Reclaimed reclaim(std::uint32_t peer_index, EndpointState how = EndpointState::died);
    /// Reclaims everybody who is dead but not finished. True when nobody is left.
    bool reclaim_lingering();

    [[nodiscard]] Opened open_publisher(std::uint32_t peer, ChannelPolicy policy,
                                        const std::string& channel = "c");
    [[nodiscard]] Opened open_subscriber(std::uint32_t peer, std::uint32_t depth,
                                         ChannelPolicy policy = ChannelPolicy::as_channel,
                                         const std::string& channel = "c", std::uint32_t flags = 0);

private:
    std::unique_ptr<Mapped> mapped_;
    std::unique_ptr<Lane> lane_;
    std::unique_ptr<ChannelDirectory> directory_;
    std::unique_ptr<PeerReclaim> reclaim_;
};

/// One peer in the test's own process, or in a child: a mapping and one lane.
class TestPeer {
public:
    /// Beside the host, in the same mapping (so that the thread sanitizer sees both).
    TestPeer(TestHost& host, std::uint32_t peer_index);
    /// With a mapping of its own.
    TestPeer(std::unique_ptr<Mapped> mapped, std::uint32_t peer_index);

    [[nodiscard]] VarSlotPool& pool() { return *pool_; }
    [[nodiscard]] const ProtocolView& view() const { return *view_; }
    [[nodiscard]] Lane& lane() { return *lane_; }
    [[nodiscard]] std::uint32_t index() const { return index_; }
    [[nodiscard]] std::unique_ptr<Lane> another_lane();
    /// Gives the cached slots back, as a peer does before it says farewell.
    void flush() { pool_->flush(*lane_); }

private:
    std::unique_ptr<Mapped> mapped_;
    VarSlotPool* pool_;
    const ProtocolView* view_;
    std::uint32_t index_;
    std::unique_ptr<Lane> lane_;
};

/// Everything that is wrong with a quiet pool in which nobody holds anything: broken invariants,
/// slots that are neither free nor cached, leases that count. Empty when all is well.
[[nodiscard]] std::string what_is_missing(const VarSlotPool& pool);

/// Broken invariants only, for a quiet pool in which somebody holds slots.
[[nodiscard]] std::string what_is_broken(const VarSlotPool& pool);

}  // namespace shmpool::testing_protocol
