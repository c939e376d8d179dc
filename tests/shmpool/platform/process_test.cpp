// SPDX-License-Identifier: Apache-2.0
/// Real children, really killed.
#include "shmpool/platform/process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "tests/shmpool/platform/forked_child.hpp"

namespace shmpool {
namespace {

using test::ForkedChild;
using test::Shared;
using test::sleep_for_ever;
using test::Step;

void await_end(const Descriptor& pidfd) {
    pollfd entry{pidfd.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&entry, 1, -1), 1);
}

TEST(Pidfd, SaysThatAKilledChildHasEndedBeforeItIsWaitedFor) {
    const ForkedChild child(sleep_for_ever);
    const auto pidfd = open_pidfd(child.pid());
    ASSERT_TRUE(pidfd.has_value());
    EXPECT_FALSE(has_ended(*pidfd));
    child.kill();
    await_end(*pidfd);
    EXPECT_TRUE(has_ended(*pidfd));
}

TEST(Pidfd, SaysThatAStoppedChildLives) {
    const ForkedChild child(sleep_for_ever);
    const auto pidfd = open_pidfd(child.pid());
    ASSERT_TRUE(pidfd.has_value());
    ASSERT_EQ(::kill(child.pid(), SIGSTOP), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child.pid(), &status, WUNTRACED), child.pid());
    ASSERT_TRUE(WIFSTOPPED(status));
    EXPECT_FALSE(has_ended(*pidfd));
}

TEST(Pidfd, StaysWithTheProcessAfterItWasWaitedFor) {
    ForkedChild child([] { return 3; });
    const auto pidfd = open_pidfd(child.pid());
    ASSERT_TRUE(pidfd.has_value());
    EXPECT_EQ(child.wait(), 3);
    EXPECT_TRUE(has_ended(*pidfd));
}

TEST(Pidfd, CanNotBeOpenedOnceTheProcessIsGone) {
    ForkedChild child([] { return 0; });
    const pid_t pid = child.pid();
    child.wait();
    const auto pidfd = open_pidfd(pid);
    ASSERT_FALSE(pidfd.has_value());
    EXPECT_EQ(pidfd.error().code, Errc::system);
    EXPECT_THAT(pidfd.error().message, testing::HasSubstr(std::to_string(pid)));
}

TEST(Pidfd, SaysNobodyEndedWhenThereIsNone) {
    EXPECT_FALSE(has_ended(Descriptor()));
    Descriptor stale(::dup(STDERR_FILENO));
    ::close(stale.get());
    EXPECT_FALSE(has_ended(stale));
    (void)stale.release();
}

TEST(KillThrough, EndsTheProcess) {
    ForkedChild child(sleep_for_ever);
    const auto pidfd = open_pidfd(child.pid());
    ASSERT_TRUE(pidfd.has_value());
    EXPECT_TRUE(kill_through(*pidfd, SIGKILL).has_value());
    EXPECT_EQ(child.wait(), -1);
}

TEST(KillThrough, IsNoErrorWhenTheProcessHasEnded) {
    ForkedChild child([] { return 0; });
    const auto pidfd = open_pidfd(child.pid());
    ASSERT_TRUE(pidfd.has_value());
    child.wait();
    EXPECT_TRUE(kill_through(*pidfd, SIGKILL).has_value());
}

TEST(KillThrough, NamesThePidAndTheRemedyWithoutTheRight) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
    const ForkedChild victim(sleep_for_ever);
    const auto pidfd = open_pidfd(victim.pid());
    ASSERT_TRUE(pidfd.has_value());
    ForkedChild nobody([&] {
        constexpr unsigned nobody_id = 65534;
        if (::setgid(nobody_id) != 0 || ::setuid(nobody_id) != 0) return 1;
        const auto killed = kill_through(*pidfd, SIGKILL);
        if (killed || killed.error().code != Errc::no_permission) return 2;
        const std::string& message = killed.error().message;
        if (message.find(std::to_string(victim.pid())) == std::string::npos) return 3;
        return message.find("CAP_KILL") == std::string::npos ? 4 : 0;
    });
    EXPECT_EQ(nobody.wait(), 0);
    EXPECT_FALSE(has_ended(*pidfd));
}

TEST(KillThrough, SaysThatASignalDoesNotExist) {
    const ForkedChild child(sleep_for_ever);
    const auto pidfd = open_pidfd(child.pid());
    EXPECT_EQ(kill_through(*pidfd, 1000).error().code, Errc::system);
}

/// A listening socket without a name in the file system.
struct Meeting {
    sockaddr_un address{};
    socklen_t length = 0;
    Descriptor listener;

    Meeting() : listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) {
        address.sun_family = AF_UNIX;
        const std::string name = "shmpool-test-" + std::to_string(::getpid());
        std::memcpy(address.sun_path + 1, name.data(), name.size());
        length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
        const auto* generic = reinterpret_cast<const sockaddr*>(&address);
        EXPECT_EQ(::bind(listener.get(), generic, length), 0);
        EXPECT_EQ(::listen(listener.get(), 4), 0);
    }
    Descriptor connect() const {
        Descriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
        const auto* generic = reinterpret_cast<const sockaddr*>(&address);
        return ::connect(socket.get(), generic, length) == 0 ? std::move(socket) : Descriptor();
    }
    Descriptor accept() const {
        return Descriptor(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    }
};

class SocketPeer : public testing::TestWithParam<std::string> {
protected:
    static Result<Descriptor> pidfd_of(const Descriptor& socket) {
        const bool by_pid = GetParam() == "OfOlderKernels";
        return by_pid ? pidfd_of_socket_peer_by_pid(socket) : pidfd_of_socket_peer(socket);
    }
};
INSTANTIATE_TEST_SUITE_P(BothWays, SocketPeer, testing::Values("OfThisKernel", "OfOlderKernels"),
                         [](const auto& way) { return way.param; });

TEST_P(SocketPeer, IsTheProcessThatConnected) {
    const Meeting meeting;
    ForkedChild child([&]() -> int {
        const Descriptor socket = meeting.connect();
        sleep_for_ever();
    });
    const Descriptor socket = meeting.accept();
    const auto pidfd = pidfd_of(socket);
    ASSERT_TRUE(pidfd.has_value()) << pidfd.error().message;
    EXPECT_EQ(credentials_of_socket_peer(socket)->pid, child.pid());
    EXPECT_EQ(credentials_of_socket_peer(socket)->uid, ::getuid());
    EXPECT_FALSE(has_ended(*pidfd));
    ASSERT_TRUE(kill_through(*pidfd, SIGKILL).has_value());
    EXPECT_EQ(child.wait(), -1) << "somebody else was meant";
    EXPECT_TRUE(has_ended(*pidfd));
}

TEST_P(SocketPeer, IsRefusedOnASocketThatIsNotConnected) {
    const Descriptor alone(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    EXPECT_FALSE(pidfd_of(alone).has_value());
}

TEST(SocketPeerByPid, IsRefusedOnceTheOtherSideHasClosed) {
    const Meeting meeting;
    const Shared<Step> closed;
    ForkedChild child([&]() -> int {
        { const Descriptor socket = meeting.connect(); }
        closed->announce();
        sleep_for_ever();
    });
    const Descriptor socket = meeting.accept();
    closed->await();
    const auto pidfd = pidfd_of_socket_peer_by_pid(socket);
    ASSERT_FALSE(pidfd.has_value());
    EXPECT_EQ(pidfd.error().code, Errc::host_gone);
}

}  // namespace
}  // namespace shmpool
