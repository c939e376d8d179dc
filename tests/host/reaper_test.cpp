// SPDX-License-Identifier: Apache-2.0
/// The reaper's decisions under a clock and a kernel of the test's own, over a real segment.
#include "host/reaper.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "host/event_tokens.hpp"
#include "tests/shmpool/platform/temporary_directory.hpp"

namespace shmpool::host {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::uint64_t ms = 1'000'000;

PoolConfig small_pool(SuspectPolicy policy) {
    PoolConfig config;
    config.name = "test";
    config.classes = {{64, 256}};
    config.limits.peers = 4;
    config.limits.lanes = 8;
    config.suspect_policy = policy;
    config.suspect_after_ms = 1000;
    return config;
}

class ReaperTest : public testing::Test {
protected:
    void build(SuspectPolicy policy) {
        config = small_pool(policy);
        log = std::make_unique<HostLog>(*HostLog::open(LogLevel::debug, directory.file("log")));
        steward = *SegmentSteward::create(config);
        build_reaper();
    }
    /// What a next host would have: the same segment, and nothing else.
    void build_reaper() {
        reaper.reset();
        channels =
            std::make_unique<ChannelDirectory>(steward->pool(), steward->lane(), steward->view());
        registry = std::make_unique<PeerRegistry>(steward->view(), config.quota);
        beacons = *BeaconWatcher::create();
        queue = std::make_unique<EventQueue>(*EventQueue::create());
        reaper = std::make_unique<Reaper>(
            *steward, *channels, *registry, *beacons, *queue, config, *log,
            ReaperSenses{[this] { return now_ns; }, [this](const Descriptor&) { return ended; },
                         [this](const Descriptor&) -> Result<void> {
                             ++kills;
                             if (may_kill) return {};
                             return fail(Errc::no_permission, "not allowed; run as root");
                         },
                         [this](std::int64_t) { return stopped; },
                         [this](pid_t, std::uint64_t) -> Result<std::optional<Descriptor>> {
                             if (ended) return std::nullopt;
                             return std::optional(std::move(found_process));
                         },
                         [this](pid_t, const Descriptor&) -> Result<bool> {
                             shown_at_look = shown({0, 0});
                             return maps;
                         }});
    }

    Peer& attach() {
        Peer& peer = **registry->attach({4711, 1000, 1000}, "camera", false, Descriptor(), now_ns);
        reaper->peer_attached();
        return peer;
    }

    /// Lets the clock run to the next tick that the reaper asks for.
    void run_to_next_tick() {
        const auto next = reaper->next_tick_ns();
        ASSERT_TRUE(next);
        now_ns = std::max(now_ns, *next);
        reaper->tick();
    }

    void run_for(std::uint64_t duration_ns) {
        const std::uint64_t start_ns = now_ns;
        while (now_ns < start_ns + duration_ns && !HasFatalFailure()) run_to_next_tick();
    }
    /// As if the process had ended.
    [[nodiscard]] Descriptor readable_pidfd() {
        flag.raise();
        return *Descriptor::duplicate(flag.descriptor());
    }
    void expect_end_is_noticed(const PeerId& id) {
        const auto tokens = queue->wait(std::chrono::nanoseconds::zero());
        ASSERT_TRUE(tokens);
        EXPECT_THAT(*tokens, testing::ElementsAre(token_of(id)));
    }

    [[nodiscard]] PeerState shown(const PeerId& id) const {
        return static_cast<PeerState>(steward->view().peers.at(id.index).state.load());
    }
    [[nodiscard]] std::string log_text() const {
        std::ostringstream text;
        text << std::ifstream(directory.file("log")).rdbuf();
        return text.str();
    }

    test::TemporaryDirectory directory;
    PoolConfig config;
    std::unique_ptr<HostLog> log;
    std::unique_ptr<SegmentSteward> steward;
    std::unique_ptr<ChannelDirectory> channels;
    std::unique_ptr<PeerRegistry> registry;
    std::unique_ptr<BeaconWatcher> beacons;
    std::unique_ptr<EventQueue> queue;
    std::unique_ptr<Reaper> reaper;
    std::uint64_t now_ns = 5'000 * ms;
    EventFlag flag = *EventFlag::create();
    Descriptor found_process;
    PeerState shown_at_look = PeerState::empty;  ///< Of the first place, at a look at mappings.
    bool ended = false;
    bool maps = true;
    bool stopped = false;
    bool may_kill = true;
    int kills = 0;
};

TEST_F(ReaperTest, BelievesNoReadablePidfdWhoseProcessHasNotEnded) {
    build(SuspectPolicy::kill);
    const PeerId id = attach().id;
    reaper->pidfd_readable(id);
    EXPECT_EQ(shown(id), PeerState::attached);
    ended = true;
    reaper->pidfd_readable(id);
    EXPECT_EQ(shown(id), PeerState::empty);
}

TEST_F(ReaperTest, SaysClearlyThatItMayNotKillASuspectAndKeepsWhatItHolds) {
    build(SuspectPolicy::kill);
    may_kill = false;
    const PeerId id = attach().id;
    reaper->connection_closed(id, no_session, ClosedBy::peer);
    now_ns += 2'000 * ms;
    reaper->tick();
    EXPECT_EQ(kills, 1);
    EXPECT_EQ(shown(id), PeerState::suspect);
    EXPECT_THAT(log_text(), HasSubstr("can not be killed"));
    EXPECT_THAT(log_text(), HasSubstr("peer 0 'camera' (pid 4711)"));
    EXPECT_THAT(log_text(), HasSubstr("run as root"));
    now_ns += 20'000 * ms;
    reaper->tick();
    EXPECT_EQ(kills, 1) << "once is enough";
}

TEST_F(ReaperTest, KillsNobodyBeforeSuspectAfterHasPassed) {
    build(SuspectPolicy::kill);
    const PeerId id = attach().id;
    reaper->connection_closed(id, no_session, ClosedBy::peer);
    now_ns += 999 * ms;
    reaper->tick();
    EXPECT_EQ(kills, 0);
    EXPECT_EQ(shown(id), PeerState::suspect);
}

TEST_F(ReaperTest, NeverKillsUnderThePolicyWait) {
    build(SuspectPolicy::wait);
    const PeerId id = attach().id;
    reaper->connection_closed(id, no_session, ClosedBy::peer);
    now_ns += 100'000 * ms;
    reaper->tick();
    EXPECT_EQ(kills, 0);
    EXPECT_EQ(shown(id), PeerState::suspect);
    EXPECT_THAT(log_text(), HasSubstr("is waited for"));
}

TEST_F(ReaperTest, DoesNotKillTheProgramThatHasReplacedASuspect) {
    build(SuspectPolicy::kill);
    maps = false;
    const PeerId id = attach().id;
    reaper->connection_closed(id, no_session, ClosedBy::peer);
    reaper->beacon_fired(id, now_ns);
    run_to_next_tick();
    EXPECT_EQ(shown(id), PeerState::empty);
    now_ns += 100'000 * ms;
    reaper->tick();
    EXPECT_EQ(kills, 0);
}

TEST_F(ReaperTest, GivesTheNumberAwayAgainAndIgnoresNewsOfTheFormerPeer) {
    build(SuspectPolicy::wait);
    const PeerId former = attach().id;
    ended = true;
    reaper->pidfd_readable(former);
    ended = false;
    const PeerId next = attach().id;
    EXPECT_EQ(next.index, former.index);
    reaper->beacon_fired(former, now_ns);
    reaper->connection_closed(former, no_session, ClosedBy::peer);
    reaper->said_goodbye(former);
    EXPECT_EQ(shown(next), PeerState::attached);
}

TEST_F(ReaperTest, SuspectsAPeerThatStaysStoppedAndTrustsItWhenItRuns) {
    build(SuspectPolicy::wait);
    const PeerId id = attach().id;
    stopped = true;
    run_for(2'000 * ms);
    EXPECT_EQ(shown(id), PeerState::suspect);
    stopped = false;
    run_to_next_tick();
    EXPECT_EQ(shown(id), PeerState::attached);
    EXPECT_THAT(log_text(), HasSubstr("runs again"));
}

TEST_F(ReaperTest, SuspectsAPeerAsOftenAsItStops) {
    build(SuspectPolicy::wait);
    const PeerId id = attach().id;
    for (int round = 0; round < 3; ++round) {
        stopped = true;
        run_for(2'000 * ms);
        EXPECT_EQ(shown(id), PeerState::suspect);
        stopped = false;
        run_to_next_tick();
        EXPECT_EQ(shown(id), PeerState::attached);
    }
}

TEST_F(ReaperTest, KillsNoStoppedPeerBeforeSuspectAfterHasPassed) {
    build(SuspectPolicy::kill);
    const PeerId id = attach().id;
    stopped = true;
    run_to_next_tick();  // Seen for the first time.
    now_ns += 999 * ms;
    reaper->tick();
    EXPECT_EQ(kills, 0);
    EXPECT_EQ(shown(id), PeerState::attached);
    now_ns += 1 * ms;
    reaper->tick();
    EXPECT_EQ(kills, 1);
}

TEST_F(ReaperTest, TakesNoConnectionThatTheHostHasClosedAsEvidence) {
    build(SuspectPolicy::wait);
    const PeerId id = attach().id;
    reaper->connection_closed(id, no_session, ClosedBy::host);
    reaper->beacon_fired(id, now_ns);
    run_for(3'000 * ms);
    EXPECT_EQ(shown(id), PeerState::dying);
}

TEST_F(ReaperTest, AsksForNoTickWhenNobodyIsThereAndNothingWaits) {
    build(SuspectPolicy::wait);
    EXPECT_FALSE(reaper->next_tick_ns());
    const PeerId id = attach().id;
    ended = true;
    reaper->pidfd_readable(id);
    for (int i = 0; i < 10 && reaper->next_tick_ns(); ++i) run_to_next_tick();
    EXPECT_FALSE(reaper->next_tick_ns());
}

TEST_F(ReaperTest, FindsTheLanesOfAPeerThatHasWrittenAnotherIncarnation) {
    build(SuspectPolicy::wait);
    const PeerId id = attach().id;
    const auto lane = steward->pool().open_lane(owner_of_peer(id.index, id.incarnation));
    ASSERT_TRUE(lane && steward->pool().allocate(**lane, 64));
    steward->view().peers.at(id.index).incarnation = id.incarnation + 7;
    ended = true;
    reaper->pidfd_readable(id);
    EXPECT_EQ(steward->pool().view().lanes[(*lane)->index()].owner.load(), 0U);
}

TEST_F(ReaperTest, CountsDeathsInTheSegmentAndNotDepartures) {
    build(SuspectPolicy::wait);
    const SegmentHeader& header = steward->header();
    reaper->said_goodbye(attach().id);
    EXPECT_EQ(header.peers_reclaimed.load(), 0U);
    const PeerId id = attach().id;
    reaper->beacon_fired(id, 123);
    now_ns = 6'000 * ms;
    ended = true;
    reaper->pidfd_readable(id);
    EXPECT_EQ(header.peers_reclaimed.load(), 1U);
    EXPECT_EQ(header.last_notice_ns.load(), 123U);
    EXPECT_EQ(header.last_reclaim_ns.load(), 6'000 * ms);
}

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

TEST_F(ReaperTest, TakesNobodyForReplacedWhoStillMapsTheSegment) {
    build(SuspectPolicy::wait);
    const PeerId id = attach().id;
    reaper->beacon_fired(id, now_ns);                           // Its attaching thread has ended,
    reaper->connection_closed(id, no_session, ClosedBy::peer);  // and it has closed everything.
    const std::uint64_t start_ns = now_ns;
    while (now_ns < start_ns + 2'000 * ms) run_to_next_tick();
    EXPECT_NE(shown(id), PeerState::empty);
    maps = false;
    while (now_ns < start_ns + 10'000 * ms && shown(id) != PeerState::empty) run_to_next_tick();
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
