// SPDX-License-Identifier: Apache-2.0
/// Goal: a real shmpoold that lets a size class grow keeps nobody else waiting, does so for those
/// only who may ask for it, and gives up what nobody waits for. Method: connections that do not
/// wait for their answers, and the order in which answers come.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/host/daemon.hpp"
#include "tests/host/plain_peer.hpp"

namespace shmpool::test {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t mib = 1 << 20;

Deadline soon() {
    return Deadline::after(std::chrono::seconds(30));
}

void send(LocalConnection& connection, const wire::Body& request) {
    EXPECT_TRUE(connection.send(wire::encode(request, 7), {}, soon()));
}

bool has_heard(LocalConnection& connection) {
    auto received = connection.try_receive();
    EXPECT_TRUE(received);
    return received && received->has_value();
}

class DaemonClasses : public testing::Test {
protected:
    void SetUp() override { ASSERT_TRUE(daemon.becomes_ready()) << daemon.log(); }

    static DaemonSetup setup() {
        DaemonSetup setup;
        setup.arguments = {"--class",         "64B:256:4096", "--class",
                           "128B:256:200000", "--class",      "1MiB:4:600"};
        return setup;
    }

    const TemporaryDirectory directory;
    Daemon daemon{directory, setup()};
};

TEST_F(DaemonClasses, KeepNobodyWaitingWhileTheyGrowAndShrink) {
    PlainPeer asking(daemon.socket());
    PlainPeer other(daemon.socket());
    const auto answers_before = [&] {
        for (unsigned answers = 0;; ++answers) {
            (void)expect<wire::Refused>(ask(other.connection, wire::ClosePublisher{0xFFFF'FFFF}));
            if (has_heard(asking.connection)) return answers;
        }
    };
    constexpr unsigned in_few_turns = 32;  // Each serves up to eight messages of a connection.
    send(asking.connection, wire::GrowClass{mib, 500, 0});
    EXPECT_GT(answers_before(), in_few_turns);
    send(asking.connection, wire::ShrinkClass{mib, 0, 0});
    EXPECT_GT(answers_before(), in_few_turns);
}

/// A list of 100,000 slots, of which one is in use, is looked through to its end before that is
/// known. The daemon is stopped until everything has been asked that is to be asked.
TEST_F(DaemonClasses, KeepNobodyWaitingWhileTheyAreLookedThrough) {
    PlainPeer asking(daemon.socket());
    PlainPeer other(daemon.socket());
    (void)expect<wire::ClassGrown>(ask(asking.connection, wire::GrowClass{128, 100'000, 0}));
    other.hold_slots(257, 128);
    constexpr unsigned requests = 64;  // Of which eight are served in a turn.
    daemon.signal(SIGSTOP);
    send(asking.connection, wire::ShrinkClass{128, 0, 0});
    for (unsigned i = 0; i < requests; ++i) {
        send(other.connection, wire::ClosePublisher{0xFFFF'FFFF});
    }
    send(asking.connection, wire::ClosePublisher{0xFFFF'FFFF});
    daemon.signal(SIGCONT);
    const auto code_of_next = [&] {
        return static_cast<Errc>(expect<wire::Refused>(next_message(asking.connection)).code);
    };
    EXPECT_NE(code_of_next(), Errc::extent_in_use) << "what was asked later is answered first";
    EXPECT_EQ(code_of_next(), Errc::extent_in_use);
    unsigned answers = 0;
    while (has_heard(other.connection)) ++answers;
    EXPECT_EQ(answers, requests) << "and all that others had asked";
}

TEST_F(DaemonClasses, GrowAllTheSameWhenWhoLetThemShrinkHasHungUp) {
    PlainPeer other(daemon.socket());
    PlainPeer holding(daemon.socket());
    (void)expect<wire::ClassGrown>(ask(other.connection, wire::GrowClass{128, 100'000, 0}));
    {
        PlainPeer asking(daemon.socket());
        daemon.signal(SIGSTOP);
        send(asking.connection, wire::ShrinkClass{128, 0, 0});
    }
    daemon.signal(SIGCONT);
    const auto grown =
        expect<wire::ClassGrown>(ask(other.connection, wire::GrowClass{128, 100'001, 0}));
    EXPECT_GE(grown.slots, 100'001U);
    holding.hold_slots(100'001, 128);
}

TEST_F(DaemonClasses, GrowByThemselvesOnlyWhereTheConfigurationSaysSo) {
    PlainPeer peer(daemon.socket());
    const auto refused =
        expect<wire::Refused>(ask(peer.connection, wire::RelieveClass{64, 256, 0}));
    EXPECT_EQ(refused.code, static_cast<std::uint32_t>(Errc::no_permission));
    EXPECT_THAT(std::string(refused.text.view()), HasSubstr("set grow_when_exhausted"));
    PlainObserver observer(daemon.socket());
    (void)expect<wire::Refused>(ask(observer.connection, wire::RelieveClass{64, 256, 0}));
}

TEST_F(DaemonClasses, GiveUpWhatNobodyWaitsForAnyMore) {
    PlainPeer other(daemon.socket());
    {
        PlainPeer asking(daemon.socket());
        send(asking.connection, wire::GrowClass{mib, 600, 0});
    }
    const auto grown = expect<wire::ClassGrown>(ask(other.connection, wire::GrowClass{mib, 5, 0}));
    EXPECT_LT(grown.slots, 600U);
}

TEST_F(DaemonClasses, AreNotAskedForByOneConnectionWithoutEnd) {
    PlainPeer asking(daemon.socket());
    for (int i = 0; i < 17; ++i) send(asking.connection, wire::GrowClass{mib, 500, 0});
    const auto first = asking.connection.receive(soon());
    ASSERT_TRUE(first);
    const auto message = wire::decode(first->packet.bytes(), 0).value();
    ASSERT_TRUE(std::holds_alternative<wire::Refused>(message.body)) << "before all others";
    EXPECT_EQ(std::get<wire::Refused>(message.body).code,
              static_cast<std::uint32_t>(Errc::would_block));
}

}  // namespace
}  // namespace shmpool::test
