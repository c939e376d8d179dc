// SPDX-License-Identifier: Apache-2.0
/// Goal: after a host was killed, the next one has everything that the first one had: peers, open
/// endpoints, messages on their way, and who died meanwhile. Method: a real host, killed with -9
/// and started again under peers that use the pool.
#include <signal.h>

#include <atomic>
#include <optional>
#include <thread>

#include "tests/peer/peer_fixture.hpp"

namespace shmpool {
namespace {

using namespace std::chrono_literals;

std::uint64_t number_in(const Sample& sample) {
    std::uint64_t number = 0;
    std::memcpy(&number, sample.data(), sizeof(number));
    return number;
}

void send_number(Publisher& publisher, std::uint64_t number) {
    auto loan = publisher.loan(sizeof(number), 20s);
    ASSERT_TRUE(loan) << explain(loan.error());
    std::memcpy(loan->data(), &number, sizeof(number));
    ASSERT_TRUE(publisher.publish(std::move(*loan), 20s));
}

class HostReturnTest : public PeerTest {
protected:
    void kill_host() {
        host_.signal(SIGKILL);
        host_.wait();
    }
    void next_host() {
        host_.start();
        for (Peer* peer : {&peer_, &other_}) {
            ASSERT_TRUE(eventually([&] { return !peer->host_gone(); }));
        }
    }
    [[nodiscard]] static std::uint64_t free_slots(Peer& peer) {
        std::uint64_t sum = 0;
        for (const auto& one : read_statistics(peer.pool().view())) sum += one.free + one.cached;
        return sum;
    }
};

TEST_F(HostReturnTest, PeersComeBackAndEverythingGoesOn) {
    auto publisher = peer_.publisher("words");
    auto subscriber = other_.subscriber("words");
    ASSERT_TRUE(publisher && subscriber);
    send(*publisher, "before");
    kill_host();
    send(*publisher, "meanwhile");
    next_host();
    send(*publisher, "after");
    for (const char* expected : {"before", "meanwhile", "after"}) {
        auto sample = subscriber->take(20s);
        ASSERT_TRUE(sample) << explain(sample.error());
        EXPECT_EQ(text_of(*sample), expected);
    }
    auto second = other_.publisher("answers");
    auto answers = peer_.subscriber("answers");
    ASSERT_TRUE(second && answers) << "the next host opens channels";
    send(*second, "hello");
    EXPECT_TRUE(answers->take(20s));
    expect_nothing_lost(peer_);
}

TEST_F(HostReturnTest, AStreamCrossesManyHosts) {
    constexpr std::uint64_t end = ~std::uint64_t{0};
    auto publisher = peer_.publisher("words", {.policy = ChannelPolicy::block});
    auto subscriber = other_.subscriber("words", {.depth = 8});
    ASSERT_TRUE(publisher && subscriber);
    std::atomic<bool> stop{false};
    std::thread writing([&] {
        for (std::uint64_t number = 0; !stop; ++number) send_number(*publisher, number);
        send_number(*publisher, end);
    });
    std::uint64_t read = 0;
    std::thread reading([&] {
        for (;;) {
            auto sample = subscriber->take(60s);
            ASSERT_TRUE(sample) << explain(sample.error());
            if (number_in(*sample) == end) return;
            ASSERT_EQ(number_in(*sample), read++);
        }
    });
    for (int host = 0; host < 5; ++host) {
        kill_host();
        next_host();
    }
    stop = true;
    writing.join();
    reading.join();
    EXPECT_GT(read, 0U);
    expect_nothing_lost(peer_);
}

TEST_F(HostReturnTest, ARequestWaitsForTheNextHost) {
    kill_host();
    std::optional<Result<Subscriber>> subscriber;
    std::thread asking([&] { subscriber = peer_.subscriber("words"); });
    std::this_thread::sleep_for(50ms);
    next_host();
    asking.join();
    ASSERT_TRUE(*subscriber) << subscriber->error().message;
    auto publisher = other_.publisher("words");
    ASSERT_TRUE(publisher);
    send(*publisher, "late");
    EXPECT_TRUE((*subscriber)->take(20s));
}

TEST_F(HostReturnTest, WhoDiedMeanwhileIsTakenBack) {
    auto subscriber = other_.subscriber("words", {.depth = 8});
    ASSERT_TRUE(subscriber);
    const std::uint64_t free_before = free_slots(other_);
    Child child([&] {
        PeerOptions options;
        options.control_thread = false;  // A child of a process with threads may start none here.
        auto dying = Peer::attach(host_.pool(), options);
        auto publisher = dying->publisher("words");
        send(*publisher, "last words");
        for (int i = 0; i < 10; ++i) (void)dying->allocate(100);
        auto loan = publisher->loan(1000);
        pause();
    });
    ASSERT_TRUE(eventually([&] { return free_before - free_slots(other_) == 12; }));
    kill_host();
    child.signal(SIGKILL);
    child.wait();
    next_host();
    EXPECT_TRUE(eventually([&] { return free_before - free_slots(other_) == 1; }));
    auto sample = subscriber->take(20s);
    ASSERT_TRUE(sample) << explain(sample.error());
    EXPECT_EQ(text_of(*sample), "last words");
    EXPECT_EQ(subscriber->take(20s).error(), Errc::ended_by_death);
    *sample = Sample();
    expect_nothing_lost(other_);
}

TEST_F(HostReturnTest, WhatWasClosedMeanwhileIsClosed) {
    auto publisher = peer_.publisher("words", {.policy = ChannelPolicy::block});
    auto stays = other_.subscriber("words", {.depth = 64});
    auto leaves = std::optional(other_.subscriber("words", {.depth = 1}));
    ASSERT_TRUE(publisher && stays && *leaves);
    kill_host();
    leaves.reset();
    next_host();
    EXPECT_TRUE(eventually([&] { return publisher->reader_count() == 1; }));
    for (std::uint64_t number = 0; number < 20; ++number) send_number(*publisher, number);
}

TEST_F(HostReturnTest, APeerThatLeftMeanwhileHasNoPlaceAnyMore) {
    auto publisher = peer_.publisher("words", {.policy = ChannelPolicy::block});
    auto leaving = std::optional(attach("leaving"));
    auto reader = std::optional(leaving->subscriber("words", {.depth = 1}));
    ASSERT_TRUE(publisher && *reader);
    ASSERT_TRUE(leaving->allocate(100));
    const std::uint32_t index = leaving->index();
    kill_host();
    reader.reset();
    leaving.reset();
    next_host();
    EXPECT_TRUE(eventually([&] { return publisher->reader_count() == 0; }));
    EXPECT_EQ(attach("next").index(), index);
    expect_nothing_lost(peer_);
}

TEST_F(HostReturnTest, WithoutAControlThreadThePeerComesBackWhenItIsDriven) {
    PeerOptions options;
    options.control_thread = false;
    auto driven = Peer::attach(host_.pool(), options);
    ASSERT_TRUE(driven);
    kill_host();
    EXPECT_EQ(driven->drive().error(), Errc::host_gone);
    EXPECT_EQ(driven->control_descriptor(), -1);
    next_host();
    EXPECT_TRUE(eventually([&] { return driven->drive().has_value(); }));
    EXPECT_NE(driven->control_descriptor(), -1);
    EXPECT_TRUE(driven->publisher("words"));
}

TEST_F(HostReturnTest, WithoutPeersTheNextHostStartsAfresh) {
    kill_host();
    { const Peer first = std::move(peer_), second = std::move(other_); }
    host_.start();
    AttachRequest request;
    request.pool_name = host_.pool();
    auto attachment = ControlChannel().attach(request);
    ASSERT_TRUE(attachment);
    EXPECT_EQ(attachment->welcome.host_incarnation, 1U) << "of a segment that it made itself";
}

}  // namespace
}  // namespace shmpool
