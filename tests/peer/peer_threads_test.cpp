// SPDX-License-Identifier: Apache-2.0
/// Goal: what the library does with the user's threads and loops: their lanes, their sleep, their
/// end. Method: as in peer_test.
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "tests/peer/peer_fixture.hpp"
#include "tests/shmpool/platform/temporary_directory.hpp"

namespace shmpool {
namespace {

using namespace std::chrono_literals;

TEST_F(PeerTest, AThreadThatSleepsKeepsNoSlotForItself) {
    const auto cached = [this] {
        std::uint64_t sum = 0;
        for (const auto& one : read_statistics(peer_.pool().view())) sum += one.cached;
        return sum;
    };
    auto publisher = peer_.publisher("words");
    auto sleeper = other_.subscriber("words");
    auto in_a_loop = other_.subscriber("words");
    ASSERT_TRUE(publisher && sleeper && in_a_loop);
    ASSERT_TRUE(other_.free(other_.allocate(1).value()));
    EXPECT_GT(cached(), 0U);
    EXPECT_EQ(sleeper->take(1ms).error(), Errc::timed_out);
    EXPECT_EQ(cached(), 0U) << "asleep in the library";
    ASSERT_TRUE(other_.free(other_.allocate(1).value()));
    ASSERT_TRUE(in_a_loop->descriptor());
    EXPECT_EQ(in_a_loop->take().error(), Errc::empty);
    EXPECT_EQ(cached(), 0U) << "about to sleep in the user's loop";
}

TEST_F(PeerTest, AThreadWithoutALaneEndsWhatOthersGaveIt) {
    const test::TemporaryDirectory folder;
    const std::string config = folder.file("few-lanes.toml");
    std::ofstream(config) << "[limits]\npeers = 2\nlanes = 2\n";
    RunningHost host({"--config", config}, "few-lanes");
    auto peer = Peer::attach(host.pool());
    auto greedy = Peer::attach(host.pool());
    ASSERT_TRUE(peer && greedy);
    const auto of_the_greedy = greedy->allocate(1);
    ASSERT_TRUE(of_the_greedy);
    auto publisher = peer->publisher("words");
    auto subscriber = peer->subscriber("words");
    ASSERT_TRUE(publisher && subscriber);
    send(*publisher, "read");
    send(*publisher, "not read");
    auto sample = subscriber->take();
    auto loan = publisher->loan(1);
    const auto raw = peer->allocate(1);
    ASSERT_TRUE(sample && loan && raw);
    std::thread([&] {
        EXPECT_EQ(peer->allocate(1).error(), Errc::no_lane);
        EXPECT_EQ(publisher->loan(1).error(), Errc::no_lane);
        EXPECT_EQ(subscriber->take().error(), Errc::no_lane);
        EXPECT_EQ(greedy->allocate(1).error(), Errc::no_lane) << "its second thread";
        EXPECT_TRUE(peer->free(*of_the_greedy));
        const Sample ended = std::move(*sample);
        const Loan given_up = std::move(*loan);
        EXPECT_TRUE(peer->free(*raw));
        const Subscriber closed = std::move(*subscriber);
    }).join();
    expect_nothing_lost(*peer);
}

TEST_F(PeerTest, ThreadsThatEndLeaveTheirLanesToOthers) {
    auto subscriber = other_.subscriber("words", {.depth = 1024});
    for (int round = 0; round < 600; ++round) {  // More than the pool has lanes.
        std::thread([&] {
            auto publisher = peer_.publisher("words");
            ASSERT_TRUE(publisher) << publisher.error().message;
            send(*publisher, "hello");
        }).join();
        ASSERT_TRUE(subscriber->take(5s));
    }
}

TEST_F(PeerTest, IsDrivenFromTheUsersLoop) {
    PeerOptions options;
    options.control_thread = false;
    auto peer = Peer::attach(host_.pool(), options);
    ASSERT_TRUE(peer) << peer.error().message;
    EXPECT_TRUE(peer->drive());
    auto publisher = peer->publisher("words");
    EXPECT_TRUE(publisher);
    host_.signal(SIGTERM);
    pollfd polled{peer->control_descriptor(), POLLIN, 0};
    ASSERT_EQ(poll(&polled, 1, 20000), 1);
    (void)peer->drive();
    EXPECT_TRUE(eventually([&] { return peer->host_state() != HostState::running; }));
}

}  // namespace
}  // namespace shmpool
