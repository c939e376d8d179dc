// SPDX-License-Identifier: Apache-2.0
/// Goal: pages that a peer has written and put into a cell are found by all, and outlive it.
#include <gmock/gmock.h>

#include <csignal>
#include <cstring>

#include "tests/peer/peer_fixture.hpp"

namespace shmpool {
namespace {

using HeapCellsOfPeers = PeerTest;

TEST_F(HeapCellsOfPeers, HoldPagesThatOutliveTheirAuthor) {
    HeapSpec spec;
    spec.kind = HeapKind::bitmap_pages;
    spec.bytes = 1 << 20;
    spec.on_death = OnDeath::reclaim;
    ASSERT_TRUE(peer_.create_heap("pages", spec));
    auto mine = peer_.page_heap("pages").value();
    Child child([&] {
        PeerOptions options;
        options.control_thread = false;  // The thread sanitizer lets it start none.
        auto peer = Peer::attach(host_.pool(), options).value();
        auto its = peer.page_heap("pages").value();
        (void)its.allocate_pages(7).value();
        const HeapOffset run = its.allocate_pages(20).value();
        std::memcpy(its.at(run + 19 * page_bytes), "ready", 6);
        if (!its.keep_pages_in(run, 20, HeapCell::root())) std::abort();
        pause();
    });
    ASSERT_TRUE(eventually([&] { return mine.root() != 0; }));
    child.signal(SIGKILL);
    child.wait();
    EXPECT_TRUE(eventually([&] { return mine.statistics()->used_pages == 20; }));
    EXPECT_STREQ(static_cast<const char*>(mine.at(mine.root() + 19 * page_bytes)), "ready");
    EXPECT_EQ(mine.keep_pages_in(mine.root(), 1, HeapCell::root()).error(), Errc::cell_in_use);
    EXPECT_TRUE(mine.free_pages_from(20, HeapCell::root()));
    EXPECT_EQ(mine.statistics()->used_pages, 0U);
    EXPECT_THAT(mine.audit().value(), testing::IsEmpty());
}

}  // namespace
}  // namespace shmpool
