// SPDX-License-Identifier: Apache-2.0
/// The orderly stop of a real shmpoold: peers are told, may finish, and then every wait ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <optional>

#include "tests/host/daemon.hpp"
#include "tests/host/plain_peer.hpp"

namespace shmpool::test {
namespace {

DaemonSetup with_grace(const std::string& grace) {
    DaemonSetup setup;
    setup.config = "[stop]\ngrace = \"" + grace + "\"\n";
    return setup;
}

std::uint32_t host_state(const PlainPeer& peer) {
    return peer.segment->header().host_state.load(std::memory_order_acquire);  // [A-host-state]
}

constexpr auto stopping = static_cast<std::uint32_t>(HostState::stopping);
constexpr auto stopped = static_cast<std::uint32_t>(HostState::stopped);

TEST(DaemonStop, TellsPeersAndEndsWhenTheLastHasLeft) {
    const TemporaryDirectory directory;
    Daemon daemon(directory, with_grace("10m"));
    ASSERT_TRUE(daemon.becomes_ready()) << daemon.log();
    PlainPeer peer(daemon.socket());
    daemon.signal(SIGTERM);
    EXPECT_EQ(expect<wire::Stopping>(next_message(peer.connection)).grace_ms, 600'000U);
    EXPECT_EQ(host_state(peer), stopping);
    (void)expect<wire::Farewell>(ask(peer.connection, wire::Goodbye{}));
    EXPECT_EQ(daemon.wait(), 0);
    EXPECT_EQ(host_state(peer), stopped);
    EXPECT_FALSE(std::filesystem::exists(daemon.socket()));
}

TEST(DaemonStop, RefusesNewPeersMeanwhile) {
    const TemporaryDirectory directory;
    Daemon daemon(directory, with_grace("10m"));
    ASSERT_TRUE(daemon.becomes_ready()) << daemon.log();
    PlainPeer peer(daemon.socket());
    daemon.signal(SIGINT);
    (void)expect<wire::Stopping>(next_message(peer.connection));
    LocalConnection late = connect_to(daemon.socket());
    EXPECT_EQ(expect<wire::Refused>(ask(late, honest_hello())).code,
              static_cast<std::uint32_t>(Errc::host_stopped));
    EXPECT_TRUE(daemon.running());
}

TEST(DaemonStop, EndsWithTheGracePeriodThoughAPeerStays) {
    const TemporaryDirectory directory;
    Daemon daemon(directory, with_grace("50ms"));
    ASSERT_TRUE(daemon.becomes_ready()) << daemon.log();
    const PlainPeer peer(daemon.socket());
    daemon.signal(SIGTERM);
    EXPECT_EQ(daemon.wait(), 0);
    EXPECT_EQ(host_state(peer), stopped);
}

TEST(DaemonStop, EndsTheGracePeriodAtOnceOnASecondSignal) {
    const TemporaryDirectory directory;
    Daemon daemon(directory, with_grace("10m"));
    ASSERT_TRUE(daemon.becomes_ready()) << daemon.log();
    PlainPeer peer(daemon.socket());
    daemon.signal(SIGTERM);
    (void)expect<wire::Stopping>(next_message(peer.connection));
    daemon.signal(SIGTERM);
    EXPECT_EQ(daemon.wait(), 0);
    EXPECT_EQ(host_state(peer), stopped);
}

TEST(DaemonStop, WakesAPeerThatWaitsForAMessage) {
    const TemporaryDirectory directory;
    Daemon daemon(directory, with_grace("0ms"));
    ASSERT_TRUE(daemon.becomes_ready()) << daemon.log();
    PlainPeer peer(daemon.socket());
    wire::OpenSubscriber request{};
    request.channel = *wire::Text<name_bytes>::of("c");
    request.depth = 4;
    request.flags = wire::open_subscriber_may_sleep;
    const auto opened = expect<wire::SubscriberOpened>(ask(peer.connection, request));
    const Atomic<std::uint32_t>& doorbell =
        peer.view.subscribers.at(opened.subscriber_index).doorbell;
    const std::uint32_t before = doorbell.load();
    daemon.signal(SIGTERM);
    (void)futex_wait(doorbell, before, std::chrono::seconds(30));
    EXPECT_NE(doorbell.load(), before);
    EXPECT_EQ(host_state(peer), stopped);
    EXPECT_EQ(daemon.wait(), 0);
}

}  // namespace
}  // namespace shmpool::test
