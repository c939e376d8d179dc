// SPDX-License-Identifier: Apache-2.0
/// Goal: what is done to a heap while others are in it all the time is done all the same.
#include <gmock/gmock.h>

#include <csignal>

#include "tests/peer/peer_fixture.hpp"

namespace shmpool {
namespace {

/// The thread sanitizer lets the child of a process with threads start none.
PeerOptions in_child() {
    PeerOptions options;
    options.control_thread = false;
    return options;
}

using HeapsInTraffic = PeerTest;

TEST_F(HeapsInTraffic, GrowWhileOthersAreInThem) {
    HeapSpec spec;
    spec.bytes = 1 << 20;
    spec.max_bytes = 16 << 20;
    ASSERT_TRUE(peer_.create_heap("busy", spec));
    const auto use_it = [&] {
        auto peer = Peer::attach(host_.pool(), in_child()).value();
        auto its = peer.byte_heap("busy").value();
        if (!its.allocate(8)) std::abort();
        for (;;) {
            const auto block = its.allocate(1000);
            if (!block || !its.free(*block)) std::abort();
        }
    };
    Child first(use_it);
    Child second(use_it);
    auto mine = peer_.byte_heap("busy").value();
    ASSERT_TRUE(eventually([&] { return mine.statistics()->blocks >= 2; }));
    for (std::uint64_t mib = 2; mib <= 11; ++mib) {
        const auto grown = peer_.grow_heap("busy", mib << 20);
        ASSERT_TRUE(grown) << grown.error().message;
    }
    EXPECT_EQ(peer_.heaps().value()[0].committed_bytes, 11U << 20);
    for (Child* const child : {&first, &second}) {
        child->signal(SIGKILL);
        child->wait();
    }
    EXPECT_THAT(mine.audit().value(), testing::IsEmpty());
}

}  // namespace
}  // namespace shmpool
