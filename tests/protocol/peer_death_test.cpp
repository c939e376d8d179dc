// SPDX-License-Identifier: Apache-2.0
/// A peer dies at every crash point, at the first meetings of each and at the last. Afterwards:
/// reclaim, audit, the survivors' streams, and every slot counted. A crash point of `protocol/`
/// that no test here meets fails the last test.
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

TEST(CrashPoints, OfTheProtocolAreAllMetByAScenario) {
    std::set<std::string> missing = points_in_protocol_sources();
    ASSERT_GT(missing.size(), 30U);
    for (const auto& scenario : peer_scenarios()) {
        for (const auto& [name, count] : points_met(scenario)) missing.erase(name);
    }
    for (const std::string& name : points_met_by_hosts()) missing.erase(name);
    for (const std::string& name : points_met_by_zombies()) missing.erase(name);
    EXPECT_EQ(missing, std::set<std::string>{}) << "points that no scenario kills a process at";
}

}  // namespace
}  // namespace shmpool::testing_protocol
