// SPDX-License-Identifier: Apache-2.0
/// Who may do what at a real shmpoold. Method: a host of root in a directory that lets everybody
/// through, and children that become other users and ask.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "protocol/wire/presence_mark.hpp"
#include "tests/host/daemon.hpp"
#include "tests/host/other_user.hpp"
#include "tests/host/plain_peer.hpp"
#include "tests/protocol/child_process.hpp"

namespace shmpool::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::string open_socket = "[access]\nsocket_mode = \"0666\"\n";
const std::string attached = "attached";
const std::string observed = "observed";

class AccessToAHost : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
        ASSERT_EQ(::chmod(directory.path().c_str(), 0755), 0);
    }

    void start(const std::string& config) {
        DaemonSetup setup;
        setup.config = config;
        daemon = std::make_unique<Daemon>(directory, setup);
        ASSERT_TRUE(daemon->becomes_ready()) << daemon->log();
    }

    std::string attach_as(const OtherUser& user) {
        return as_user(user, [&] {
            PlainPeer peer(daemon->socket());
            peer.hold_slots(1, 64);
            return attached;
        });
    }
    std::string observe_as(const OtherUser& user) {
        return as_user(user, [&] {
            const PlainObserver observer(daemon->socket());
            return observed;
        });
    }
    std::string kick_first_peer_as(const OtherUser& user) {
        return as_user(user, [&] {
            PlainObserver observer(daemon->socket());
            (void)expect<wire::Kicked>(ask(observer.connection, wire::Kick{0, 1}));
            return std::string("kicked");
        });
    }
    std::string rebuild_as(const OtherUser& user) {
        return as_user(user, [&] {
            PlainObserver observer(daemon->socket());
            (void)expect<wire::Rebuilt>(ask(observer.connection, wire::Rebuild{}));
            return std::string("rebuilt");
        });
    }
    PeerState first_peer() { return PlainObserver(daemon->socket()).peer_state(0); }
    struct stat socket_file() {
        struct stat status {};
        EXPECT_EQ(::lstat(daemon->socket().c_str(), &status), 0);
        return status;
    }

    TemporaryDirectory directory;
    std::unique_ptr<Daemon> daemon;
};

TEST_F(AccessToAHost, RefuseAStrangerByDefaultAndSayWhatToChange) {
    start("");
    EXPECT_THAT(attach_as({}), HasSubstr("no permission to connect"));
    EXPECT_EQ(attach_as({0, 0, {}}), attached);
}

TEST_F(AccessToAHost, RefuseAStrangerWhoGetsThroughTheSocket) {
    start(open_socket);
    EXPECT_THAT(attach_as({}), AllOf(HasSubstr("user 65534 may not attach to this pool"),
                                     HasSubstr("[access.attach] allow_users")));
    EXPECT_THAT(observe_as({}), AllOf(HasSubstr("user 65534 may not look at this pool"),
                                      HasSubstr("[access.observe] allow_users")));
    EXPECT_TRUE(daemon->logs("was refused: user 65534"));
}

/// The kernel has no number for it there: a next host could not look for it.
TEST_F(AccessToAHost, RefuseAPeerOutsideOfTheHostsPidNamespace) {
    const std::string said = as_user({0, 0, {}}, [&] {
        if (::unshare(CLONE_NEWPID) != 0) return std::string("no namespace");
        const Daemon inner(directory);  // In the new one, unlike this process.
        if (!inner.becomes_ready()) return inner.log();
        const PlainObserver observer(inner.socket());
        const PlainPeer peer(inner.socket());
        return attached;
    });
    EXPECT_THAT(said, HasSubstr("runs in a pid namespace outside of the host's"));
}

TEST_F(AccessToAHost, AcceptsAnUnseenPeerIfToldToAndTakesBackWhatItHeld) {
    const std::string said = as_user({0, 0, {}}, [&] {
        DaemonSetup setup;
        setup.config = "[death]\nunseen_peers = \"accept\"\n";
        std::unique_ptr<Daemon> inner;
        testing_protocol::ChildProcess unseen(
            [&] {  // Outside of the namespace in which the host will be.
                ::raise(SIGSTOP);
                PlainPeer peer(directory.file("test.sock"));
                peer.hold_slots(10, 64);
                const Beacon beacon = peer.hold_beacon();
                for (;;) ::pause();
                return 0;
            });
        unseen.wait();
        if (::unshare(CLONE_NEWPID) != 0) return std::string("no namespace");
        inner = std::make_unique<Daemon>(directory, setup);
        if (!inner->becomes_ready()) return inner->log();
        const PlainObserver observer(inner->socket());
        unseen.send(SIGCONT);
        if (!eventually([&] { return observer.free_slots() < observer.all_slots(); })) {
            return "it did not get in: " + inner->log();
        }
        PlainPeer thief(inner->socket());
        wire::Rejoin as_unseen = thief.rejoin_request();
        as_unseen.peer_index = 0;
        as_unseen.peer_incarnation = 1;  // Everybody can read that.
        const auto answer = thief.rejoin(inner->socket(), as_unseen);
        if (!std::holds_alternative<wire::Refused>(answer)) return "a thief: " + inner->log();
        unseen.kill();
        if (!eventually([&] { return observer.peers_reclaimed() == 1; })) return inner->log();
        return std::string(observer.free_slots() == observer.all_slots() ? "all back" : "lost");
    });
    EXPECT_EQ(said, "all back");
}

TEST_F(AccessToAHost, LetAnAllowedUserUseThePool) {
    start(open_socket + "[access.attach]\nallow_users = [65534]\n");
    EXPECT_EQ(attach_as({}), attached);
    EXPECT_EQ(observe_as({}), observed);
    EXPECT_THAT(attach_as({1234, 1234, {}}), HasSubstr("user 1234 may not attach"));
}

TEST_F(AccessToAHost, GoByTheFirstAndByTheFurtherGroupsOfTheKernel) {
    start(open_socket + "[access.attach]\nallow_groups = [4242]\n");
    EXPECT_EQ(attach_as({1234, 4242, {}}), attached);
    EXPECT_EQ(attach_as({1234, 1234, {1, 2, 4242}}), attached);
    EXPECT_THAT(attach_as({1234, 1234, {1, 2}}), HasSubstr("may not attach"));
    std::vector<gid_t> many(3000);  // More than any first guess of the room.
    for (gid_t i = 0; i < 3000; ++i) many[i] = 10'000 + i;
    EXPECT_THAT(attach_as({1234, 1234, many}), HasSubstr("may not attach"));
    many.back() = 4242;
    EXPECT_EQ(attach_as({1234, 1234, many}), attached);
}

TEST_F(AccessToAHost, LetDenyWinOverAllow) {
    start(open_socket +
          "[access.attach]\nallow_users = [\"*\"]\ndeny_users = [1234]\ndeny_groups = [4242]\n");
    EXPECT_EQ(attach_as({}), attached);
    EXPECT_THAT(attach_as({1234, 1, {}}), HasSubstr("[access.attach] deny_users"));
    EXPECT_THAT(attach_as({1235, 1, {4242}}), HasSubstr("names its group 4242"));
}

TEST_F(AccessToAHost, KeepLookingAndKickingApart) {
    start(open_socket + "[access.observe]\nallow_users = [65534, 1234]\n" +
          "[access.kick]\nallow_users = [1234]\n");
    EXPECT_EQ(observe_as({}), observed);
    EXPECT_THAT(attach_as({}), HasSubstr("[access.attach] allow_users"));

    const testing_protocol::ChildProcess victim([&] {
        const PlainPeer peer(daemon->socket());
        for (;;) ::pause();
        return 0;
    });
    ASSERT_TRUE(eventually([&] { return first_peer() == PeerState::attached; }));
    EXPECT_THAT(kick_first_peer_as({}), AllOf(HasSubstr("user 65534 may not end peers"),
                                              HasSubstr("[access.kick] allow_users")));
    EXPECT_EQ(first_peer(), PeerState::attached);
    EXPECT_EQ(kick_first_peer_as({1234, 1234, {}}), "kicked");
    EXPECT_TRUE(eventually([&] { return first_peer() == PeerState::empty; }));
}

TEST_F(AccessToAHost, LetOnlyThoseMakeThePoolAnewWhoMayKick) {
    start(open_socket + "[access.observe]\nallow_users = [65534, 1234]\n" +
          "[access.kick]\nallow_users = [1234]\n");
    const testing_protocol::ChildProcess peer([&] {
        const PlainPeer attached_peer(daemon->socket());
        for (;;) ::pause();
        return 0;
    });
    ASSERT_TRUE(eventually([&] { return first_peer() == PeerState::attached; }));
    EXPECT_THAT(rebuild_as({}), AllOf(HasSubstr("user 65534 may not make this pool anew"),
                                      HasSubstr("[access.kick] allow_users")));
    EXPECT_EQ(first_peer(), PeerState::attached) << "refused, and made anew all the same";
    EXPECT_EQ(rebuild_as({1234, 1234, {}}), "rebuilt");
    EXPECT_TRUE(eventually([&] { return first_peer() == PeerState::empty; }));
}

TEST_F(AccessToAHost, GiveTheSocketItsModeOwnerAndGroup) {
    start("[access]\nsocket_mode = \"0660\"\nsocket_user = 1234\nsocket_group = 4242\n" +
          std::string("[access.attach]\nallow_users = [\"*\"]\n"));
    EXPECT_EQ(socket_file().st_mode & 07777, 0660U);
    EXPECT_EQ(socket_file().st_uid, 1234U);
    EXPECT_EQ(socket_file().st_gid, 4242U);
    EXPECT_EQ(attach_as({1234, 1, {}}), attached);
    EXPECT_EQ(attach_as({65534, 1, {4242}}), attached);
    EXPECT_THAT(attach_as({65534, 1, {}}), HasSubstr("no permission to connect"));
}

TEST_F(AccessToAHost, KeepTheSocketOfTheHostsOwnUserByDefault) {
    start("");
    EXPECT_EQ(socket_file().st_mode & 07777, 0600U);
    EXPECT_EQ(socket_file().st_uid, 0U);
}

TEST_F(AccessToAHost, WarnWhenTheSocketShutsOutWhomTheyAllow) {
    start("[access.attach]\nallow_users = [65534]\n");
    EXPECT_TRUE(daemon->logs("allows more users than its socket_mode lets connect"));
}

TEST_F(AccessToAHost, DoNotStartAHostThatCanNotGiveTheSocketAway) {
    DaemonSetup setup;
    setup.config = "[access]\nsocket_user = 1234\n";
    setup.user = 65534;
    Daemon other(directory, setup);
    EXPECT_EQ(other.wait(), 1);
    EXPECT_THAT(other.log(), HasSubstr("to another user or group"));
    EXPECT_NE(::access(other.socket().c_str(), F_OK), 0) << "nothing is left behind";
}

/// What a process of the other user can do with the descriptors that it was given.
std::string try_to_write(PlainPeer& peer) {
    const int payload = peer.descriptors.at(1).get();
    const std::string path = "/proc/self/fd/" + std::to_string(payload);
    const auto map = [&](int protection) {
        return ::mmap(nullptr, 4096, protection, MAP_SHARED, payload, 0);
    };
    void* const read_only = map(PROT_READ);
    std::string found;
    const auto note = [&found](bool possible, const char* what) {
        if (possible) found += std::string(found.empty() ? "" : ", ") + what;
    };
    const char byte = 1;
    note(::pwrite(payload, &byte, 1, 0) == 1, "write");
    note(map(PROT_READ | PROT_WRITE) != MAP_FAILED, "map");
    note(::mprotect(read_only, 4096, PROT_READ | PROT_WRITE) == 0, "mprotect");
    note(::fallocate(payload, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0, "punch");
    note(::fchmod(payload, 0666) == 0, "chmod");
    note(::open(path.c_str(), O_RDWR | O_CLOEXEC) >= 0, "open again");
    note(::open(path.c_str(), O_WRONLY | O_CLOEXEC) >= 0, "open again for writing only");
    return found.empty() ? "nothing" : found;
}

TEST_F(AccessToAHost, GivesAReadOnlyPeerNoWayToWriteThePayload) {
    start(open_socket + "[access.attach_read_only]\nallow_users = [65534]\n");
    EXPECT_EQ(as_user({},
                      [&] {
                          PlainPeer peer(daemon->socket(), read_only_hello());
                          return try_to_write(peer);
                      }),
              "nothing");
    EXPECT_THAT(attach_as({}), HasSubstr("it may attach read-only"));
}

/// The test looks where it should: who may write finds every way but the last two open, for which
/// the file's mode is too strict.
TEST_F(AccessToAHost, GivesAPeerThePayloadToWrite) {
    start(open_socket + "[access.attach]\nallow_users = [65534]\n");
    EXPECT_EQ(as_user({},
                      [&] {
                          PlainPeer peer(daemon->socket());
                          return try_to_write(peer);
                      }),
              "write, map, mprotect, punch");
}

TEST_F(AccessToAHost, LetsAReadOnlyPeerSubscribeButNotPublish) {
    start(open_socket + "[access.attach_read_only]\nallow_users = [65534]\n");
    EXPECT_EQ(as_user({},
                      [&] {
                          PlainPeer peer(daemon->socket(), read_only_hello());
                          wire::OpenSubscriber subscribe{};
                          subscribe.depth = 1;
                          subscribe.channel = *wire::Text<name_bytes>::of("c");
                          (void)expect<wire::SubscriberOpened>(ask(peer.connection, subscribe));
                          wire::OpenPublisher publish{};
                          publish.channel = *wire::Text<name_bytes>::of("c");
                          const auto refused = expect<wire::Refused>(ask(peer.connection, publish));
                          return std::string(name_of(static_cast<Errc>(refused.code)));
                      }),
              "read_only");
}

/// By the descriptor that it shows: the table could have been written by anybody.
TEST_F(AccessToAHost, KnowsAReadOnlyPeerThatComesBack) {
    start("");
    PlainPeer peer(daemon->socket(), read_only_hello());
    const Descriptor mark = mark_presence(daemon->socket());
    peer.view.peers.at(peer.welcome.peer_index).read_only.store(0);
    daemon->signal(SIGKILL);
    daemon->wait();
    const Daemon next(directory);
    ASSERT_TRUE(eventually(
        [&] { return LocalConnection::connect(next.socket(), Deadline::passed()).has_value(); }));
    (void)expect<wire::Rejoined>(peer.rejoin(next.socket(), peer.rejoin_request()));
    wire::OpenPublisher publish{};
    publish.channel = *wire::Text<name_bytes>::of("c");
    EXPECT_EQ(expect<wire::Refused>(ask(peer.connection, publish)).code,
              static_cast<std::uint32_t>(Errc::read_only));
    EXPECT_EQ(peer.view.peers.at(peer.welcome.peer_index).read_only.load(), 1U);
}

TEST_F(AccessToAHost, RefusesAnObserverThatAsksForThePayload) {
    start("");
    wire::Hello both = observer_hello();
    both.flags |= wire::hello_read_only;
    LocalConnection connection = connect_to(daemon->socket());
    ASSERT_TRUE(
        connection.send(wire::encode(both, 7), {}, Deadline::after(std::chrono::seconds(9))));
    EXPECT_TRUE(is_closed_by_host(connection));
}

/// Whoever may attach can hand the segment of a dead host to the next one; nobody else.
TEST_F(AccessToAHost, TakeNoSegmentFromAStranger) {
    start(open_socket);
    PlainPeer honest(daemon->socket());
    const Descriptor mark = mark_presence(daemon->socket());
    daemon->signal(SIGKILL);
    daemon->wait();
    DaemonSetup setup;
    setup.config = open_socket + "[takeover]\npatience = \"400ms\"\n";
    const Daemon next(directory, setup);
    ASSERT_TRUE(eventually(
        [&] { return LocalConnection::connect(next.socket(), Deadline::passed()).has_value(); }));
    const std::string answer = as_user({}, [&] {
        const wire::Body said = honest.rejoin(next.socket(), honest.rejoin_request());
        return std::string(expect<wire::Refused>(said).text.view());
    });
    EXPECT_THAT(answer, HasSubstr("user 65534 may not attach"));
    EXPECT_TRUE(next.logs("no peer has handed the old segment over"));
}

}  // namespace
}  // namespace shmpool::test
