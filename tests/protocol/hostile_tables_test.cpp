// SPDX-License-Identifier: Apache-2.0
/// Goal: nonsense in tables that the host once wrote, and in words that peers write, never leads
/// the host or an honest peer outside of its tables or into a walk without end (I6). Method: one
/// word is overwritten, as a hostile peer would, then the verb that uses it is called. Under the
/// sanitizers an access outside of a table ends the test.
#include "endpoints.hpp"

#include "shmpool/pool/detectable_stack.hpp"

namespace shmpool::testing_protocol {
namespace {

struct HostileTables : testing::Test {
    TestHost host;
    TestPeer peer{host, host.admit()};
    TestPeer other{host, host.admit()};

    [[nodiscard]] Result<Opened> publish_on_c() {
        ChannelRequest request;
        request.channel = "c";
        return host.directory().open_publisher(request, other.index());
    }
    void expect_refused_as_damaged() {
        const auto opened = publish_on_c();
        ASSERT_FALSE(opened);
        EXPECT_EQ(opened.error().code, Errc::pool_damaged);
        EXPECT_NE(opened.error().message.find("shmpool rebuild"), std::string::npos);
        EXPECT_TRUE(host.pool().view().damaged());
    }
};

TEST_F(HostileTables, ASubscribersLeaseBitBeyondThePublishersTableIsRefused) {
    const Opened reader = host.open_subscriber(peer.index(), 4);
    for (const std::uint32_t bit : {60U, 63U, 64U, 0xFFFF'FFFFU}) {
        host.view().subscribers.at(reader.endpoint_index).lease_bit.store(bit);
        expect_refused_as_damaged();
    }
}

TEST_F(HostileTables, ASubscribersDepthThatNoRingHasIsRefused) {
    const Opened reader = host.open_subscriber(peer.index(), 4);
    for (const std::uint32_t depth : {0U, ring_depth_max + 1, 0x8000'0001U, 0xFFFF'FFFFU}) {
        host.view().subscribers.at(reader.endpoint_index).depth.store(depth);
        expect_refused_as_damaged();
    }
}

TEST_F(HostileTables, RingsThatLieNowhereAreNotCountedAsUsedRoom) {
    (void)host.open_subscriber(peer.index(), 4);
    (void)host.open_publisher(peer.index(), ChannelPolicy::block);
    (void)host.open_publisher(peer.index(), ChannelPolicy::block);
    // Between these two there would be room, but far outside of the table.
    host.view().rings.at(0).capacity.store(1U << 30);
    host.view().rings.at(1).entries_offset.store(~std::uint64_t{0} - 4);
    EXPECT_TRUE(publish_on_c());
    EXPECT_TRUE(host.pool().view().damaged());
}

TEST_F(HostileTables, ReclaimLooksAtNoMoreEntriesThanThereAre) {
    (void)host.open_subscriber(peer.index(), 4);
    for (std::uint32_t i = 0; i < 3; ++i) {
        (void)host.open_publisher(other.index(), ChannelPolicy::block);
    }
    std::uint32_t all = 1;
    while (2 * all <= host.view().entries.count) all *= 2;
    for (std::uint32_t i = 0; i < 3; ++i) {
        host.view().rings.at(i).entries_offset.store(0);
        host.view().rings.at(i).capacity.store(all);
    }
    EXPECT_FALSE(host.pool().view().damaged());
    (void)host.reclaim(host.admit());
    EXPECT_TRUE(host.pool().view().damaged());
}

TEST_F(HostileTables, AnIntentOfAChainLongerThanAnyIsIgnored) {
    const auto held = peer.pool().loan(peer.lane(), 64);
    ASSERT_TRUE(held);
    const Intent intent{IntentKind::pop, 0, 0, 0, chain_slots_max + 1};
    EXPECT_FALSE(is_sound(host.pool().view(), peer.lane().index(), intent));
    host.pool().view().lanes[peer.lane().index()].intent.store(pack_intent(intent));
    (void)host.reclaim(peer.index());
    EXPECT_EQ(what_is_missing(host.pool()), "");
}

TEST_F(HostileTables, AWordOfNoKnownStateThatNamesTheDeadMarksThePool) {
    const auto held = peer.pool().loan(peer.lane(), 64);
    ASSERT_TRUE(held);
    SlotRecord& record =
        host.pool().view().classes[held->class_index].records[position_of(held->key)];
    record.word.store(make_word(1, static_cast<SlotState>(77), peer.lane().index()));
    (void)host.reclaim(peer.index());
    EXPECT_TRUE(host.pool().view().damaged());
}

/// Else `wait` says "ready" and `take` says "empty", each at once and for ever.
TEST_F(HostileTables, AReaderIsReadyOnlyForWhatItWillTake) {
    Reader reader(peer, host.open_subscriber(peer.index(), 4));
    Writer writer(other, host.open_publisher(other.index(), ChannelPolicy::block),
                  ChannelPolicy::block, 1);
    ASSERT_TRUE(writer.send());
    ASSERT_TRUE(reader.next());
    EXPECT_FALSE(reader.core().ready());
    host.view().rings.at(0).head.store(make_head(0, false));
    EXPECT_FALSE(reader.core().ready());
    EXPECT_EQ(reader.next().error(), Errc::empty);
}

}  // namespace
}  // namespace shmpool::testing_protocol
