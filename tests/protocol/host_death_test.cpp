// SPDX-License-Identifier: Apache-2.0
/// The host dies at every crash point while it takes back what a dead writer or reader held, and
/// while it opens, closes and recycles endpoints. The next host begins anew; nothing is lost,
/// nothing is counted twice (I2).
#include <algorithm>

#include "crash_rig.hpp"
#include "scenarios.hpp"

namespace shmpool::testing_protocol {
namespace {

/// Where the peer died before the host comes to it.
struct Deathbed {
    const char* scenario;
    const char* point;
    unsigned meeting;
};
constexpr Deathbed deathbeds[] = {
    {"WriterMoves", "move_stamped", 9},
    {"WriterMoves", "move_entered", 9},
    {"WriterLeasesToThree", "publish_leases_granted", 9},
    {"WriterLeasesToThree", "publish_entered", 26},
    {"WriterLeasesToThree", "publish_released", 9},
    {"WriterDropsTheOldestOfThree", "drop_happened", 20},
    {"WriterDropsTheOldestOfThree", "drop_announced", 20},
    {"ReaderOfMovedSlots", "take_stamped", 5},
    {"ReaderOfMovedSlots", "drain_claimed", 5},
    {"ReaderOfLeases", "take_leased", 7},
    {"ReaderOfLeases", "drain_claimed", 5},
    {"ReaderOfTheNewest", "take_drop_noted", 1},
    {"ReaderOfTheNewestBesideTwo", "drain_claimed", 5},
};

Scenario scenario_named(const std::string& name) {
    const auto all = peer_scenarios();
    return *std::ranges::find(all, name, &Scenario::name);
}

/// All that a host does.
void host_script(TestHost& host, std::uint32_t dead, std::uint32_t living) {
    host.reclaim(dead);
    ChannelRequest request;
    request.channel = "c";
    const auto publisher = host.directory().open_publisher(request, living);
    const auto subscriber = host.directory().open_subscriber(request, living, 3, 0);
    host.directory().subscriber_left(subscriber->endpoint_index, EndpointState::left);
    host.directory().maintain();
    host.directory().recycle_leases();
    (void)host.directory().open_subscriber(request, living, 3, 0);
    host.directory().publisher_left(publisher->endpoint_index, EndpointState::left);
    host.directory().maintain();
}

void prepare(Stage& stage, const Deathbed& bed) {
    stage.run_victim([&] { signal_at_point(bed.point, bed.meeting, SIGKILL); });
    ASSERT_EQ(stage.end(), ChildProcess::End::killed) << bed.scenario << " " << bed.point;
}

std::vector<std::pair<std::string, unsigned>> points_of_host(const Deathbed& bed) {
    SharedWithChildren<PointCounts> counts;
    Stage stage(scenario_named(bed.scenario));
    prepare(stage, bed);
    const auto end = stage.run_host(
        [&] { count_points(*counts); },
        [&](TestHost& host) { host_script(host, stage.victim_index(), stage.survivor_index()); });
    EXPECT_EQ(end, ChildProcess::End::exited);
    EXPECT_EQ(stage.what_is_wrong(), "") << bed.scenario << " " << bed.point;
    return counts->all();
}

class HostDeath : public ::testing::TestWithParam<Deathbed> {};

TEST_P(HostDeath, AtEveryCrashPointIsFinishedByTheNextHost) {
    const Deathbed& bed = GetParam();
    unsigned deaths = 0;
    for (const auto& [name, count] : points_of_host(bed)) {
        const std::set<unsigned> meetings{1U, 2U, (count + 1) / 2, count};
        for (const unsigned nth : meetings) {
            if (nth > count) continue;
            Stage stage(scenario_named(bed.scenario));
            prepare(stage, bed);
            const auto end =
                stage.run_host([&, &point = name] { signal_at_point(point, nth, SIGKILL); },
                               [&](TestHost& host) {
                                   host_script(host, stage.victim_index(), stage.survivor_index());
                               });
            ASSERT_EQ(end, ChildProcess::End::killed) << name;
            ASSERT_EQ(stage.what_is_wrong(), "") << bed.scenario << ", peer killed at " << bed.point
                                                 << ", host at meeting " << nth << " of " << name;
            ++deaths;
        }
    }
    EXPECT_GT(deaths, 10U);
}

INSTANTIATE_TEST_SUITE_P(Deathbeds, HostDeath, ::testing::ValuesIn(deathbeds),
                         [](const auto& tested) {
                             return std::string(tested.param.scenario) + "_" + tested.param.point;
                         });

}  // namespace

std::vector<std::string> points_met_by_hosts() {
    std::vector<std::string> names;
    for (const Deathbed& bed : deathbeds) {
        for (const auto& [name, count] : points_of_host(bed)) names.push_back(name);
    }
    return names;
}

}  // namespace shmpool::testing_protocol
