// SPDX-License-Identifier: Apache-2.0
/// What the closer is given is closed, whoever else's close waits, and nobody waits for it. Method:
/// pipes, whose readers see the end, behind and beside descriptors whose close takes longer than
/// any test.
#include "host/closer.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <utility>

#include "protocol/wire/local_socket.hpp"
#include "tests/host/daemon.hpp"
#include "tests/host/waiting_descriptors.hpp"
#include "tests/protocol/child_process.hpp"

namespace shmpool::host {
namespace {

using test::eventually;
using test::LingeringSockets;
using test::UnansweredFile;

const uid_t somebody = ::geteuid();  // As whose the kernel knows our sockets.
const uid_t somebody_else = somebody + 1;

/// Ends for its reader when the last writer is closed.
class Pipe {
public:
    Pipe() {
        std::array<int, 2> numbers{};
        if (::pipe2(numbers.data(), O_CLOEXEC) != 0) std::abort();
        reader_ = Descriptor(numbers[0]);
        writer = Descriptor(numbers[1]);
    }
    [[nodiscard]] bool has_ended() const {
        pollfd entry{reader_.get(), POLLIN, 0};
        return ::poll(&entry, 1, 0) == 1;
    }

    Descriptor writer;

private:
    Descriptor reader_;
};

/// Who serves has a bare socket, the other end is a client.
struct Ends {
    Ends() {
        std::array<int, 2> numbers{};
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, numbers.data()) != 0) {
            std::abort();
        }
        socket = Descriptor(numbers[0]);
        client.emplace(LocalConnection::adopt(Descriptor(numbers[1])));
    }
    Descriptor socket;
    std::optional<LocalConnection> client;
};

TEST(Closer, ClosesWhatItIsGiven) {
    Closer closer;
    std::array<Pipe, 50> pipes;
    for (Pipe& one : pipes) closer.close_received(somebody, std::move(one.writer));
    for (const Pipe& one : pipes) EXPECT_TRUE(eventually([&] { return one.has_ended(); }));
}

TEST(Closer, ClosesAlsoAfterItsEnd) {
    std::array<Pipe, 50> pipes;
    {
        Closer closer;
        for (Pipe& one : pipes) closer.close_received(somebody, std::move(one.writer));
    }
    for (const Pipe& one : pipes) EXPECT_TRUE(eventually([&] { return one.has_ended(); }));
}

TEST(Closer, CutsALingerShort) {
    Closer closer;
    LingeringSockets sockets;
    for (Descriptor& one : sockets.make(20)) closer.close_received(somebody, std::move(one));
    Pipe behind;
    closer.close_received(somebody, std::move(behind.writer));
    EXPECT_TRUE(eventually([&] { return behind.has_ended(); }));
}

TEST(Closer, CutsALingerInAnUnreadPacketShort) {
    Closer closer;
    LingeringSockets sockets;
    Ends ends;
    test::send_with(*ends.client, wire::Packet{}.buffer, sockets.make(20));
    closer.close_socket(std::move(ends.socket));
    Ends next;
    Pipe behind;
    std::vector<Descriptor> last;
    last.push_back(std::move(behind.writer));
    test::send_with(*next.client, {}, std::move(last));
    closer.close_socket(std::move(next.socket));
    EXPECT_TRUE(eventually([&] { return behind.has_ended(); }));
}

TEST(Closer, FindsDescriptorsBehindPacketsWithoutThem) {
    Closer closer;
    LingeringSockets sockets;
    Ends ends;
    const int client = ends.client->socket().get();
    for (const std::size_t length : {1U, 0U, 1000U, 0U}) {
        ASSERT_EQ(::send(client, wire::Packet{}.buffer.data(), length, 0), ssize_t(length));
    }
    test::send_with(*ends.client, {}, sockets.make(1));
    closer.close_socket(std::move(ends.socket));
    EXPECT_EQ(ends.client->receive(Deadline::passed()).error().code, Errc::host_gone);
}

TEST(Closer, HangsUpAtOnce) {
    Closer closer;
    Ends ends;
    closer.close_socket(std::move(ends.socket));
    EXPECT_EQ(ends.client->receive(Deadline::passed()).error().code, Errc::host_gone);
}

TEST(Closer, OfAParentLeavesItsConnectionsAloneInAChild) {
    Closer closer;
    Ends ends;
    testing_protocol::ChildProcess child([&] {
        closer.close_socket(std::move(ends.socket));
        return 0;
    });
    EXPECT_EQ(child.wait(), testing_protocol::ChildProcess::End::exited);
    EXPECT_EQ(ends.client->receive(Deadline::passed()).error().code, Errc::timed_out);
}

TEST(Closer, HoldsUpNobodyButTheUserWhoseCloseWaits) {
    if (!UnansweredFile::can_be_made()) GTEST_SKIP() << "needs root and /dev/fuse";
    UnansweredFile file;
    Closer closer;
    Descriptor unanswered = file.open();
    file.be_silent();
    closer.close_received(somebody, std::move(unanswered));
    ASSERT_TRUE(eventually([&] { return file.unanswered() == 1; }));
    Pipe behind;
    closer.close_received(somebody, std::move(behind.writer));
    Pipe beside;
    closer.close_received(somebody_else, std::move(beside.writer));
    Ends ends;
    Pipe unread;
    std::vector<Descriptor> last;
    last.push_back(std::move(unread.writer));
    test::send_with(*ends.client, {}, std::move(last));
    closer.close_socket(std::move(ends.socket));
    EXPECT_TRUE(eventually([&] { return beside.has_ended() && unread.has_ended(); }));
    EXPECT_FALSE(behind.has_ended());
    file.answer_all();
    EXPECT_TRUE(eventually([&] { return behind.has_ended(); }));
}

}  // namespace
}  // namespace shmpool::host
