// SPDX-License-Identifier: Apache-2.0
/// A peer is stopped, not dead, at a narrow place, while the world goes on; then it is continued,
/// or killed as it stands, or continued and killed a moment later. It must take back what it put
/// into a closed ring; nobody may get its bits, rings or slots too early; nothing is lost.
#include <algorithm>
#include <utility>

#include "crash_rig.hpp"
#include "scenarios.hpp"

namespace shmpool::testing_protocol {
namespace {

Scenario scenario_named(const std::string& name) {
    const auto all = peer_scenarios();
    return *std::ranges::find(all, name, &Scenario::name);
}

struct Stop {
    const char* scenario;
    const char* point;
    unsigned meeting;
};
constexpr Stop stops[] = {
    {"WriterMoves", "move_stamped", 7},
    {"WriterMoves", "entry_key_written", 7},
    {"WriterMoves", "move_entered", 7},
    {"WriterMoves", "move_counted", 7},
    {"WriterMovesToOneWhoMaySleep", "publish_before_wake", 7},
    {"WriterLeasesToThree", "publish_announced", 7},
    {"WriterLeasesToThree", "publish_leases_granted", 7},
    {"WriterLeasesToThree", "publish_stamped", 7},
    {"WriterLeasesToThree", "entry_key_written", 19},
    {"WriterLeasesToThree", "entry_key_written", 20},
    {"WriterLeasesToThree", "publish_entered", 19},
    {"WriterLeasesToThree", "publish_entered", 20},
    {"WriterLeasesToThree", "publish_all_entered", 7},
    {"WriterLeasesToThree", "publish_released", 7},
    {"WriterDropsTheOldestOfOne", "drop_announced", 2},
    {"WriterDropsTheOldestOfOne", "drop_happened", 2},
    {"WriterDropsTheOldestOfOne", "life_of_lease_read", 2},
    {"WriterDropsTheOldestOfOne", "last_claimant_found", 2},
    {"WriterDropsTheOldestOfOne", "drop_released", 2},
    {"WriterDropsTheOldestOfOne", "publish_entered", 7},
    {"WriterDropsTheOldestOfThree", "drop_announced", 7},
    {"WriterDropsTheOldestOfThree", "drop_happened", 7},
    {"WriterDropsTheOldestOfThree", "publish_entered", 19},
};

class StoppedWriter : public ::testing::TestWithParam<Stop> {
protected:
    /// Stops the writer; its first reader takes what is there, keeps some of it, and leaves; a new
    /// reader comes.
    struct Play {
        explicit Play(const Stop& stop, std::vector<Step> later = {}, PointCounts* counts = nullptr)
            : stage(scenario_named(stop.scenario)) {
            later.insert(later.begin(), stop_at(stop.point, stop.meeting));
            const auto end = stage.run_victim([&] {
                act_at_points(later);
                if (counts != nullptr) count_points(*counts);
            });
            EXPECT_EQ(end, ChildProcess::End::stopped) << stop.scenario << " " << stop.point;
            const std::uint32_t bit = stage.reader_opened()[0].lease_bit;
            leaver = stage.remove_reader(0);
            stage.host().directory().recycle_leases();
            EXPECT_TRUE(stage.host().directory().maintain()) << "a ring of a stopped verb is freed";
            (void)stage.add_reader();
            EXPECT_NE(stage.reader_opened().back().lease_bit, bit) << "a bit is granted too early";
        }
        std::string what_is_wrong() {
            std::string wrong;
            for (auto& reader : stage.readers()) {
                (void)reader->drain();
                wrong += reader->complaints();
            }
            const bool died = stage.end() == ChildProcess::End::killed;
            stage.host().reclaim(stage.victim_index(),
                                 died ? EndpointState::died : EndpointState::left);
            // Whatever was freed too early is overwritten now.
            for (int i = 0; i < 200; ++i) {
                const auto slot = stage.survivor().pool().loan(stage.survivor().lane(), 64);
                if (!slot) break;
                write_message(stage.survivor().pool(), *slot, {999, 999});
                slots.push_back(*slot);
            }
            for (const auto& slot : slots) {
                (void)stage.survivor().pool().end_loan(stage.survivor().lane(), slot);
            }
            wrong += what_is_broken(stage.host().pool());
            leaver->release_all();
            wrong += leaver->complaints();
            for (auto& reader : stage.readers()) {
                (void)reader->drain();
                reader->release_all();
                wrong += reader->complaints();
            }
            return wrong + stage.wrong_at_the_end();
        }
        Stage stage;
        std::unique_ptr<Reader> leaver;
        std::vector<VarSlotPool::Loaned> slots;
    };
};

TEST_P(StoppedWriter, GoesOnAfterItsReaderHasLeft) {
    Play play(GetParam());
    ASSERT_EQ(play.stage.resume_victim(), ChildProcess::End::exited);
    EXPECT_EQ(play.stage.victim().code(), 0);
    EXPECT_EQ(play.what_is_wrong(), "");
}

TEST_P(StoppedWriter, DiesAsItStandsAfterItsReaderHasLeft) {
    Play play(GetParam());
    play.stage.victim().send(SIGKILL);
    ASSERT_EQ(play.stage.resume_victim(), ChildProcess::End::killed);
    EXPECT_EQ(play.what_is_wrong(), "");
}

std::vector<std::pair<std::string, unsigned>> points_after(const Stop& stop);

TEST_P(StoppedWriter, DiesAMomentAfterItGoesOn) {
    for (const auto& [name, count] : points_after(GetParam())) {
        Play play(GetParam(), {kill_at(name)});
        ASSERT_EQ(play.stage.resume_victim(), ChildProcess::End::killed) << name;
        ASSERT_EQ(play.what_is_wrong(), "") << name;
    }
}

INSTANTIATE_TEST_SUITE_P(Stops, StoppedWriter, ::testing::ValuesIn(stops), [](const auto& tested) {
    return std::string(tested.param.scenario) + "_" + tested.param.point + "_" +
           std::to_string(tested.param.meeting);
});

class PointsAfter : public StoppedWriter {
public:
    void TestBody() override {}
    static std::vector<std::pair<std::string, unsigned>> of(const Stop& stop) {
        SharedWithChildren<PointCounts> counts;
        Play play(stop, {}, &*counts);
        EXPECT_EQ(play.stage.resume_victim(), ChildProcess::End::exited);
        return counts->all();
    }
};

std::vector<std::pair<std::string, unsigned>> points_after(const Stop& stop) {
    return PointsAfter::of(stop);
}

/// The reader's peer dies while the writer is stopped; the host drains, the writer wakes up late.
TEST(StoppedWriterOfADeadReader, LosesNothing) {
    for (const Stop& stop : stops) {
        for (const bool dies : {false, true}) {
            Stage stage(scenario_named(stop.scenario));
            ASSERT_EQ(stage.run_victim([&] { act_at_points({stop_at(stop.point, stop.meeting)}); }),
                      ChildProcess::End::stopped);
            for (auto& reader : stage.readers()) {
                (void)reader->next();
                (void)reader->next();
            }
            stage.survivor().flush();
            stage.host().reclaim(stage.survivor_index());
            if (dies) stage.victim().send(SIGKILL);
            stage.resume_victim();
            stage.host().reclaim(stage.victim_index());
            EXPECT_TRUE(stage.host().reclaim_lingering());
            EXPECT_FALSE(stage.host().directory().maintain());
            EXPECT_EQ(what_is_missing(stage.host().pool()), "") << stop.scenario << stop.point;
        }
    }
}

/// The publisher drops an entry, found by the head, that the closing subscriber claims by stamp.
/// Both find themselves the last holder of one bit; only one may inherit the slot.
TEST(StoppedWriter, AndAClosingReaderDoNotBothInheritADroppedSlot) {
    for (const bool writer_first : {false, true}) {
        Stage stage(scenario_named("WriterDropsTheOldestOfOne"));
        ASSERT_EQ(stage.run_victim([] {
            act_at_points({stop_at("drop_announced", 2), stop_at("last_claimant_found")});
        }),
                  ChildProcess::End::stopped);
        act_at_points({{"last_claimant_found", 1, [&] {
                            EXPECT_EQ(stage.resume_victim(), ChildProcess::End::stopped);
                            if (writer_first) stage.resume_victim();
                        }}});
        stage.readers()[0]->close();
        crash_hook.store(nullptr);
        if (!writer_first) stage.resume_victim();
        ASSERT_EQ(stage.end(), ChildProcess::End::exited);
        EXPECT_EQ(what_is_broken(stage.host().pool()), "");
        stage.host().reclaim(stage.victim_index(), EndpointState::left);
        EXPECT_EQ(stage.wrong_at_the_end(), "");
    }
}

/// The reader dies between its stamp and its head; the ring is closed; the publisher claims the
/// entry before the drainer comes. The slot names the dead reader: only the host may take it back.
TEST(StoppedWriter, DoesNotTakeBackWhatItsDeadReaderHadStamped) {
    TestHost host;
    const std::uint32_t writing = host.admit();
    const std::uint32_t reading = host.admit();
    const Opened to = host.open_subscriber(reading, 8);
    const Opened from = host.open_publisher(writing, ChannelPolicy::block);
    ChildProcess writer([&] {
        TestPeer me(open_segment(host.segment()), writing);
        Writer one(me, from, ChannelPolicy::block, 1);
        act_at_points({stop_at("move_entered"), stop_at("move_taken_back")});
        return one.send().has_value() ? 0 : 1;
    });
    ASSERT_EQ(writer.wait(), ChildProcess::End::stopped);
    ChildProcess reader([&] {
        TestPeer me(open_segment(host.segment()), reading);
        Reader one(me, to);
        act_at_points({kill_at("take_stamped")});
        return one.next().has_value() ? 0 : 1;
    });
    ASSERT_EQ(reader.wait(), ChildProcess::End::killed);
    act_at_points({{"ring_marked_closed", 1, [&] {
                        writer.send(SIGCONT);
                        EXPECT_EQ(writer.wait(), ChildProcess::End::stopped);
                    }}});
    host.reclaim(reading);
    crash_hook.store(nullptr);
    writer.send(SIGCONT);
    ASSERT_EQ(writer.wait(), ChildProcess::End::exited);
    EXPECT_EQ(what_is_broken(host.pool()), "");
    host.reclaim(writing, EndpointState::left);
    EXPECT_TRUE(host.reclaim_lingering());
    EXPECT_EQ(what_is_missing(host.pool()), "");
}

/// What a stopped writer was about to clear is the lease of another reader by now: its own reader
/// is dead, the slot has begun a new life, and is out on another channel.
TEST(StoppedWriter, ClearsNoLeaseThatTheSlotHasOnAnotherChannel) {
    SegmentShape shape = small_shape();
    shape.classes = {{64, 3}};
    TestHost host(shape);
    const std::uint32_t writing = host.admit();
    TestPeer reading(host, host.admit());
    (void)host.open_subscriber(reading.index(), 1, ChannelPolicy::drop_oldest, "a");
    const auto touched = reading.pool().loan(reading.lane(), 64);
    (void)reading.pool().end_loan(reading.lane(), *touched);
    const Opened from = host.open_publisher(writing, ChannelPolicy::drop_oldest, "a");
    ChildProcess writer([&] {
        TestPeer me(open_segment(host.segment()), writing);
        Writer one(me, from, ChannelPolicy::drop_oldest, 1);
        act_at_points({stop_at("life_of_lease_read")});
        return one.send() == 1U && one.send().has_value() ? 0 : 1;
    });
    ASSERT_EQ(writer.wait(), ChildProcess::End::stopped);
    host.reclaim(reading.index());

    TestPeer other(host, host.admit());
    const auto open_reader = [&] {
        return host.open_subscriber(other.index(), 4, ChannelPolicy::drop_oldest, "b");
    };
    Reader keeper(other, open_reader(), 2);
    Reader leaver(other, open_reader(), 2);
    Writer second(other, host.open_publisher(other.index(), ChannelPolicy::drop_oldest, "b"),
                  ChannelPolicy::drop_oldest, 2);
    for (int i = 0; i < 2; ++i) ASSERT_EQ(second.send(), 2U);
    for (Reader* const one : {&keeper, &leaver}) (void)one->drain();

    writer.send(SIGCONT);
    ASSERT_EQ(writer.wait(), ChildProcess::End::exited);
    EXPECT_EQ(writer.code(), 0);
    host.reclaim(writing, EndpointState::left);
    leaver.release_all();
    const auto free = other.pool().loan(other.lane(), 64);
    ASSERT_TRUE(free.has_value());
    EXPECT_FALSE(other.pool().loan(other.lane(), 64)) << "what a reader holds is handed out";
    (void)other.pool().end_loan(other.lane(), *free);
    keeper.release_all();
    EXPECT_EQ(keeper.complaints() + leaver.complaints(), "");
    EXPECT_EQ(what_is_missing(host.pool()), "");
}

/// The reader takes the message and leaves before the publisher looks whether it is still there.
TEST(Publishing, CountsTheReaderThatHasTakenTheMessageAndLeft) {
    for (const auto& [policy, point] : {std::pair{ChannelPolicy::block, "move_counted"},
                                        std::pair{ChannelPolicy::drop_oldest, "publish_entered"}}) {
        TestHost host;
        TestPeer peer(host, host.admit());
        Reader reader(peer, host.open_subscriber(peer.index(), 8, policy), 1);
        Writer writer(peer, host.open_publisher(peer.index(), policy), policy, 1);
        act_at_points({{point, 1, [&] {
                            EXPECT_TRUE(reader.next().has_value());
                            reader.close();
                        }}});
        EXPECT_EQ(writer.send(), 1U) << point;
        crash_hook.store(nullptr);
        reader.release_all();
        EXPECT_EQ(reader.complaints(), "");
        EXPECT_EQ(what_is_missing(host.pool()), "");
    }
}

/// One publisher has left; the last one dies while the reader looks for the end.
TEST(Ending, DescribesTheLastDepartureAlsoWhenItComesInTheMiddleOfTheLook) {
    for (const bool ring_is_freed_too : {false, true}) {
        TestHost host;
        TestPeer peer(host, host.admit());
        const std::uint32_t peer_that_dies = host.admit();
        Reader reader(peer, host.open_subscriber(peer.index(), 8));
        const Opened leaves = host.open_publisher(peer.index(), ChannelPolicy::block);
        const Opened dies = host.open_publisher(peer_that_dies, ChannelPolicy::block);
        host.directory().publisher_left(leaves.endpoint_index, EndpointState::left);
        act_at_points({{"end_looked_for", 1, [&] {
                            host.directory().publisher_left(dies.endpoint_index,
                                                            EndpointState::died);
                            if (ring_is_freed_too) host.reclaim(peer_that_dies);
                        }}});
        const Errc why = reader.drain();
        crash_hook.store(nullptr);
        EXPECT_TRUE(why == Errc::ended_by_death || why == Errc::empty) << name_of(why);
        EXPECT_EQ(reader.drain(), Errc::ended_by_death);
    }
}

/// As above, but the reader looks in the middle of the host's message about the death.
TEST(Ending, IsNotSeenBeforeTheHostHasSaidHow) {
    TestHost host;
    TestPeer peer(host, host.admit());
    const std::uint32_t dies = host.admit();
    Reader reader(peer, host.open_subscriber(peer.index(), 8));
    const Opened leaves = host.open_publisher(peer.index(), ChannelPolicy::block);
    (void)host.open_publisher(dies, ChannelPolicy::block);
    host.directory().publisher_left(leaves.endpoint_index, EndpointState::left);
    Errc why = Errc::ended;
    act_at_points({{"departure_half_told", 1, [&] { why = reader.drain(); }}});
    host.reclaim(dies);
    crash_hook.store(nullptr);
    EXPECT_TRUE(why == Errc::ended_by_death || why == Errc::empty) << name_of(why);
    EXPECT_EQ(reader.drain(), Errc::ended_by_death);
}

/// All have left; a new publisher is connected while the reader looks for the end.
TEST(Ending, IsNotSeenWhenANewPublisherComesInTheMiddleOfTheLook) {
    TestHost host;
    TestPeer peer(host, host.admit());
    Reader reader(peer, host.open_subscriber(peer.index(), 8));
    const Opened leaves = host.open_publisher(peer.index(), ChannelPolicy::block);
    host.directory().publisher_left(leaves.endpoint_index, EndpointState::left);
    act_at_points({{"end_looked_for", 1,
                    [&] { (void)host.open_publisher(peer.index(), ChannelPolicy::block); }}});
    EXPECT_EQ(reader.drain(), Errc::empty);
    crash_hook.store(nullptr);
    EXPECT_EQ(reader.drain(), Errc::empty);
}

}  // namespace

std::vector<std::string> points_met_by_zombies() {
    std::vector<std::string> names;
    for (const Stop& stop : stops) {
        for (const auto& [name, count] : points_after(stop)) names.push_back(name);
    }
    return names;
}

}  // namespace shmpool::testing_protocol
