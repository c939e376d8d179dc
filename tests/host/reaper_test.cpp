// SPDX-License-Identifier: Apache-2.0
/// The reaper's decisions about those whom it has met itself.
#include "shmpool/heap/byte_heap.hpp"
#include "shmpool/heap/id_heap.hpp"
#include "shmpool/heap/page_chain.hpp"
#include "shmpool/heap/page_heap.hpp"
#include "tests/host/reaper_rig.hpp"

namespace shmpool::host {
namespace {

using testing::HasSubstr;
using testing::Not;

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

TEST_F(ReaperTest, TakesBackAReplacedProgramThoughTheNextOneHasAttached) {
    build(SuspectPolicy::wait);
    const PeerId old = attach().id;
    reaper->beacon_fired(old, now_ns);
    reaper->connection_closed(old, no_session, ClosedBy::peer);
    const PeerId next = attach().id;  // By the same process, which maps the segment again.
    run_to_next_tick();
    EXPECT_EQ(shown(old), PeerState::empty);
    EXPECT_EQ(shown(next), PeerState::attached);
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

class ReaperOfManyTest : public ReaperTest {
protected:
    static constexpr int peers = 200;

    ReaperOfManyTest() {
        config = small_pool(SuspectPolicy::wait);
        config.limits.peers = peers;
        config.limits.lanes = peers;
        build();
        for (int pid = 1; pid <= peers; ++pid) attach(pid);
    }
    [[nodiscard]] std::ptrdiff_t looks_at(std::int64_t pid) const {
        return std::ranges::count(looks, pid);
    }
};

/// Within `suspect_after`, so that nobody is suspect later than twice that.
TEST_F(ReaperOfManyTest, LooksAtEachInTurn) {
    for (int round = 0; round < 3; ++round) {
        looks.clear();
        run_for(1'000 * ms);
        EXPECT_LE(looks.size(), 2U * peers) << "and not at all of them each time";
        for (int pid = 1; pid <= peers; ++pid) EXPECT_GE(looks_at(pid), 1) << pid;
    }
}

TEST_F(ReaperOfManyTest, LooksAtAStoppedOneEachTime) {
    stopped_pid = 150;
    run_for(2'000 * ms);
    EXPECT_EQ(shown({149, 1}), PeerState::suspect);
    looks.clear();
    run_for(1'000 * ms);
    EXPECT_GE(looks_at(stopped_pid), 4) << "else one that runs in between would not be seen";
    stopped_pid = 0;
    run_to_next_tick();
    EXPECT_EQ(shown({149, 1}), PeerState::attached);
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
    maps = false;
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

/// Of that kind, from which is taken back what the dead held.
HeapRequest reclaimed(const char* name, HeapKind kind) {
    HeapRequest request;
    request.name = name;
    request.kind = kind;
    request.bytes = 1 << 20;
    request.on_death = OnDeath::reclaim;
    if (kind == HeapKind::ids) request.options.id_count = 100;
    return request;
}

Result<HeapId> make_heap(SegmentSteward& steward, const HeapRequest& request) {
    return steward.heaps().create(request).and_then(
        [&](HeapWorkId work) { return steward.heaps().finish(work); });
}

TEST_F(ReaperTest, TakesNoNonsenseForAnOwnerWhoIsGone) {
    build(SuspectPolicy::wait);
    ASSERT_TRUE(make_heap(*steward, reclaimed("table", HeapKind::tlsf)));
    const Segment segment = *Segment::open(*Descriptor::duplicate(steward->control()),
                                           *Descriptor::duplicate(steward->payload()),
                                           Access::read_write, protocol_fingerprint);
    const auto memory =
        heap_memory(*segment.region(RegionKind::heap_memory), steward->view().heaps.at(0));
    const auto heap = *open_byte_heap(memory);
    const auto allocate = [&](HeapOwner owner) { return *heap->allocate({5, owner}, 100, 8); };

    const PeerId before = attach().id;
    reaper->said_goodbye(before);
    const PeerId living = attach().id;
    const PeerId dying = attach().id;
    ASSERT_EQ(before.index, living.index);
    (void)allocate(owner_of_peer(before.index, before.incarnation));
    (void)allocate(owner_of_peer(dying.index, dying.incarnation));
    (void)allocate(owner_of_peer(living.index, living.incarnation));
    for (const HeapOwner nonsense :
         {owner_of_peer(living.index, living.incarnation + 1), owner_of_peer(living.index, 0),
          owner_of_peer(config.limits.peers, 1), ~HeapOwner{0}, HeapOwner{1} << 40}) {
        (void)allocate(nonsense);  // As if a living one's owner had been written over.
    }
    ASSERT_EQ(heap->statistics(5)->blocks, 8U);
    ended = true;
    reaper->pidfd_readable(dying);
    EXPECT_EQ(heap->statistics(5)->blocks, 6U) << "of the two who are gone";
}

TEST_F(ReaperTest, TakesNoNonsenseForWhoHeldPagesIdsOrPins) {
    build(SuspectPolicy::wait);
    ASSERT_TRUE(make_heap(*steward, reclaimed("pages", HeapKind::bitmap_pages)));
    ASSERT_TRUE(make_heap(*steward, reclaimed("ids", HeapKind::ids)));
    ASSERT_TRUE(make_heap(*steward, reclaimed("chain", HeapKind::page_chain)));
    const Segment segment = *Segment::open(*Descriptor::duplicate(steward->control()),
                                           *Descriptor::duplicate(steward->payload()),
                                           Access::read_write, protocol_fingerprint);
    const auto memory_of = [&](std::uint32_t heap) {
        return heap_memory(*segment.region(RegionKind::heap_memory),
                           steward->view().heaps.at(heap));
    };
    const auto pages = *open_page_heap(memory_of(0));
    const auto ids = *open_id_heap(memory_of(1));
    const auto chain = *open_page_chain(memory_of(2));
    const PageId pinned = chain->allocate(5).value();
    const auto take = [&](HeapOwner owner) {
        ASSERT_TRUE(pages->allocate_pages({5, owner}, 1, page_bytes));
        ASSERT_TRUE(ids->allocate_id({5, owner}, 1, 1));
        ASSERT_TRUE(chain->allocate({5, owner}));
        ASSERT_TRUE(chain->pin({5, owner}, pinned));
    };

    const PeerId living = attach().id;
    const PeerId dying = attach().id;
    take(owner_of_peer(dying.index, dying.incarnation));
    const HeapOwner staying[] = {
        owner_of_peer(living.index, living.incarnation),
        owner_of_peer(living.index, living.incarnation + 1),
        owner_of_peer(living.index, 0),
        owner_of_peer(config.limits.peers, 1),
        ~HeapOwner{0},
        HeapOwner{1} << 40,
    };
    for (const HeapOwner owner : staying) take(owner);
    ended = true;
    reaper->pidfd_readable(dying);
    EXPECT_EQ(pages->statistics(5)->used_pages, std::size(staying));
    EXPECT_EQ(ids->statistics(5)->used, std::size(staying));
    EXPECT_EQ(chain->statistics(5)->allocated, first_page_id + 1 + std::size(staying));
    for (const HeapOwner owner : staying) EXPECT_TRUE(chain->unpin({5, owner}, pinned)) << owner;
    EXPECT_EQ(chain->state(5, pinned), PageState::allocated) << "the dead one's pin is gone";
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

TEST_F(ReaperTest, TakesNobodyForReplacedWhoStillMapsTheSegment) {
    build(SuspectPolicy::wait);
    const PeerId id = attach().id;
    reaper->beacon_fired(id, now_ns);                           // Its attaching thread has ended,
    reaper->connection_closed(id, no_session, ClosedBy::peer);  // and it has closed everything.
    const std::uint64_t start_ns = now_ns;
    while (now_ns < start_ns + 2'000 * ms) ASSERT_NO_FATAL_FAILURE(run_to_next_tick());
    EXPECT_NE(shown(id), PeerState::empty);
    maps = false;
    while (now_ns < start_ns + 10'000 * ms && shown(id) != PeerState::empty) run_to_next_tick();
    EXPECT_EQ(shown(id), PeerState::empty);
}

}  // namespace
}  // namespace shmpool::host
