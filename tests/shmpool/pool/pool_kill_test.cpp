// SPDX-License-Identifier: Apache-2.0
/// Goal: a kill at any instruction loses no slot, doubles none, and does not disturb the living
/// (I1..I3). Method: real processes in tight loops, SIGKILL at random times, reclaim from the
/// host's lane, an account of its own of who has what; and the same harness over depots that are
/// known to be wrong, which it must find out.
#include <gtest/gtest.h>
#include <sys/time.h>

#include <algorithm>
#include <random>

#include "tests/shmpool/pool/forgetful_depot.hpp"
#include "tests/shmpool/pool/kill_harness.hpp"
#include "tests/shmpool/pool/pool_depot.hpp"

namespace shmpool {
namespace {

using test::Fault;
using test::ForkedChild;
using test::KillHarness;
using test::KillReport;
using test::PlainStackDepot;
using test::PoolDepot;

TEST(KilledPeers, LoseNoSlotAndDoubleNone) {  // T-VS-21, T-VS-23
    for (const std::uint64_t seed : {1U, 2U, 3U}) {
        PoolDepot depot;
        const KillReport report = KillHarness<PoolDepot>(depot, seed).run(150);
        EXPECT_EQ(report.verdict, "") << "seed " << seed;
        EXPECT_EQ(report.doubled, 0U) << "seed " << seed;
        EXPECT_EQ(report.overwritten, 0U) << "seed " << seed;
        EXPECT_GT(report.rival_pieces, 1000U) << "the rival must have worked meanwhile";
        EXPECT_FALSE(depot.pool().view().damaged());
    }
}

/// A host that repairs, and is killed by its own alarm meanwhile, so that the kill falls into the
/// repair on a busy machine too. The next one begins with the old host's own lane.
int be_host(PoolDepot& depot, std::uint32_t dead_lane, suseconds_t alarm_us) {
    const itimerval alarm{{0, 0}, {0, alarm_us}};
    ::setitimer(ITIMER_REAL, &alarm, nullptr);
    depot.reclaim(host_lane);
    depot.reclaim(dead_lane);
    return 0;
}

TEST(KilledPeers, AreTakenBackByTheNextHostWhenTheHostIsKilledToo) {  // T-VS-25
    PoolDepot depot;
    const test::Shared<Atomic<std::uint32_t>> begun;
    std::mt19937_64 random(4);
    std::uint32_t hosts_killed = 0;
    for (std::uint32_t round = 0; round < 150; ++round) {
        const std::uint32_t lane = depot.claim();
        ASSERT_NE(lane, no_lane_index);
        begun->store(0);
        ForkedChild victim([&] {
            PoolDepot::Worker worker(depot, lane);
            std::mt19937_64 own(round);
            std::vector<PoolDepot::Piece> held;
            for (;;) {
                while (held.size() < 100) {
                    const auto piece = worker.take(own);
                    if (!piece) break;
                    held.push_back(*piece);
                }
                begun->store(1);
                for (const auto& piece : held) worker.give(piece);
                held.clear();
            }
            return 0;
        });
        while (begun->load() == 0) std::this_thread::yield();
        victim.kill();
        victim.wait();
        suseconds_t longest_us = 20;
        for (bool finished = false; !finished; longest_us = std::min(2 * longest_us, 500'000L)) {
            const auto alarm_us = 1 + static_cast<suseconds_t>(random() % 1'000'000) % longest_us;
            ForkedChild host([&] { return be_host(depot, lane, alarm_us); });
            finished = host.wait() == 0;
            hosts_killed += finished ? 0 : 1;
        }
        ASSERT_EQ(depot.verdict(), "") << "round " << round;
    }
    EXPECT_GT(hosts_killed, 10U);
}

TEST(KillHarness, NoticesThatThePlainStackLosesSlots) {
    PlainStackDepot<> depot;
    const KillReport report = KillHarness<PlainStackDepot<>>(depot, 5).run(30);
    EXPECT_NE(report.verdict.find("lost"), std::string::npos) << report.verdict;
}

TEST(KillHarness, NoticesThatASlotIsListedTwice) {
    PlainStackDepot<Fault::tears_owner> depot;
    const KillReport report = KillHarness<PlainStackDepot<Fault::tears_owner>>(depot, 6).run(30);
    EXPECT_TRUE(report.doubled > 0 || report.verdict.find("cycle") != std::string::npos)
        << report.verdict;
}

TEST(KillHarness, NoticesThatALivingOnesSlotWasTakenAway) {
    PlainStackDepot<Fault::reclaims_the_living> depot;
    const KillReport report =
        KillHarness<PlainStackDepot<Fault::reclaims_the_living>>(depot, 7).run(20);
    EXPECT_GT(report.doubled, 0U);
}

}  // namespace
}  // namespace shmpool
