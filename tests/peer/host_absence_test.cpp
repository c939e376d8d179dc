// SPDX-License-Identifier: Apache-2.0
/// Goal: a host that is missing, late, stopped, silent or killed never hangs or harms a peer.
/// Method: a real host, signals.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "peer/peer.hpp"
#include "tests/peer/running_host.hpp"

namespace shmpool {
namespace {

using namespace std::chrono_literals;

Peer attach(const std::string& pool) {
    auto peer = Peer::attach(pool);
    if (!peer) throw std::runtime_error(peer.error().message);
    return std::move(*peer);
}

void send_number(Publisher& publisher, std::uint64_t number) {
    auto loan = publisher.loan(sizeof(number), 5s);
    ASSERT_TRUE(loan);
    std::memcpy(loan->data(), &number, sizeof(number));
    ASSERT_TRUE(publisher.publish(std::move(*loan), 5s));
}

TEST(HostAbsence, AMissingHostIsSaidAtOnce) {
    const auto peer = Peer::attach("nobody-has-this-name");
    ASSERT_FALSE(peer);
    EXPECT_EQ(peer.error().code, Errc::no_host);
    EXPECT_NE(peer.error().message.find("nobody-has-this-name"), std::string::npos)
        << peer.error().message;
}

TEST(HostAbsence, APeerWaitsForALateHostIfAsked) {
    RunningHost first;
    first.signal(SIGKILL);
    first.wait();
    std::thread early([&] {
        PeerOptions options;
        options.wait_for_host = 20s;
        EXPECT_TRUE(Peer::attach(first.pool(), options));
    });
    std::this_thread::sleep_for(50ms);
    first.start();
    early.join();
}

TEST(HostAbsence, APeerThatComesWhileTheHostStopsWaitsForTheNext) {
    RunningHost host;
    const Peer keeps_it_stopping = attach(host.pool());
    host.signal(SIGTERM);
    ASSERT_TRUE(eventually([&] { return keeps_it_stopping.host_state() != HostState::running; }));
    EXPECT_EQ(Peer::attach(host.pool()).error().code, Errc::host_stopped);
    std::thread early([&] {
        PeerOptions options;
        options.wait_for_host = 20s;
        const auto peer = Peer::attach(host.pool(), options);
        EXPECT_TRUE(peer) << peer.error().message;
    });
    host.signal(SIGTERM);  // The second one ends the grace period.
    host.wait();
    host.start();
    early.join();
}

TEST(HostAbsence, AttachingToAStoppedHostEndsWithHostGone) {
    RunningHost host;
    host.signal(SIGSTOP);
    PeerOptions options;
    options.answer_timeout = 50ms;
    const auto peer = Peer::attach(host.pool(), options);
    ASSERT_FALSE(peer);
    EXPECT_EQ(peer.error().code, Errc::host_gone);
}

TEST(HostAbsence, RequestsToAKilledHostEndWithHostGone) {
    RunningHost host;
    PeerOptions options;
    options.answer_timeout = 100ms;
    auto peer = Peer::attach(host.pool(), options);
    ASSERT_TRUE(peer);
    host.signal(SIGKILL);
    host.wait();
    const auto publisher = peer->publisher("words");
    ASSERT_FALSE(publisher);
    EXPECT_EQ(publisher.error().code, Errc::host_gone);
    EXPECT_TRUE(peer->host_gone());
}

TEST(HostAbsence, DataFlowsOnAfterTheHostWasKilled) {
    RunningHost host;
    Peer writer = attach(host.pool());
    Peer reader = attach(host.pool());
    auto publisher = writer.publisher("words");
    auto subscriber = reader.subscriber("words", {.depth = 4});
    ASSERT_TRUE(publisher && subscriber);
    std::thread waiting([&] {  // Its wait begins under the host and is served without it.
        for (std::uint64_t expected = 0; expected < 1000; ++expected) {
            auto sample = subscriber->take(20s);
            ASSERT_TRUE(sample) << explain(sample.error());
            std::uint64_t number = 0;
            std::memcpy(&number, sample->data(), sizeof(number));
            ASSERT_EQ(number, expected);
        }
    });
    std::this_thread::sleep_for(20ms);
    host.signal(SIGKILL);
    host.wait();
    for (std::uint64_t number = 0; number < 1000; ++number) send_number(*publisher, number);
    waiting.join();
}

TEST(HostAbsence, AnOrderlyStopEndsEveryWait) {
    RunningHost host;
    Peer peer = attach(host.pool());
    auto subscriber = peer.subscriber("words");
    auto publisher = peer.publisher("full");
    auto reader = peer.subscriber("full", {.depth = 1});
    ASSERT_TRUE(subscriber && publisher && reader);
    send_number(*publisher, 1);
    std::thread taking([&] { EXPECT_EQ(subscriber->take(60s).error(), Errc::host_stopped); });
    std::thread publishing([&] {
        auto loan = publisher->loan(8);
        EXPECT_EQ(publisher->publish(std::move(*loan), 60s).error(), Errc::host_stopped);
    });
    std::this_thread::sleep_for(20ms);
    host.signal(SIGTERM);
    EXPECT_TRUE(eventually([&] { return peer.host_state() != HostState::running; }));
    host.signal(SIGTERM);  // The second one ends the grace period.
    taking.join();
    publishing.join();
    EXPECT_EQ(peer.host_state(), HostState::stopped);
    EXPECT_EQ(publisher->loan(8).error(), Errc::host_stopped);
}

TEST(HostAbsence, WhatASlowHostOpensAfterTheTimeoutIsClosedAgain) {
    RunningHost host;
    Peer writer = attach(host.pool());
    auto publisher = writer.publisher("words");
    ASSERT_TRUE(publisher);
    PeerOptions options;
    options.answer_timeout = 50ms;
    auto hasty = Peer::attach(host.pool(), options);
    ASSERT_TRUE(hasty);
    host.signal(SIGSTOP);
    EXPECT_EQ(hasty->subscriber("words", {.depth = 1}).error().code, Errc::host_gone);
    EXPECT_EQ(hasty->publisher("others").error().code, Errc::host_gone);
    EXPECT_FALSE(hasty->host_gone()) << "it was only slow";
    host.signal(SIGCONT);
    EXPECT_TRUE(eventually([&] { return hasty->subscriber("others").has_value(); }));
    EXPECT_TRUE(eventually([&] { return publisher->reader_count() == 0; }));
    for (std::uint64_t number = 0; number < 10; ++number) send_number(*publisher, number);
}

TEST(HostAbsence, AttachmentsThatWereNotFinishedTakeUpNoPlaces) {
    RunningHost host;
    for (int i = 0; i < 200; ++i) {  // Three times as many as there are places for peers.
        ControlChannel channel;
        AttachRequest request;
        request.pool_name = host.pool();
        ASSERT_TRUE(eventually([&] { return channel.attach(request).has_value(); })) << i;
    }
    EXPECT_TRUE(eventually([&] { return Peer::attach(host.pool()).has_value(); }));
}

TEST(HostAbsence, TheNextHostStartsAtOnceAfterEverybodyWasKilled) {
    RunningHost host;
    const int rounds = 5;
    for (int round = 0; round < rounds; ++round) {
        Child peer([&] {
            Peer attached = attach(host.pool());
            auto publisher = attached.publisher("words");
            auto loan = publisher->loan(100);
            for (;;) pause();
        });
        std::this_thread::sleep_for(20ms);
        host.signal(SIGKILL);
        host.wait();
        peer.signal(SIGKILL);
        peer.wait();
        host.start();
        EXPECT_TRUE(Peer::attach(host.pool()));
    }
}

TEST(HostAbsence, AShortageOfDescriptorsIsSaidAndHealed) {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "the sanitizer itself needs a descriptor when it looks at an object's type";
#endif
    RunningHost host;
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    Child child([&] {
        const int next = dup(0);
        rlimit tight{static_cast<rlim_t>(next) + 2, before.rlim_max};
        setrlimit(RLIMIT_NOFILE, &tight);
        bool clear = true;
        for (int i = 0; i < 100; ++i) {  // More often than there are places for peers.
            const auto refused = Peer::attach(host.pool());
            clear = clear && !refused && refused.error().code == Errc::descriptor_limit;
        }
        setrlimit(RLIMIT_NOFILE, &before);
        _exit(clear && Peer::attach(host.pool()) ? 0 : 1);
    });
    EXPECT_EQ(child.wait(), 0);
}

TEST(HostAbsence, AShortageOfAddressSpaceIsSaid) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a sanitizer needs the address space itself";
#endif
    RunningHost host({"--class", "1MiB:256"});
    Child child([&] {
        rlimit tight{std::uint64_t{200} << 20, std::uint64_t{200} << 20};
        setrlimit(RLIMIT_AS, &tight);
        const auto refused = Peer::attach(host.pool());
        _exit(!refused && refused.error().code == Errc::out_of_memory ? 0 : 1);
    });
    EXPECT_EQ(child.wait(), 0);
}

TEST(HostAbsence, SeveralPoolsAndPeersLiveInOneProcess) {
    RunningHost one({"--class", "1KiB:64"}, "one");
    RunningHost two({"--class", "4KiB:64"}, "two");
    Peer in_one = attach("one");
    Peer also_in_one = attach("one");
    Peer in_two = attach("two");
    EXPECT_EQ(in_one.pool().slot_size(0), 1024U);
    EXPECT_EQ(in_two.pool().slot_size(0), 4096U);
    auto publisher = in_one.publisher("words");
    auto subscriber = also_in_one.subscriber("words");
    auto elsewhere = in_two.subscriber("words");
    send_number(*publisher, 7);
    EXPECT_TRUE(subscriber->take());
    EXPECT_EQ(elsewhere->take().error(), Errc::empty);
}

}  // namespace
}  // namespace shmpool
