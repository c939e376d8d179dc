// SPDX-License-Identifier: Apache-2.0
/// Goal: garbage in shared memory neither crashes nor hangs anybody, is found, and is brought back
/// by a rebuild; and the run that shows it would notice if it were not so. Method: the short form
/// of `scripts/crash garbage`; and honest peers or a host that are stopped or killed on purpose.
#include <gtest/gtest.h>
#include <signal.h>

#include <set>
#include <thread>

#include "run.hpp"

namespace shmpool::garbage {
namespace {

void print_line(const std::string& line) {
    std::cerr << line << std::endl;
}

TEST(Garbage, CrashesAndHangsNobodyAndTheDoctorSeesItAndARebuildBringsThePoolBack) {
    RunPlan plan;
    plan.words = 40'000;
    plan.words_per_episode = 10'000;
    const Tally tally = run(plan, print_line);
    for (const Finding& one : tally.findings) {
        ADD_FAILURE() << "seed " << one.seed << ": " << one.what << " after "
                      << testing::PrintToString(one.last_words);
    }
    EXPECT_GE(tally.words, plan.words);
    EXPECT_EQ(tally.rebuilds, tally.episodes);
    EXPECT_EQ(tally.damage_found, tally.episodes);
    EXPECT_GT(tally.damage_errors, 0U);
    EXPECT_GT(tally.operations, 1000U);
    EXPECT_GT(tally.heap_blocks, 100U);
    EXPECT_GT(tally.classes_grown, 10U);
}

class Supervisor : public testing::Test {
protected:
    RunningHost host_{{"--class", "256B:512", "--log-level", "off"}, "garbage"};
    SharedBoard board_;
    VandalPlan endless_{1, std::uint64_t{1} << 40, false};
};

TEST_F(Supervisor, NoticesThatTheHostHasDied) {
    std::thread death([this] {
        EXPECT_TRUE(eventually([this] { return board_->words.load() > 1000; }));
        host_.signal(SIGKILL);
    });
    const auto found = Episode(host_, *board_, endless_).run();
    death.join();
    ASSERT_TRUE(found);
    EXPECT_NE(found->what.find("the host ended"), std::string::npos) << found->what;
    EXPECT_FALSE(found->last_words.empty());
}

TEST_F(Supervisor, NoticesAnOperationThatHangs) {
    host_.signal(SIGSTOP);  // So attaching hangs: for longer than the supervisor's patience.
    Episode episode(host_, *board_, endless_, std::chrono::seconds(1));
    const auto found = episode.run();
    ASSERT_TRUE(found);
    EXPECT_NE(found->what.find("hangs in attach"), std::string::npos) << found->what;
}

TEST(WordMap, ReachesEveryTableOfTheLayout) {
    const RunningHost host({"--class", "256B:512", "--log-level", "off"}, "garbage");
    const test::PlainPeer peer(host.socket(), test::honest_hello("garbage"));
    const WordMap map(peer.pool->view(), peer.view);
    std::set<std::string> images;
    for (const Place& place : map.places()) images.insert(place.image);
    EXPECT_EQ(images, (std::set<std::string>{
                          "SegmentHeader", "RegionImage", "PoolHeader", "ClassImage", "ExtentImage",
                          "LaneCell", "SlotRecord", "PeerImage", "ChannelImage", "PublisherImage",
                          "SubscriberImage", "RingImage", "RingEntry", "HeapImage"}));
}

}  // namespace
}  // namespace shmpool::garbage
