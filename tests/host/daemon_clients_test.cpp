// SPDX-License-Identifier: Apache-2.0
/// What strangers, fools and enemies send to a real shmpoold, and that it goes on serving an honest
/// peer all the while.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <thread>

#include "shmpool/layout/abi_constants.hpp"
#include "tests/host/daemon.hpp"
#include "tests/host/plain_peer.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define SHMPOOL_UNDER_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SHMPOOL_UNDER_ADDRESS_SANITIZER 1
#endif
#endif

namespace shmpool::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class DaemonClients : public testing::Test {
protected:
    void SetUp() override { ASSERT_TRUE(daemon.becomes_ready()) << daemon.log(); }

    void expect_honest_service() {
        PlainPeer peer(daemon.socket());
        peer.hold_slots(1, 64);
        EXPECT_NO_THROW((void)expect<wire::Farewell>(ask(peer.connection, wire::Goodbye{})));
    }

    wire::Refused refusal_of(const wire::Body& request) {
        LocalConnection connection = connect_to(daemon.socket());
        return expect<wire::Refused>(ask(connection, request));
    }

    TemporaryDirectory directory;
    Daemon daemon{directory};
};

void send_raw(const LocalConnection& connection, const void* bytes, std::size_t length,
              std::size_t descriptor_count = 0) {
    iovec piece{const_cast<void*>(bytes), length};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(64 * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    if (descriptor_count != 0) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(descriptor_count * sizeof(int));
        cmsghdr* part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(descriptor_count * sizeof(int));
        const std::vector<int> numbers(descriptor_count, STDERR_FILENO);
        std::memcpy(CMSG_DATA(part), numbers.data(), descriptor_count * sizeof(int));
    }
    EXPECT_EQ(::sendmsg(connection.socket().get(), &message, MSG_NOSIGNAL),
              static_cast<ssize_t>(length));
}

wire::OpenPublisher publisher_request(const char* channel) {
    wire::OpenPublisher request{};
    request.channel = *wire::Text<name_bytes>::of(channel);
    return request;
}

wire::OpenSubscriber subscriber_request(const char* channel) {
    wire::OpenSubscriber request{};
    request.channel = *wire::Text<name_bytes>::of(channel);
    request.depth = 4;
    return request;
}

TEST_F(DaemonClients, ClosesTheConnectionThatSendsGarbageAndLogsItsPid) {
    LocalConnection connection = connect_to(daemon.socket());
    const std::string garbage(200, '\x5A');
    send_raw(connection, garbage.data(), garbage.size());
    EXPECT_TRUE(is_closed_by_host(connection));
    EXPECT_TRUE(daemon.logs("the connection of pid " + std::to_string(::getpid())));
    EXPECT_TRUE(daemon.logs("is closed: "));
    expect_honest_service();
}

TEST_F(DaemonClients, DoesNotWriteALineForEachOfManyBadConnections) {
    const std::string garbage(200, '\x5A');
    int connections = 0;
    while (daemon.log().find(" lines like this were left out") == std::string::npos) {
        ASSERT_LT(++connections, 1'000'000);
        LocalConnection connection = connect_to(daemon.socket());
        send_raw(connection, garbage.data(), garbage.size());
        EXPECT_TRUE(is_closed_by_host(connection));
    }
    expect_honest_service();
}

TEST_F(DaemonClients, ClosesTheConnectionThatSendsHalfAMessage) {
    LocalConnection connection = connect_to(daemon.socket());
    const wire::Packet whole = wire::encode(honest_hello(), 1);
    send_raw(connection, whole.bytes().data(), whole.bytes().size() / 2);
    EXPECT_TRUE(is_closed_by_host(connection));
    expect_honest_service();
}

TEST_F(DaemonClients, ClosesTheConnectionThatSendsTooManyDescriptors) {
    for (const std::size_t count : {1U, 3U, 4U, 64U}) {
        LocalConnection connection = connect_to(daemon.socket());
        const wire::Packet whole = wire::encode(honest_hello(), 1);
        send_raw(connection, whole.bytes().data(), whole.bytes().size(), count);
        EXPECT_TRUE(is_closed_by_host(connection)) << count;
    }
    expect_honest_service();
}

TEST_F(DaemonClients, ClosesTheConnectionThatSendsWhatOnlyAHostSays) {
    LocalConnection connection = connect_to(daemon.socket());
    const wire::Packet packet = wire::encode(wire::Farewell{}, 1);
    send_raw(connection, packet.bytes().data(), packet.bytes().size());
    EXPECT_TRUE(is_closed_by_host(connection));
    expect_honest_service();
}

TEST_F(DaemonClients, DropsAClientThatConnectsAndSaysNothing) {
    LocalConnection silent = connect_to(daemon.socket());
    expect_honest_service();
    EXPECT_TRUE(is_closed_by_host(silent));
}

TEST_F(DaemonClients, ServesAnHonestHelloAmongAThousandSilentConnections) {
    std::vector<LocalConnection> silent;
    for (int i = 0; i < 1000; ++i) silent.push_back(connect_to(daemon.socket()));
    expect_honest_service();
    EXPECT_TRUE(daemon.logs("have not said hello"));
    for (LocalConnection& one : silent) EXPECT_TRUE(is_closed_by_host(one));
    expect_honest_service();
}

TEST_F(DaemonClients, DoesNotTakeAFewWhoLeaveAtOnceForAFlood) {
    for (int i = 0; i < 5; ++i) expect_honest_service();
    EXPECT_THAT(daemon.log(), testing::Not(HasSubstr("flood")));
}

/// An attachment is the dearest that anybody can ask for.
TEST_F(DaemonClients, AttachesNobodyWhoHasLeftBeforeItsHelloIsRead) {
    const wire::Packet hello = wire::encode(honest_hello(), 1);
    daemon.signal(SIGSTOP);
    for (int i = 0; i < 10; ++i) {
        LocalConnection caller = connect_to(daemon.socket());
        ASSERT_TRUE(caller.send(hello, {}, Deadline::after(std::chrono::seconds(5))));
    }
    daemon.signal(SIGCONT);
    expect_honest_service();
    ASSERT_TRUE(daemon.logs(" attached"));
    const std::string log = daemon.log();
    EXPECT_EQ(log.find(" attached"), log.rfind(" attached")) << log;
}

/// Strangers who come and go as fast as they are let in.
class DaemonBesideAFlood : public DaemonClients {
protected:
    void SetUp() override {
        DaemonClients::SetUp();
        for (std::thread& one : strangers) one = std::thread([this] { talk_nonsense(); });
        EXPECT_TRUE(daemon.logs("a flood of connections"));
    }
    void TearDown() override {
        is_over = true;
        for (std::thread& one : strangers) one.join();
        expect_honest_service();
    }

private:
    void talk_nonsense() {
        while (!is_over) {
            const LocalConnection stranger = connect_to(daemon.socket());
            (void)::send(stranger.socket().get(), "nonsense", 8, MSG_NOSIGNAL);
        }
    }
    std::atomic<bool> is_over{false};
    std::array<std::thread, 2> strangers;
};

TEST_F(DaemonBesideAFlood, ServesAnHonestHelloAmongThoseWhoWaitOutside) {
    expect_honest_service();
}

/// Most of the time the door is shut, and its server is replaced.
TEST_F(DaemonBesideAFlood, OpensTheDoorOfTheNextPool) {
    for (int i = 0; i < 10; ++i) {
        PlainObserver observer(daemon.socket());
        (void)expect<wire::Rebuilt>(ask(observer.connection, wire::Rebuild{}));
    }
}

TEST_F(DaemonClients, IsNotKeptByAClientThatAsksAndNeverReads) {
    PlainPeer slow(daemon.socket());
    const wire::Packet packet = wire::encode(wire::ClosePublisher{0}, 1);
    const auto later = Deadline::after(std::chrono::seconds(30));
    bool dropped = false;
    for (int i = 0; i < 1'000'000 && !dropped; ++i) {
        dropped = !slow.connection.send(packet, {}, later).has_value();
    }
    EXPECT_TRUE(dropped);
    EXPECT_TRUE(daemon.logs("does not take its messages"));
    expect_honest_service();
    // Its connection was closed by the host, which says nothing about the process.
    const PlainObserver observer(daemon.socket());
    EXPECT_TRUE(eventually(
        [&] { return observer.peer_state(slow.welcome.peer_index) == PeerState::suspect; }));
}

TEST_F(DaemonClients, RefusesAPeerOfAnotherLayoutVersionWithBothNumbers) {
    wire::Hello hello = honest_hello();
    hello.layout_version = 77;
    const wire::Refused refused = refusal_of(hello);
    EXPECT_EQ(refused.code, static_cast<std::uint32_t>(Errc::wrong_layout_version));
    EXPECT_EQ(refused.wanted, layout_version);
    EXPECT_EQ(refused.offered, 77U);
    EXPECT_THAT(
        std::string(refused.text.view()),
        AllOf(HasSubstr("layout version " + std::to_string(layout_version)), HasSubstr("with 77")));
}

TEST_F(DaemonClients, RefusesAPeerOfAnotherFingerprintWithBothNumbers) {
    wire::Hello hello = honest_hello();
    hello.layout_fingerprint ^= 1;
    const wire::Refused refused = refusal_of(hello);
    EXPECT_EQ(refused.code, static_cast<std::uint32_t>(Errc::wrong_fingerprint));
    EXPECT_EQ(refused.wanted, protocol_fingerprint);
    EXPECT_EQ(refused.offered, protocol_fingerprint ^ 1);
    EXPECT_THAT(std::string(refused.text.view()),
                AllOf(HasSubstr(std::to_string(protocol_fingerprint)),
                      HasSubstr(std::to_string(protocol_fingerprint ^ 1))));
}

TEST_F(DaemonClients, RefusesAnotherPoolsName) {
    EXPECT_THAT(std::string(refusal_of(honest_hello("other")).text.view()),
                AllOf(HasSubstr("'test'"), HasSubstr("'other'")));
}

TEST_F(DaemonClients, RefusesRequestsBeforeHello) {
    const std::vector<wire::Body> requests{publisher_request("c"),  subscriber_request("c"),
                                           wire::ClosePublisher{0}, wire::CloseSubscriber{0},
                                           wire::Kick{0, 1},        wire::Goodbye{}};
    for (const wire::Body& request : requests) {
        EXPECT_EQ(refusal_of(request).code, static_cast<std::uint32_t>(Errc::protocol_violation));
    }
    expect_honest_service();
}

TEST_F(DaemonClients, RefusesASecondHello) {
    PlainPeer peer(daemon.socket());
    EXPECT_EQ(expect<wire::Refused>(ask(peer.connection, honest_hello())).code,
              static_cast<std::uint32_t>(Errc::protocol_violation));
}

TEST_F(DaemonClients, RefusesToCloseWhatBelongsToAnotherPeer) {
    PlainPeer owner(daemon.socket());
    PlainPeer other(daemon.socket());
    const auto publisher =
        expect<wire::PublisherOpened>(ask(owner.connection, publisher_request("c")));
    const auto subscriber =
        expect<wire::SubscriberOpened>(ask(owner.connection, subscriber_request("c")));
    for (const wire::Body& request :
         {wire::Body(wire::ClosePublisher{publisher.publisher_index}),
          wire::Body(wire::CloseSubscriber{subscriber.subscriber_index}),
          wire::Body(wire::ClosePublisher{0xFFFF'FFFF}),
          wire::Body(wire::CloseSubscriber{0xFFFF'FFFF})}) {
        EXPECT_EQ(expect<wire::Refused>(ask(other.connection, request)).code,
                  static_cast<std::uint32_t>(Errc::protocol_violation));
    }
    EXPECT_NO_THROW((void)expect<wire::Closed>(
        ask(owner.connection, wire::ClosePublisher{publisher.publisher_index})));
    EXPECT_NO_THROW((void)expect<wire::Closed>(
        ask(owner.connection, wire::CloseSubscriber{subscriber.subscriber_index})));
    // Once is enough.
    EXPECT_EQ(expect<wire::Refused>(
                  ask(owner.connection, wire::ClosePublisher{publisher.publisher_index}))
                  .code,
              static_cast<std::uint32_t>(Errc::protocol_violation));
}

TEST_F(DaemonClients, RefusesAChannelNameWithStrangeCharacters) {
    PlainPeer peer(daemon.socket());
    EXPECT_EQ(expect<wire::Refused>(ask(peer.connection, publisher_request("a\nb"))).code,
              static_cast<std::uint32_t>(Errc::invalid_argument));
}

TEST_F(DaemonClients, GivesAnObserverNoWayToWrite) {
    const PlainObserver observer(daemon.socket());
    EXPECT_EQ(::fcntl(observer.control.get(), F_GETFL) & O_ACCMODE, O_RDONLY);
    const char byte = 1;
    EXPECT_EQ(::pwrite(observer.control.get(), &byte, 1, 0), -1);
    EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, observer.control.get(), 0),
              MAP_FAILED);
}

TEST_F(DaemonClients, RefusesAnObserverThatWantsToPublish) {
    PlainObserver observer(daemon.socket());
    EXPECT_EQ(expect<wire::Refused>(ask(observer.connection, publisher_request("c"))).code,
              static_cast<std::uint32_t>(Errc::protocol_violation));
}

TEST_F(DaemonClients, LetsOneUserLookByALimitedNumberOfConnections) {
    std::vector<LocalConnection> observers;
    const auto observe = [&] {
        observers.push_back(connect_to(daemon.socket()));
        return ask(observers.back(), observer_hello());
    };
    for (int i = 0; i < 64; ++i) (void)expect<wire::Welcome>(observe());
    EXPECT_EQ(expect<wire::Refused>(observe()).code, static_cast<std::uint32_t>(Errc::refused));
    expect_honest_service();
    observers.front() = connect_to(daemon.socket());
    EXPECT_TRUE(eventually([&] { return std::holds_alternative<wire::Welcome>(observe()); }));
}

TEST_F(DaemonClients, WritesAPeersNameInOneLineOfTheLog) {
    wire::Hello hello = honest_hello();
    hello.peer_name = *wire::Text<name_bytes>::of("a\nb");
    const PlainPeer peer(daemon.socket(), hello);
    EXPECT_TRUE(daemon.logs("'a\\x0ab'"));
}

TEST(DaemonLimits, NamesTheLimitWhenAllPlacesForPeersAreTaken) {
    const TemporaryDirectory directory;
    DaemonSetup setup;
    setup.config = "[limits]\npeers = 2\n";
    const Daemon daemon(directory, setup);
    ASSERT_TRUE(daemon.becomes_ready()) << daemon.log();
    PlainPeer first(daemon.socket());
    const PlainPeer second(daemon.socket());
    LocalConnection third = connect_to(daemon.socket());
    const auto refused = expect<wire::Refused>(ask(third, honest_hello()));
    EXPECT_EQ(refused.code, static_cast<std::uint32_t>(Errc::no_peer_slot));
    EXPECT_THAT(std::string(refused.text.view()), HasSubstr("limits.peers"));

    // A place is given away again, with another incarnation.
    (void)expect<wire::Farewell>(ask(first.connection, wire::Goodbye{}));
    const PlainPeer next(daemon.socket());
    EXPECT_EQ(next.welcome.peer_index, first.welcome.peer_index);
    EXPECT_EQ(next.welcome.peer_incarnation, first.welcome.peer_incarnation + 1);
}

TEST(DaemonLimits, SurvivesTheEndOfItsDescriptors) {
#if defined(SHMPOOL_UNDER_ADDRESS_SANITIZER)
    GTEST_SKIP() << "the sanitizer itself needs a descriptor when it looks at an object's type";
#endif
    const TemporaryDirectory directory;
    DaemonSetup setup;
    setup.descriptor_limit = 40;
    const Daemon daemon(directory, setup);
    ASSERT_TRUE(daemon.becomes_ready()) << daemon.log();
    {
        std::vector<LocalConnection> silent;
        for (int i = 0; i < 60; ++i) silent.push_back(connect_to(daemon.socket()));
        EXPECT_TRUE(daemon.logs("no descriptor left"));
    }
    EXPECT_TRUE(eventually([&] {
        try {
            const PlainPeer peer(daemon.socket());
            return true;
        } catch (const std::runtime_error&) {
            return false;  // Turned away: its own connections are still being noticed as closed.
        }
    }));
}

}  // namespace
}  // namespace shmpool::test
