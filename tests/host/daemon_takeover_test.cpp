// SPDX-License-Identifier: Apache-2.0
/// Goal: a host that comes after one that was killed gets the right segment, from the right hands,
/// or makes a new one; never two hosts on one segment. Method: real daemons, killed or stopped, and
/// peers that say exactly what the test wants.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "protocol/wire/presence_mark.hpp"
#include "tests/host/daemon.hpp"
#include "tests/host/descriptor_store.hpp"
#include "tests/host/plain_peer.hpp"

namespace shmpool::test {
namespace {

using testing::HasSubstr;

std::uint32_t incarnation_of(const Daemon& daemon) {
    return PlainObserver(daemon.socket()).segment->header().host_incarnation.load();
}

class DaemonTakeover : public testing::Test {
protected:
    DaemonTakeover() {
        setup.config = "[takeover]\npatience = \"30s\"\n";
        first = start();
        ready(*first);
    }
    [[nodiscard]] std::unique_ptr<Daemon> start() const {
        return std::make_unique<Daemon>(directory, setup);
    }
    static void ready(const Daemon& daemon) { ASSERT_TRUE(daemon.becomes_ready()) << daemon.log(); }
    void kill_first() {
        first->signal(SIGKILL);
        first->wait();
    }
    /// The socket of a daemon that was just started may not be there yet.
    static void listens(const Daemon& daemon) {
        ASSERT_TRUE(eventually([&] {
            return LocalConnection::connect(daemon.socket(), Deadline::passed()).has_value();
        }));
    }

    const TemporaryDirectory directory;
    DaemonSetup setup;
    std::unique_ptr<Daemon> first;
};

TEST_F(DaemonTakeover, GetsTheSegmentFromAPeer) {
    PlainPeer peer(first->socket());
    peer.hold_slots(5, 100);
    const Descriptor mark = mark_presence(first->socket());
    kill_first();
    const auto next = start();
    listens(*next);
    const auto answer = expect<wire::Rejoined>(peer.rejoin(next->socket(), peer.rejoin_request()));
    EXPECT_EQ(answer.host_pid, static_cast<std::uint32_t>(next->pid()));
    EXPECT_EQ(answer.host_incarnation, 2U);
    EXPECT_TRUE(next->logs("1 of 1 peers live"));
    EXPECT_EQ(PlainObserver(next->socket()).peer_state(0), PeerState::attached);
    EXPECT_EQ(PlainPeer(next->socket()).welcome.peer_index, 1U);
}

TEST_F(DaemonTakeover, GetsTheSegmentFromTheDescriptorStoreThoughNobodyLives) {
    const DescriptorStore store(directory.file("notify"));
    setup.name = "kept";
    setup.environment = {{"NOTIFY_SOCKET", directory.file("notify")}};
    auto daemon = start();
    const auto control = store.next_about("FDSTORE");
    const auto payload = store.next_about("FDSTORE");
    ASSERT_EQ(control.descriptors.size() + payload.descriptors.size(), 2U);
    EXPECT_THAT(control.text, HasSubstr("FDNAME=shmpool-control"));
    ready(*daemon);
    const pid_t dying = ::fork();
    if (dying == 0) {
        PlainPeer peer(daemon->socket(), honest_hello("kept"));
        peer.hold_slots(9, 100);
        daemon->signal(SIGKILL);  // Before this process ends: the host never hears of it.
        ::_exit(0);
    }
    EXPECT_EQ(daemon->wait(), 1000 + SIGKILL);
    int status = 0;
    ::waitpid(dying, &status, 0);
    EXPECT_EQ(status, 0);
    setup.kept = {{"shmpool-control", control.descriptors[0].get()},
                  {"shmpool-payload", payload.descriptors[0].get()}};
    const auto next = start();
    ready(*next);
    EXPECT_TRUE(next->logs("died: 9 slots taken back")) << next->log();
    const PlainPeer peer(next->socket(), honest_hello("kept"));
    EXPECT_EQ(peer.segment->header().host_incarnation.load(), 2U);
    next->signal(SIGTERM);
    next->signal(SIGTERM);
    EXPECT_EQ(next->wait(), 0);
    (void)store.next_about("STOPPING");
    EXPECT_THAT(store.next_about("FDSTOREREMOVE").text, HasSubstr("shmpool-control"));
}

TEST_F(DaemonTakeover, IsNotKeptFromTheSegmentByOneWhoMayOnlyLook) {
    PlainPeer peer(first->socket());
    const Descriptor mark = mark_presence(first->socket());
    const PlainObserver observer(first->socket());
    EXPECT_EQ(::flock(observer.control.get(), LOCK_SH | LOCK_NB), 0);
    kill_first();
    const auto next = start();
    listens(*next);
    (void)expect<wire::Rejoined>(peer.rejoin(next->socket(), peer.rejoin_request()));
}

TEST_F(DaemonTakeover, IsNotKeptFromTheSegmentByManyWhoHangUp) {
    PlainPeer peer(first->socket());
    const Descriptor mark = mark_presence(first->socket());
    kill_first();
    setup.config = "[takeover]\npatience = \"10m\"\n";
    const auto next = start();
    listens(*next);
    constexpr std::uint32_t more_than_it_keeps = 3 * peer_count_max;
    for (std::uint32_t i = 0; i < more_than_it_keeps; ++i) (void)connect_to(next->socket());
    (void)expect<wire::Rejoined>(peer.rejoin(next->socket(), peer.rejoin_request()));
}

/// More than the host keeps of those who have not introduced themselves.
TEST_F(DaemonTakeover, AnswersAllOfManyWhoComeBackAtOnce) {
    kill_first();
    setup.config = "[takeover]\npatience = \"30s\"\n[limits]\npeers = 200\nlanes = 200\n";
    first = start();
    ready(*first);
    std::vector<std::unique_ptr<PlainPeer>> peers;
    for (int i = 0; i < 150; ++i) peers.push_back(std::make_unique<PlainPeer>(first->socket()));
    const Descriptor mark = mark_presence(first->socket());
    kill_first();
    const auto next = start();
    listens(*next);
    for (auto& one : peers) one->connection = connect_to(next->socket());
    next->signal(SIGSTOP);
    for (auto& one : peers) {
        const std::array numbers{one->descriptors[0].get(), one->descriptors[1].get(),
                                 one->descriptors[2].get()};
        ASSERT_TRUE(one->connection.send(wire::encode(one->rejoin_request(), 7), numbers,
                                         Deadline::passed()));
    }
    next->signal(SIGCONT);
    for (auto& one : peers) (void)expect<wire::Rejoined>(next_message(one->connection));
}

TEST_F(DaemonTakeover, TakesNoSegmentThatWasGivenUpWhenThePoolWasMadeAnew) {
    PlainPeer peer(first->socket());
    const Descriptor mark = mark_presence(first->socket());
    kill_first();
    peer.segment->header().host_state = static_cast<std::uint32_t>(HostState::replaced);
    setup.config = "[takeover]\npatience = \"100ms\"\n";
    const auto next = start();
    listens(*next);
    (void)peer.rejoin(next->socket(), peer.rejoin_request());
    EXPECT_TRUE(next->logs("was given up when the pool was made anew"));
    ready(*next);
    EXPECT_EQ(incarnation_of(*next), 1U);
}

TEST_F(DaemonTakeover, StartsAfreshWhenNobodyHandsTheSegmentOver) {
    PlainPeer stopped(first->socket());
    const Descriptor mark = mark_presence(first->socket());
    kill_first();
    setup.config = "[takeover]\npatience = \"100ms\"\n";
    const auto next = start();
    ready(*next);
    EXPECT_TRUE(next->logs("starts afresh"));
    EXPECT_EQ(incarnation_of(*next), 1U);
    const auto refused =
        std::get<wire::Refused>(stopped.rejoin(next->socket(), stopped.rejoin_request()));
    EXPECT_EQ(wire::error_of(refused).code, Errc::segment_replaced);
    EXPECT_TRUE(is_closed_by_host(stopped.connection));
}

TEST_F(DaemonTakeover, WaitsForNobodyWhenNobodyIsMarked) {
    kill_first();
    setup.config = "[takeover]\npatience = \"10m\"\n";
    ready(*start());
}

TEST_F(DaemonTakeover, LetsNobodyComeBackAsAnother) {
    PlainPeer peer(first->socket());
    const Descriptor mark = mark_presence(first->socket());
    kill_first();
    const auto next = start();
    listens(*next);
    wire::Rejoin other = peer.rejoin_request();
    const auto error_of = [&](const wire::Rejoin& request) {
        return wire::error_of(std::get<wire::Refused>(peer.rejoin(next->socket(), request))).code;
    };
    other.peer_incarnation += 1;
    EXPECT_EQ(error_of(other), Errc::segment_replaced) << "its segment was taken all the same";
    other = peer.rejoin_request();
    other.peer_index += 1;
    EXPECT_EQ(error_of(other), Errc::segment_replaced);
    EXPECT_EQ(error_of(peer.rejoin_request("other")), Errc::refused);
    const pid_t child = ::fork();
    if (child == 0) {
        ::_exit(std::holds_alternative<wire::Refused>(
                    peer.rejoin(next->socket(), peer.rejoin_request()))
                    ? 0
                    : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << "another process has come back as the peer";
    EXPECT_TRUE(
        std::holds_alternative<wire::Rejoined>(peer.rejoin(next->socket(), peer.rejoin_request())));
    EXPECT_EQ(incarnation_of(*next), 2U);
}

TEST_F(DaemonTakeover, LetsNobodyComeBackWithAnotherSegment) {
    PlainPeer former(first->socket());
    kill_first();
    const auto next = start();
    ready(*next);
    PlainPeer fresh(next->socket());  // Of this process, and with the number of the former one.
    ASSERT_EQ(fresh.welcome.peer_index, former.welcome.peer_index);
    ASSERT_EQ(fresh.welcome.peer_incarnation, former.welcome.peer_incarnation);
    const auto comes_with = [&](Descriptor& control, Descriptor& payload) {
        std::swap(former.descriptors[0], control);
        std::swap(former.descriptors[1], payload);
        const auto answer = former.rejoin(next->socket(), former.rejoin_request());
        std::swap(former.descriptors[0], control);
        std::swap(former.descriptors[1], payload);
        return answer;
    };
    for (const auto& answer : {comes_with(former.descriptors[0], former.descriptors[1]),
                               comes_with(fresh.descriptors[0], former.descriptors[1]),
                               comes_with(former.descriptors[0], fresh.descriptors[1])}) {
        ASSERT_TRUE(std::holds_alternative<wire::Refused>(answer));
        EXPECT_EQ(wire::error_of(std::get<wire::Refused>(answer)).code, Errc::segment_replaced);
    }
    EXPECT_TRUE(std::holds_alternative<wire::Rejoined>(
        comes_with(fresh.descriptors[0], fresh.descriptors[1])));
}

TEST_F(DaemonTakeover, TakesNoMemoryThatIsNoSegmentOfThisPool) {
    PlainPeer peer(first->socket());
    setup.name = "other";
    const auto other_host = start();
    ready(*other_host);
    PlainPeer stranger(other_host->socket(), honest_hello("other"));
    setup.name = "test";
    setup.config = "[takeover]\npatience = \"3s\"\n";
    const Descriptor mark = mark_presence(first->socket());
    kill_first();
    const auto next = start();
    listens(*next);
    EXPECT_TRUE(std::holds_alternative<wire::Refused>(
        stranger.rejoin(next->socket(), stranger.rejoin_request("test"))));
    EXPECT_TRUE(next->logs("is of the pool 'other', not of 'test'"));
}

TEST_F(DaemonTakeover, NeverServesASegmentThatAnotherHostServes) {
    PlainPeer peer(first->socket());
    // A host that is only stopped, and whose socket somebody has put in another's place.
    first->signal(SIGSTOP);
    std::filesystem::remove(first->socket());
    auto dying = start();
    ready(*dying);
    dying->signal(SIGKILL);
    dying->wait();
    setup.config = "[takeover]\npatience = \"3s\"\n";
    const Descriptor mark = mark_presence(first->socket());
    const auto second = start();
    listens(*second);
    const auto answer = peer.rejoin(second->socket(), peer.rejoin_request());
    EXPECT_TRUE(std::holds_alternative<wire::Refused>(answer));
    EXPECT_TRUE(second->logs("another host serves this segment"));
    first->signal(SIGCONT);
    EXPECT_EQ(peer.segment->header().host_pid.load(), static_cast<std::uint32_t>(first->pid()));
}

TEST_F(DaemonTakeover, SaysThatTheConfigurationDoesNotCountNow) {
    PlainPeer peer(first->socket());
    const Descriptor mark = mark_presence(first->socket());
    kill_first();
    setup.arguments = {"--class", "128B:100"};
    const auto next = start();
    listens(*next);
    EXPECT_TRUE(
        std::holds_alternative<wire::Rejoined>(peer.rejoin(next->socket(), peer.rejoin_request())));
    EXPECT_TRUE(next->logs("count when the pool starts afresh"));
    EXPECT_EQ(PlainObserver(next->socket()).all_slots(), 256U + 64U);
}

}  // namespace
}  // namespace shmpool::test
