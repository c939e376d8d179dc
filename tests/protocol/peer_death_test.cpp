// SPDX-License-Identifier: Apache-2.0
/// A peer dies at every crash point, at the first meetings of each and at the last. Afterwards:
/// reclaim, audit, the survivors' streams, and every slot counted. A crash point of `protocol/`
/// that no test here meets fails the last test.
#include <functional>
#include <utility>

#include "crash_rig.hpp"
#include "endpoints.hpp"
#include "scenarios.hpp"

namespace shmpool::testing_protocol {
namespace {

/// Runs the scenario's victim without a death and says which points it meets, how often.
std::vector<std::pair<std::string, unsigned>> points_met(const Scenario& scenario) {
    SharedWithChildren<PointCounts> counts;
    Stage stage(scenario);
    stage.run_victim([&] { count_points(*counts); });
    EXPECT_EQ(stage.end(), ChildProcess::End::exited) << scenario.name;
    EXPECT_EQ(stage.what_is_wrong(), "") << scenario.name << ", without a death";
    return counts->all();
}

std::vector<unsigned> chosen_meetings(unsigned count) {
    if (count <= 4) {
        std::vector<unsigned> all;
        for (unsigned i = 1; i <= count; ++i) all.push_back(i);
        return all;
    }
    return {1, 2, count / 2, count - 1, count};
}

class PeerDeath : public ::testing::TestWithParam<Scenario> {};

TEST_P(PeerDeath, AtEveryCrashPointLosesNothing) {
    const Scenario& scenario = GetParam();
    unsigned deaths = 0;
    for (const auto& [name, count] : points_met(scenario)) {
        for (const unsigned nth : chosen_meetings(count)) {
            Stage stage(scenario);
            stage.run_victim([&, &point = name] { signal_at_point(point, nth, SIGKILL); });
            ASSERT_EQ(stage.end(), ChildProcess::End::killed) << name;
            ASSERT_EQ(stage.what_is_wrong(), "")
                << scenario.name << ", killed at meeting " << nth << " of " << name;
            ++deaths;
        }
    }
    EXPECT_GT(deaths, 10U);
}

INSTANTIATE_TEST_SUITE_P(Scenarios, PeerDeath, ::testing::ValuesIn(peer_scenarios()),
                         [](const auto& tested) { return tested.param.name; });

/// A slot that the doomed lane has never had: nothing but its own mark leads the host to it.
class DeathWithAForeignSlot : public ::testing::Test {
protected:
    /// One message; then `body` runs in a child of the reader's peer, and dies.
    void play(ChannelPolicy policy, const std::function<void(TestPeer&, SubscriberCore&)>& body) {
        TestHost host;
        TestPeer writing(host, host.admit());
        const std::uint32_t reading = host.admit();
        const Opened to = host.open_subscriber(reading, 8, policy);
        Writer writer(writing, host.open_publisher(writing.index(), policy), policy, 1);
        ASSERT_EQ(writer.send(), 1U);
        ChildProcess reader([&] {
            TestPeer me(open_segment(host.segment()), reading);
            SubscriberCore core(me.pool(), me.view(), to.endpoint_index);
            body(me, core);
            return 1;
        });
        ASSERT_EQ(reader.wait(), ChildProcess::End::killed);
        host.reclaim(reading);
        EXPECT_EQ(what_is_broken(host.pool()), "");
        host.reclaim(writing.index(), EndpointState::left);
        EXPECT_TRUE(host.reclaim_lingering());
        EXPECT_EQ(what_is_missing(host.pool()), "");
    }
};

TEST_F(DeathWithAForeignSlot, WhenAnotherThreadEndsTheLastSample) {
    play(ChannelPolicy::drop_oldest, [](TestPeer& me, SubscriberCore& core) {
        const auto taken = core.take(me.lane());
        const auto other = me.another_lane();
        act_at_points({kill_at("lease_inherited")});
        if (taken) SubscriberCore::release(me.pool(), *other, *taken);
    });
}

TEST_F(DeathWithAForeignSlot, WhenAReaderClosesThatHasTakenNothing) {
    for (const auto& [policy, point] : {std::pair{ChannelPolicy::drop_oldest, "lease_claimed"},
                                        std::pair{ChannelPolicy::block, "drain_stamped"}}) {
        play(policy, [&, &name = point](TestPeer& me, SubscriberCore& core) {
            act_at_points({kill_at(name)});
            core.close(me.lane());
        });
    }
}

TEST(CrashPoints, OfTheProtocolAreAllMetByAScenario) {
    std::set<std::string> missing = points_in_protocol_sources();
    ASSERT_GT(missing.size(), 30U);
    for (const auto& scenario : peer_scenarios()) {
        for (const auto& [name, count] : points_met(scenario)) missing.erase(name);
    }
    for (const std::string& name : points_met_by_hosts()) missing.erase(name);
    for (const std::string& name : points_met_by_heap_hosts()) missing.erase(name);
    for (const std::string& name : points_met_by_growing_hosts()) missing.erase(name);
    for (const std::string& name : points_met_by_zombies()) missing.erase(name);
    EXPECT_EQ(missing, std::set<std::string>{}) << "points that no scenario kills a process at";
}

}  // namespace
}  // namespace shmpool::testing_protocol
