// SPDX-License-Identifier: Apache-2.0
/// Connections over real sockets: packets and descriptors arrive whole or not at all, every wait
/// ends at its deadline, and no descriptor that a stranger sends stays open. Method: two ends in
/// this process; the stranger's end is driven with plain system calls.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "protocol/wire/codec.hpp"
#include "protocol/wire/local_socket.hpp"
#include "tests/shmpool/platform/temporary_directory.hpp"

namespace shmpool {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

Deadline soon() {
    return Deadline::after(std::chrono::seconds(20));
}
Deadline now() {
    return Deadline::after(milliseconds(0));
}

std::size_t open_descriptor_count() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(all, std::filesystem::directory_iterator()));
}

wire::Packet some_packet() {
    return wire::encode(wire::Kick{3, 9}, 42);
}

/// What a stranger may do: any bytes, any number of descriptors.
void send_raw(int socket, std::string_view bytes, const std::vector<int>& descriptors = {}) {
    iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    std::vector<char> control(CMSG_SPACE(descriptors.size() * sizeof(int)));
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    if (!descriptors.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
        std::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size() * sizeof(int));
    }
    ASSERT_EQ(::sendmsg(socket, &message, MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

class LocalConnectionTest : public testing::Test {
protected:
    LocalConnectionTest() : ends_(*LocalConnection::pair()) {}

    LocalConnection& left() { return ends_.first; }
    LocalConnection& right() { return ends_.second; }
    [[nodiscard]] int stranger() const { return ends_.first.socket().get(); }

    /// The left end closes.
    void hang_up() { ends_.first = LocalConnection::adopt(Descriptor()); }

    std::pair<LocalConnection, LocalConnection> ends_;
};

TEST_F(LocalConnectionTest, CarriesPacketsInOrderAndApart) {
    for (std::uint32_t index = 0; index < 3; ++index) {
        ASSERT_TRUE(left().send(wire::encode(wire::Kicked{index}, index + 1), {}, soon()));
    }
    for (std::uint32_t index = 0; index < 3; ++index) {
        const auto received = right().receive(soon());
        ASSERT_TRUE(received);
        const auto message = wire::decode(received->packet.bytes(), received->descriptors.size());
        ASSERT_TRUE(message);
        EXPECT_EQ(message->request_id, index + 1);
        EXPECT_EQ(std::get<wire::Kicked>(message->body).pid, index);
    }
}

TEST_F(LocalConnectionTest, CarriesDescriptorsThatMeanTheSameFileAndCloseOnExec) {
    const test::TemporaryDirectory directory;
    const std::array<Descriptor, 3> files{
        Descriptor(::open(directory.file("a").c_str(), O_CREAT | O_RDWR, 0600)),
        Descriptor(::open(directory.file("b").c_str(), O_CREAT | O_RDWR, 0600)),
        Descriptor(::open(directory.file("c").c_str(), O_CREAT | O_RDWR, 0600))};
    const std::array<int, 3> numbers{files[0].get(), files[1].get(), files[2].get()};
    ASSERT_TRUE(left().send(some_packet(), numbers, soon()));
    const auto received = right().receive(soon());
    ASSERT_TRUE(received);
    ASSERT_EQ(received->descriptors.size(), 3U);
    for (std::size_t index = 0; index < 3; ++index) {
        struct stat sent {
        }, came{};
        ASSERT_EQ(::fstat(numbers[index], &sent), 0);
        ASSERT_EQ(::fstat(received->descriptors[index].get(), &came), 0);
        EXPECT_EQ(sent.st_ino, came.st_ino);
        EXPECT_NE(::fcntl(received->descriptors[index].get(), F_GETFD) & FD_CLOEXEC, 0);
    }
}

TEST_F(LocalConnectionTest, TellsWhoIsAtTheOtherEnd) {
    const auto credentials = right().credentials();
    ASSERT_TRUE(credentials);
    EXPECT_EQ(credentials->pid, ::getpid());
    EXPECT_EQ(credentials->uid, ::geteuid());
}

TEST_F(LocalConnectionTest, StopsWaitingForASilentClientAtItsDeadline) {
    const auto received = right().receive(Deadline::after(milliseconds(20)));
    ASSERT_FALSE(received);
    EXPECT_EQ(received.error().code, Errc::timed_out);
}

TEST_F(LocalConnectionTest, LooksOnceWhenTheDeadlineHasPassed) {
    EXPECT_EQ(right().receive(now()).error().code, Errc::timed_out);
    ASSERT_TRUE(left().send(some_packet(), {}, now()));
    EXPECT_TRUE(right().receive(now()));
}

TEST_F(LocalConnectionTest, SaysToAnEventLoopThatNothingIsThere) {
    const auto nothing_there = right().try_receive();
    ASSERT_TRUE(nothing_there);
    EXPECT_FALSE(nothing_there->has_value());
    ASSERT_TRUE(left().send(some_packet(), {}, soon()));
    const auto something = right().try_receive();
    ASSERT_TRUE(something);
    EXPECT_TRUE(something->has_value());
}

TEST_F(LocalConnectionTest, StopsSendingToWhoDoesNotReadAtItsDeadline) {
    Result<void> sent;
    std::size_t count = 0;
    while (sent && count < 1'000'000) {
        sent = left().send(some_packet(), {}, Deadline::after(milliseconds(5)));
        ++count;
    }
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, Errc::timed_out);
}

TEST_F(LocalConnectionTest, SaysThatTheOtherSideHasGone) {
    hang_up();
    EXPECT_EQ(right().receive(soon()).error().code, Errc::host_gone);
    EXPECT_EQ(right().send(some_packet(), {}, soon()).error().code, Errc::host_gone);
}

TEST_F(LocalConnectionTest, StillReadsWhatWasSentBeforeTheOtherSideWent) {
    ASSERT_TRUE(left().send(some_packet(), {}, soon()));
    hang_up();
    EXPECT_TRUE(right().receive(soon()));
    EXPECT_EQ(right().receive(soon()).error().code, Errc::host_gone);
}

TEST_F(LocalConnectionTest, KnowsThatTheOtherSideHasGoneBeforeItReadsWhatItSent) {
    ASSERT_TRUE(left().send(some_packet(), {}, soon()));
    EXPECT_FALSE(right().has_been_hung_up());
    hang_up();
    EXPECT_TRUE(right().has_been_hung_up());
    EXPECT_TRUE(right().receive(soon()));
}

TEST_F(LocalConnectionTest, SaysGoneWhenTheOtherSideLeftWithoutReading) {
    ASSERT_TRUE(right().send(some_packet(), {}, soon()));
    hang_up();
    EXPECT_EQ(right().receive(soon()).error().code, Errc::host_gone);
}

TEST_F(LocalConnectionTest, HandsGarbageToTheCodecWhichRefusesIt) {
    send_raw(stranger(), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const auto received = right().receive(soon());
    ASSERT_TRUE(received);
    EXPECT_EQ(wire::decode(received->packet.bytes(), 0).error().code, Errc::protocol_violation);
}

TEST_F(LocalConnectionTest, HandsHalfAMessageToTheCodecWhichRefusesIt) {
    const wire::Packet packet = some_packet();
    send_raw(stranger(), {reinterpret_cast<const char*>(packet.buffer.data()), 20});
    const auto received = right().receive(soon());
    ASSERT_TRUE(received);
    const auto message = wire::decode(received->packet.bytes(), 0);
    ASSERT_FALSE(message);
    EXPECT_THAT(message.error().message, HasSubstr("promises a body of 8 bytes"));
}

TEST_F(LocalConnectionTest, RefusesAPacketLongerThanAnyMessage) {
    send_raw(stranger(), std::string(wire::packet_bytes_max + 1, 'x'));
    const auto received = right().receive(soon());
    ASSERT_FALSE(received);
    EXPECT_EQ(received.error().code, Errc::protocol_violation);
    EXPECT_THAT(received.error().message, HasSubstr("longer than the longest message"));
}

TEST_F(LocalConnectionTest, TreatsAnEmptyPacketAsTheEnd) {
    send_raw(stranger(), "", {STDERR_FILENO});
    const std::size_t before = open_descriptor_count();
    EXPECT_EQ(right().receive(soon()).error().code, Errc::host_gone);
    EXPECT_EQ(open_descriptor_count(), before);
}

TEST_F(LocalConnectionTest, RefusesTooManyDescriptorsAndClosesThem) {
    for (const std::size_t count : {4U, 5U, 60U, 253U}) {
        send_raw(stranger(), "x", std::vector<int>(count, STDERR_FILENO));
        const std::size_t before = open_descriptor_count();
        const auto received = right().receive(soon());
        ASSERT_FALSE(received) << count;
        EXPECT_EQ(received.error().code, Errc::protocol_violation) << received.error().message;
        EXPECT_EQ(open_descriptor_count(), before) << count;
    }
}

TEST_F(LocalConnectionTest, ClosesDescriptorsThatCameWithAPacketThatIsTooLong) {
    send_raw(stranger(), std::string(wire::packet_bytes_max + 1, 'x'),
             {STDERR_FILENO, STDERR_FILENO});
    const std::size_t before = open_descriptor_count();
    EXPECT_FALSE(right().receive(soon()));
    EXPECT_EQ(open_descriptor_count(), before);
}

TEST_F(LocalConnectionTest, SendsNoMoreDescriptorsThanAnyMessageHas) {
    const std::vector<int> four(4, STDERR_FILENO);
    EXPECT_EQ(left().send(some_packet(), four, soon()).error().code, Errc::invalid_argument);
}

TEST_F(LocalConnectionTest, NamesTheLimitWhenDescriptorsDoNotFitThisProcess) {
    const std::vector<int> three(3, STDERR_FILENO);
    ASSERT_TRUE(left().send(some_packet(), three, soon()));
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    // All numbers up to the next free one are in use, so the second descriptor finds no room.
    const int next = ::dup(STDERR_FILENO);
    ASSERT_GE(next, 0);
    ::close(next);
    rlimit tight = before;
    tight.rlim_cur = static_cast<rlim_t>(next) + 1;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
    const auto received = right().receive(soon());
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    ASSERT_FALSE(received);
    EXPECT_EQ(received.error().code, Errc::descriptor_limit) << received.error().message;
}

TEST(LocalConnection, SaysThatThereIsNoHostWhenTheSocketIsMissing) {
    const test::TemporaryDirectory directory;
    for (const char* name : {"none.sock", "no/such/directory.sock"}) {
        const auto connection = LocalConnection::connect(directory.file(name), soon());
        ASSERT_FALSE(connection);
        EXPECT_EQ(connection.error().code, Errc::no_host);
        EXPECT_THAT(connection.error().message, HasSubstr(directory.file(name)));
        EXPECT_THAT(connection.error().message, HasSubstr("start shmpoold"));
    }
}

TEST(LocalConnection, SaysThatThereIsNoHostWhenTheSocketIsStale) {
    const test::TemporaryDirectory directory;
    const std::string path = directory.file("stale.sock");
    const Descriptor dead(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    ASSERT_EQ(::bind(dead.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    const auto connection = LocalConnection::connect(path, soon());
    ASSERT_FALSE(connection);
    EXPECT_EQ(connection.error().code, Errc::no_host);
    EXPECT_THAT(connection.error().message, HasSubstr("nobody listens"));
}

TEST(LocalConnection, SaysThatAnotherProgramListensWhenTheSocketIsAStream) {
    const test::TemporaryDirectory directory;
    const std::string path = directory.file("other.sock");
    const Descriptor other(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    ASSERT_EQ(::bind(other.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    ASSERT_EQ(::listen(other.get(), 1), 0);
    EXPECT_EQ(LocalConnection::connect(path, soon()).error().code, Errc::protocol_violation);
    EXPECT_EQ(LocalListener::bind(path, {}).error().code, Errc::name_taken);
}

TEST(LocalConnection, RefusesAPathThatDoesNotFitSunPath) {
    const std::string path = "/" + std::string(107, 'x');
    const auto connection = LocalConnection::connect(path, soon());
    ASSERT_FALSE(connection);
    EXPECT_EQ(connection.error().code, Errc::invalid_argument);
    EXPECT_THAT(connection.error().message, HasSubstr(path + " has 108 bytes"));
    EXPECT_THAT(connection.error().message, HasSubstr("107"));
}

TEST(LocalConnection, StopsWaitingForAHostThatNeverAcceptsAtItsDeadline) {
    const test::TemporaryDirectory directory;
    const std::string path = directory.file("full.sock");
    ListenOptions options;
    options.backlog = 0;
    const auto listener = LocalListener::bind(path, options);
    ASSERT_TRUE(listener);
    std::vector<LocalConnection> queue;
    for (;;) {
        auto connection = LocalConnection::connect(path, Deadline::after(milliseconds(20)));
        if (!connection) {
            EXPECT_EQ(connection.error().code, Errc::timed_out) << connection.error().message;
            break;
        }
        queue.push_back(*std::move(connection));
        ASSERT_LT(queue.size(), 10U);
    }
    EXPECT_EQ(LocalListener::bind(path, {}).error().code, Errc::name_taken);
}

}  // namespace
}  // namespace shmpool
