// SPDX-License-Identifier: Apache-2.0
/// Peers that die, leave, vanish and stop in front of a real shmpoold. Each is a process of its
/// own; it says through a pipe that it holds what it is to hold.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <thread>

#include "shmpool/platform/monotonic_clock.hpp"
#include "tests/host/daemon.hpp"
#include "tests/host/plain_peer.hpp"
#include "tests/protocol/child_process.hpp"

namespace shmpool::test {
namespace {

using testing::HasSubstr;
using testing_protocol::ChildProcess;

constexpr std::size_t slots_held = 20;

/// A process that attaches, takes slots, calls `act`, says who it is, calls `then`, and sleeps.
class PeerProcess {
public:
    using Act = std::function<void(PlainPeer&)>;

    PeerProcess(const std::string& socket, const Act& act, const Act& then = {}) {
        int ends[2] = {-1, -1};
        EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
        const Descriptor read_end(ends[0]);
        Descriptor write_end(ends[1]);
        process_ = std::make_unique<ChildProcess>([&] {
            try {
                PlainPeer peer(socket);
                peer.hold_slots(slots_held, 64);
                if (act) act(peer);
                // As an honest peer does; unless `act` has done it already, in its own way.
                const Result<Beacon> held = Beacon::hold(peer.descriptors.at(2));
                if (::write(write_end.get(), &peer.welcome, sizeof(peer.welcome)) < 0) return 2;
                if (then) then(peer);
                for (;;) ::pause();
            } catch (const std::exception&) {
                return 1;
            }
        });
        write_end = Descriptor();  // So that the end of the child ends the read, too.
        said_who_ = ::read(read_end.get(), &welcome_, sizeof(welcome_)) == sizeof(welcome_);
    }

    [[nodiscard]] bool holds() const { return said_who_; }
    [[nodiscard]] std::uint32_t index() const { return welcome_.peer_index; }
    [[nodiscard]] wire::Kick kick() const { return {index(), welcome_.peer_incarnation}; }
    [[nodiscard]] ChildProcess& process() { return *process_; }

private:
    std::unique_ptr<ChildProcess> process_;
    wire::Welcome welcome_{};
    bool said_who_ = false;
};

class DaemonDeaths : public testing::Test {
protected:
    explicit DaemonDeaths(const DaemonSetup& setup = {}) : daemon(directory, setup) {}

    void SetUp() override {
        ASSERT_TRUE(daemon.becomes_ready()) << daemon.log();
        observer = std::make_unique<PlainObserver>(daemon.socket());
    }

    [[nodiscard]] bool reaches(const PeerProcess& peer, PeerState state) const {
        return eventually([&] { return observer->peer_state(peer.index()) == state; });
    }
    void expect_slots_are_missing() const {
        EXPECT_LE(observer->free_slots(), observer->all_slots() - slots_held);
    }
    void expect_nothing_is_missing() const {
        EXPECT_EQ(observer->free_slots(), observer->all_slots());
    }

    TemporaryDirectory directory;
    Daemon daemon;
    std::unique_ptr<PlainObserver> observer;
};

TEST_F(DaemonDeaths, TakesBackWhatAKilledPeerHeld) {
    PeerProcess peer(daemon.socket(), {});
    ASSERT_TRUE(peer.holds());
    expect_slots_are_missing();
    const std::uint64_t killed_ns = monotonic_ns();
    peer.process().kill();
    ASSERT_TRUE(eventually([&] { return observer->peers_reclaimed() == 1; }));
    expect_nothing_is_missing();
    EXPECT_EQ(observer->peer_state(peer.index()), PeerState::empty);
    EXPECT_GE(observer->slots_reclaimed(), slots_held);
    const SegmentHeader& header = observer->segment->header();
    EXPECT_GE(header.last_notice_ns.load(), killed_ns);
    EXPECT_GE(header.last_reclaim_ns.load(), header.last_notice_ns.load());
}

TEST_F(DaemonDeaths, NoticesTheDeathOfAPeerByItsBeaconToo) {
    PeerProcess peer(daemon.socket(), [](PlainPeer& self) {
        new Beacon(self.hold_beacon());  // Held until the process ends.
    });
    ASSERT_TRUE(peer.holds());
    peer.process().kill();
    ASSERT_TRUE(eventually([&] { return observer->peers_reclaimed() == 1; }));
    expect_nothing_is_missing();
}

TEST_F(DaemonDeaths, AnnouncesADeathByTheBeaconButReclaimsNothingByIt) {
    PeerProcess peer(daemon.socket(), [](PlainPeer& self) {
        std::thread([&] { new Beacon(self.hold_beacon()); }).join();  // Ends with that thread.
    });
    ASSERT_TRUE(peer.holds());
    ASSERT_TRUE(reaches(peer, PeerState::dying));
    expect_slots_are_missing();
    // Requests of others make the host look around; it must still believe the kernel only.
    PlainPeer other(daemon.socket());
    (void)expect<wire::Farewell>(ask(other.connection, wire::Goodbye{}));
    EXPECT_EQ(observer->peer_state(peer.index()), PeerState::dying);
    EXPECT_EQ(observer->peers_reclaimed(), 0U);
    expect_slots_are_missing();
    peer.process().kill();
    ASSERT_TRUE(eventually([&] { return observer->peers_reclaimed() == 1; }));
    expect_nothing_is_missing();
}

TEST_F(DaemonDeaths, DoesNotReclaimWhenOnlyTheSocketIsClosed) {
    PeerProcess peer(daemon.socket(), {}, [](PlainPeer& self) {
        const LocalConnection closed = std::move(self.connection);
    });
    ASSERT_TRUE(peer.holds());
    ASSERT_TRUE(reaches(peer, PeerState::suspect));
    PlainPeer other(daemon.socket());
    (void)expect<wire::Farewell>(ask(other.connection, wire::Goodbye{}));
    EXPECT_EQ(observer->peer_state(peer.index()), PeerState::suspect);
    EXPECT_EQ(observer->peers_reclaimed(), 0U);
    expect_slots_are_missing();
    peer.process().kill();
    ASSERT_TRUE(eventually([&] { return observer->peers_reclaimed() == 1; }));
    expect_nothing_is_missing();
}

TEST_F(DaemonDeaths, TakesNoSocketThatTheHostItselfClosedAsEvidence) {
    const auto let_the_beacon_fire = [](PlainPeer& self) {
        std::thread([&] { new Beacon(self.hold_beacon()); }).join();
    };
    PeerProcess peer(daemon.socket(), let_the_beacon_fire, [](PlainPeer& self) {
        wire::Packet one_byte{};
        one_byte.length_bytes = 1;
        (void)self.connection.send(one_byte, {}, Deadline::never());
    });
    ASSERT_TRUE(peer.holds());
    ASSERT_TRUE(reaches(peer, PeerState::dying));
    EXPECT_TRUE(daemon.logs("is closed: "));
    // Both signs are there now. Give a host that believes them time to show it.
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_EQ(observer->peers_reclaimed(), 0U);
    expect_slots_are_missing();
}

TEST_F(DaemonDeaths, EndsTheConnectionOfADeadPeerThoughItsChildHasInheritedTheSocket) {
    int ends[2] = {-1, -1};
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const Descriptor read_end(ends[0]);
    Descriptor write_end(ends[1]);
    PeerProcess peer(daemon.socket(), [&](PlainPeer& self) {
        if (::fork() != 0) return;
        const bool closed = is_closed_by_host(self.connection);
        (void)!::write(write_end.get(), closed ? "c" : "o", 1);
        ::_exit(0);
    });
    write_end = Descriptor();
    ASSERT_TRUE(peer.holds());
    peer.process().kill();
    ASSERT_TRUE(eventually([&] { return observer->peers_reclaimed() == 1; }));
    char said = 0;
    EXPECT_EQ(::read(read_end.get(), &said, 1), 1);
    EXPECT_EQ(said, 'c');
}

TEST_F(DaemonDeaths, ReclaimsAPeerThatHasReplacedItsProgramAndLetsItLive) {
    PeerProcess peer(
        daemon.socket(), [](PlainPeer& self) { new Beacon(self.hold_beacon()); },
        [](PlainPeer&) { ::execlp("sleep", "sleep", "600", nullptr); });
    ASSERT_TRUE(peer.holds());
    ASSERT_TRUE(eventually([&] { return observer->peers_reclaimed() == 1; }));
    expect_nothing_is_missing();
    EXPECT_EQ(::kill(peer.process().pid(), 0), 0);
    EXPECT_TRUE(daemon.logs("has replaced its program"));
    siginfo_t info{};
    EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(peer.process().pid()), &info,
                       WEXITED | WNOHANG | WNOWAIT),
              0);
    EXPECT_EQ(info.si_pid, 0) << "it has ended";
}

TEST_F(DaemonDeaths, TakesEverythingBackFromAPeerThatSaysGoodbye) {
    PlainPeer peer(daemon.socket());
    peer.hold_slots(slots_held, 64);
    expect_slots_are_missing();
    (void)expect<wire::Farewell>(ask(peer.connection, wire::Goodbye{}));
    expect_nothing_is_missing();
    EXPECT_EQ(observer->peer_state(peer.welcome.peer_index), PeerState::empty);
    EXPECT_EQ(observer->peers_reclaimed(), 0U) << "only deaths count";
}

TEST_F(DaemonDeaths, KillsAPeerThatIsKicked) {
    PeerProcess peer(daemon.socket(), {});
    ASSERT_TRUE(peer.holds());
    const auto kicked = expect<wire::Kicked>(ask(observer->connection, peer.kick()));
    EXPECT_EQ(kicked.pid, static_cast<std::uint32_t>(peer.process().pid()));
    EXPECT_EQ(peer.process().wait(), ChildProcess::End::killed);
    EXPECT_EQ(peer.process().signal(), SIGKILL);
    ASSERT_TRUE(eventually([&] { return observer->peers_reclaimed() == 1; }));
    expect_nothing_is_missing();
}

TEST(DaemonRights, DoNotGoBeyondThoseOfItsUser) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can start a host as another user";
    const TemporaryDirectory directory;
    DaemonSetup setup;
    setup.user = 65534;
    const Daemon daemon(directory, setup);
    ASSERT_TRUE(daemon.becomes_ready()) << daemon.log();
    PeerProcess peer_of_root(daemon.socket(), {});
    ASSERT_TRUE(peer_of_root.holds());
    PlainObserver observer(daemon.socket());
    const auto refused = expect<wire::Refused>(ask(observer.connection, peer_of_root.kick()));
    EXPECT_EQ(refused.code, static_cast<std::uint32_t>(Errc::no_permission));
    EXPECT_THAT(std::string(refused.text.view()), HasSubstr("CAP_KILL"));
    EXPECT_TRUE(peer_of_root.process().running());
}

TEST_F(DaemonDeaths, RefusesToKickAnEarlierIncarnation) {
    PeerProcess peer(daemon.socket(), {});
    ASSERT_TRUE(peer.holds());
    wire::Kick stale = peer.kick();
    --stale.peer_incarnation;
    const auto refused = expect<wire::Refused>(ask(observer->connection, stale));
    EXPECT_EQ(refused.code, static_cast<std::uint32_t>(Errc::refused));
    EXPECT_THAT(std::string(refused.text.view()), HasSubstr("incarnation"));
    EXPECT_TRUE(peer.process().running());
    EXPECT_EQ(observer->peer_state(peer.index()), PeerState::attached);
}

TEST_F(DaemonDeaths, TakesBackWhatAPublisherAndItsReaderHeldWhenBothAreKilled) {
    const auto open = [](PlainPeer& self) {
        wire::OpenPublisher publisher{};
        publisher.channel = *wire::Text<name_bytes>::of("c");
        (void)expect<wire::PublisherOpened>(ask(self.connection, publisher));
        wire::OpenSubscriber subscriber{};
        subscriber.channel = *wire::Text<name_bytes>::of("c");
        subscriber.depth = 4;
        (void)expect<wire::SubscriberOpened>(ask(self.connection, subscriber));
    };
    PeerProcess first(daemon.socket(), open);
    PeerProcess second(daemon.socket(), open);
    ASSERT_TRUE(first.holds() && second.holds());
    first.process().kill();
    second.process().kill();
    ASSERT_TRUE(eventually([&] { return observer->peers_reclaimed() == 2; }));
    ASSERT_TRUE(reaches(first, PeerState::empty));
    ASSERT_TRUE(reaches(second, PeerState::empty));
    expect_nothing_is_missing();
    EXPECT_TRUE(eventually([&] {
        for (std::uint32_t i = 0; i < observer->view.rings.count; ++i) {
            if (observer->view.rings.at(i).state.load() != 0) return false;
        }
        return true;
    }));
}

class DaemonDeathsUnderWait : public DaemonDeaths {
protected:
    DaemonDeathsUnderWait()
        : DaemonDeaths([] {
              DaemonSetup setup;
              setup.config = "[death]\nsuspect_policy = \"wait\"\nsuspect_after = \"100ms\"\n";
              return setup;
          }()) {}
};

TEST_F(DaemonDeathsUnderWait, SuspectsAStoppedPeerAndTrustsItAgain) {
    PeerProcess peer(daemon.socket(), {});
    ASSERT_TRUE(peer.holds());
    peer.process().send(SIGSTOP);
    ASSERT_TRUE(reaches(peer, PeerState::suspect));
    expect_slots_are_missing();
    peer.process().send(SIGCONT);
    EXPECT_TRUE(reaches(peer, PeerState::attached));
    EXPECT_EQ(observer->peers_reclaimed(), 0U);
    expect_slots_are_missing();
}

class DaemonDeathsUnderKill : public DaemonDeaths {
protected:
    DaemonDeathsUnderKill()
        : DaemonDeaths([] {
              DaemonSetup setup;
              setup.config = "[death]\nsuspect_policy = \"kill\"\nsuspect_after = \"100ms\"\n";
              return setup;
          }()) {}

    void expect_killed(PeerProcess& peer) {
        ASSERT_TRUE(eventually([&] { return observer->peers_reclaimed() == 1; }));
        expect_nothing_is_missing();
        EXPECT_EQ(peer.process().wait(), ChildProcess::End::killed);
        EXPECT_EQ(peer.process().signal(), SIGKILL);
    }
};

TEST_F(DaemonDeathsUnderKill, KillsAPeerThatHasClosedItsSocketAndGoesOn) {
    PeerProcess peer(daemon.socket(), {}, [](PlainPeer& self) {
        const LocalConnection closed = std::move(self.connection);
    });
    ASSERT_TRUE(peer.holds());
    expect_killed(peer);
}

TEST_F(DaemonDeathsUnderKill, KillsAPeerThatIsStopped) {
    PeerProcess peer(daemon.socket(), {});
    ASSERT_TRUE(peer.holds());
    peer.process().send(SIGSTOP);
    ASSERT_TRUE(eventually([&] { return observer->peers_reclaimed() == 1; }));
    expect_nothing_is_missing();
}

}  // namespace
}  // namespace shmpool::test
