// SPDX-License-Identifier: Apache-2.0
/// The reaper's decisions about those whom a host before it has left.
#include "tests/host/reaper_rig.hpp"

namespace shmpool::host {
namespace {

TEST_F(ReaperTest, TakesBackWhoDiedUnderNoHost) {
    build(SuspectPolicy::wait);
    const PeerId id = attach().id;
    build_reaper();
    registry->take_over();
    ended = true;
    reaper->take_over();
    EXPECT_EQ(shown(id), PeerState::empty);
    EXPECT_EQ(attach().id, (PeerId{id.index, id.incarnation + 1}));
}

TEST_F(ReaperTest, WaitsForThoseWhoLiveUnderNoHost) {
    build(SuspectPolicy::kill);
    const PeerId id = attach().id;
    build_reaper();
    registry->take_over();
    reaper->take_over();
    run_for(60'000 * ms);
    EXPECT_EQ(shown(id), PeerState::attached);
    EXPECT_EQ(kills, 0) << "to be late is no silence";
    ended = true;
    reaper->pidfd_readable(id);
    EXPECT_EQ(shown(id), PeerState::empty);
}

TEST_F(ReaperTest, TakesNobodyForDeadByANumberOfAnotherNamespace) {
    build(SuspectPolicy::kill);
    const PeerId id = attach().id;
    ASSERT_EQ(steward->view().peers.at(id.index).process_space.load(), process_space());
    steward->view().peers.at(id.index).process_space = process_space() + 1;
    build_reaper();
    registry->take_over();
    ended = true;  // So it looks from here.
    maps = false;
    stopped = true;
    reaper->take_over();
    for (int i = 0; i < 10; ++i) run_to_next_tick();
    EXPECT_EQ(shown(id), PeerState::attached);
    EXPECT_EQ(kills, 0);

    registry->rejoined(*registry->find(id), {4712, 1000, 1000}, false);
    EXPECT_EQ(steward->view().peers.at(id.index).process_space.load(), process_space());
    EXPECT_EQ(steward->view().peers.at(id.index).pid.load(), 4712U);
    reaper->rejoined(*registry->find(id), 7, Descriptor());
    reaper->pidfd_readable(id);
    EXPECT_EQ(shown(id), PeerState::empty) << "from now on it is looked after";
}

TEST_F(ReaperTest, LooksAfterAnUnseenPeerByItsPidfdAlone) {
    build(SuspectPolicy::wait);
    const PeerId id = attach(0).id;
    EXPECT_EQ(steward->view().peers.at(id.index).process_space.load(), 0U);
    stopped = true;  // So it looks, by the number 0.
    maps = false;
    reaper->beacon_fired(id, now_ns);
    reaper->connection_closed(id, registry->find(id)->session_id, ClosedBy::peer);
    run_for(60'000 * ms);
    ASSERT_EQ(shown(id), PeerState::dying) << "its program may have been replaced, or not";
    EXPECT_EQ(kills, 0);

    build_reaper();
    registry->take_over();
    ended = true;  // By the number 0.
    reaper->take_over();
    for (int i = 0; i < 10; ++i) run_to_next_tick();
    ASSERT_EQ(shown(id), PeerState::attached) << "the next host can not look for it";
    registry->rejoined(*registry->find(id), {0, 1000, 1000}, false);
    EXPECT_TRUE(registry->find(id)->unseen);
    reaper->rejoined(*registry->find(id), 7, Descriptor());
    reaper->pidfd_readable(id);
    EXPECT_EQ(shown(id), PeerState::empty);
}

TEST_F(ReaperTest, TakesBackWhoLeftOrReplacedItsProgramUnderNoHost) {
    build(SuspectPolicy::wait);
    const PeerId left = attach().id;
    const PeerId replaced = attach().id;
    steward->view().peers.at(left.index).left_incarnation = left.incarnation;
    build_reaper();
    registry->take_over();
    reaper->take_over();
    EXPECT_EQ(shown(left), PeerState::empty);
    EXPECT_EQ(shown(replaced), PeerState::attached);
    maps = false;
    const std::uint64_t start_ns = now_ns;
    while (now_ns < start_ns + 3'000 * ms && shown(replaced) != PeerState::empty) {
        run_to_next_tick();
    }
    EXPECT_EQ(shown(replaced), PeerState::empty);
}

/// Who was welcomed a moment ago maps the segment, then looks at its state.
TEST_F(ReaperTest, ShowsThatAPlaceMayBeTakenBackBeforeItLooksAtTheMappings) {
    build(SuspectPolicy::wait);
    const PeerId id = attach().id;
    build_reaper();
    registry->take_over();
    reaper->take_over();
    run_for(3'000 * ms);
    EXPECT_EQ(shown_at_look, PeerState::reclaiming);
    EXPECT_EQ(shown(id), PeerState::attached) << "it maps the segment";
}

TEST_F(ReaperTest, DoesNotAskForTheMappingsOfThoseWhoAreBack) {
    build(SuspectPolicy::wait);
    const PeerId id = attach().id;
    build_reaper();
    registry->take_over();
    reaper->take_over();
    reaper->rejoined(*registry->find(id), 7, Descriptor());
    maps = false;
    run_for(10'000 * ms);
    EXPECT_EQ(shown(id), PeerState::attached);
}

TEST_F(ReaperTest, WatchesThoseWhoLiveUnderNoHost) {
    build(SuspectPolicy::wait);
    const PeerId id = attach().id;
    build_reaper();
    registry->take_over();
    found_process = readable_pidfd();
    reaper->take_over();
    expect_end_is_noticed(id);
}

TEST_F(ReaperTest, WatchesThoseWhoAreBack) {
    build(SuspectPolicy::wait);
    const PeerId id = attach().id;
    build_reaper();
    registry->take_over();
    reaper->take_over();
    reaper->rejoined(*registry->find(id), 7, readable_pidfd());
    expect_end_is_noticed(id);
}

TEST_F(ReaperTest, FinishesWhatTheHostBeforeHadBegun) {
    build(SuspectPolicy::wait);
    const PeerId id = attach().id;
    steward->view().peers.at(id.index).state = static_cast<std::uint32_t>(PeerState::reclaiming);
    build_reaper();
    registry->take_over();
    reaper->take_over();
    EXPECT_EQ(shown(id), PeerState::empty);
}

}  // namespace
}  // namespace shmpool::host
