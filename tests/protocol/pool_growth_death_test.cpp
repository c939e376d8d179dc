// SPDX-License-Identifier: Apache-2.0
/// A host that dies while a size class grows or shrinks leaves neither a slot without memory nor
/// memory without a slot. Method: a child plays the host and is killed at every crash point.
#include "crash_rig.hpp"
#include "pool_growth_rig.hpp"
#include "scenarios.hpp"

namespace shmpool::testing_protocol {
namespace {

/// All verbs, twice, so that an extent comes, goes, comes back and goes again.
void host_script(TestHost& host) {
    GrowingHost its(host);
    (void)its.finished(its.growth.grow(large, 150));
    (void)its.finished(its.growth.grow(large, 250));
    (void)its.finished(its.growth.shrink(large, 0));
    (void)its.finished(its.growth.grow(large, 250));
    const auto given_up = its.growth.grow(large, 400);
    its.do_pieces(3);
    its.growth.give_up(*given_up);
    its.do_all();
    (void)its.finished(its.growth.shrink(large, 100));
}

ChildProcess::End run_host(TestHost& host, const std::function<void()>& prepare) {
    ChildProcess child([&] {
        prepare();
        TestHost its(open_segment(host.segment()));
        host_script(its);
        return 0;
    });
    return child.wait();
}

std::vector<std::pair<std::string, unsigned>> points_of_script() {
    SharedWithChildren<PointCounts> counts;
    TestHost host(growing_shape());
    EXPECT_EQ(run_host(host, [&] { count_points(*counts); }), ChildProcess::End::exited);
    return counts->all();
}

/// Slots that there are have memory, and nothing else has; all of them can be had.
void expect_sound(TestHost& dead, std::uint64_t taken_at_first) {
    TestHost next(open_segment(dead.segment()));
    GrowingHost its(next);
    its.growth.take_over();
    its.do_all();
    const auto slots = slots_in_service(next.pool().view(), 1);
    const std::uint64_t payload = (slots - at_first) * large;
    const std::uint64_t records = limit * sizeof(SlotRecord);
    EXPECT_GE(taken_bytes(next), taken_at_first + payload);
    EXPECT_LE(taken_bytes(next), taken_at_first + payload + records);
    TestPeer peer(open_segment(dead.segment()), next.admit());
    const std::vector<SlotRef> all = fill(peer, large);
    EXPECT_EQ(all.size(), slots);
    free_all(peer, all);
    EXPECT_EQ(what_is_missing(next.pool()), "");
    EXPECT_EQ(its.finished(its.growth.grow(large, limit)).value(), limit);
    EXPECT_EQ(its.finished(its.growth.shrink(large, 0)).value(), at_first);
    EXPECT_LE(taken_bytes(next), taken_at_first + records);
}

TEST(PoolGrowthDeath, InAnyVerbLeavesNothingHalfDone) {
    unsigned deaths = 0;
    for (const auto& [name, count] : points_of_script()) {
        for (unsigned nth = 1; nth <= count; ++nth, ++deaths) {
            SCOPED_TRACE(name + " " + std::to_string(nth));
            TestHost host(growing_shape());
            const std::uint64_t taken_at_first = taken_bytes(host);
            ASSERT_EQ(run_host(host, [&, &point = name] { signal_at_point(point, nth, SIGKILL); }),
                      ChildProcess::End::killed);
            expect_sound(host, taken_at_first);
        }
    }
    EXPECT_GE(deaths, 40U);
}

}  // namespace

std::vector<std::string> points_met_by_growing_hosts() {
    std::vector<std::string> names;
    for (const auto& [name, count] : points_of_script()) names.push_back(name);
    return names;
}

}  // namespace shmpool::testing_protocol
