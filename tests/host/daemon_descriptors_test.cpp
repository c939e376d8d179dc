// SPDX-License-Identifier: Apache-2.0
/// Goal: nobody can make the host wait by a descriptor whose close(2) waits, wherever the host
/// closes it. Method: a real shmpoold gets the last references of such descriptors, and an honest
/// peer is served before one of them could have ended by itself, which takes ten minutes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <filesystem>
#include <optional>
#include <stdexcept>

#include "protocol/wire/presence_mark.hpp"
#include "tests/host/daemon.hpp"
#include "tests/host/other_user.hpp"
#include "tests/host/plain_peer.hpp"
#include "tests/host/waiting_descriptors.hpp"

namespace shmpool::test {
namespace {

constexpr std::size_t most_in_one_packet = 253;  // SCM_MAX_FD

/// Right in every field, and of nobody.
wire::Packet rejoin_packet() {
    wire::Rejoin request{};
    request.layout_version = honest_hello().layout_version;
    request.layout_fingerprint = honest_hello().layout_fingerprint;
    request.pool_name = honest_hello().pool_name;
    return wire::encode(request, 7);
}

std::vector<Descriptor> copies(const Descriptor& original, std::size_t count) {
    std::vector<Descriptor> all;
    for (std::size_t i = 0; i < count; ++i) all.push_back(*Descriptor::duplicate(original));
    return all;
}

void ask_honestly(const std::string& socket) {
    PlainPeer peer(socket);
    (void)expect<wire::Farewell>(ask(peer.connection, wire::Goodbye{}));
}

class WaitingDescriptors : public testing::Test {
protected:
    void SetUp() override { ASSERT_TRUE(daemon->becomes_ready()) << daemon->log(); }

    void expect_honest_service() { EXPECT_NO_THROW(ask_honestly(daemon->socket())); }

    /// While the host sleeps: all of it waits when it looks, and the last references are its own.
    template <typename Work>
    void in_its_sleep(Work&& work) {
        daemon->signal(SIGSTOP);
        work();
        daemon->signal(SIGCONT);
    }

    void send_last(const LocalConnection& connection, const wire::Packet& packet,
                   std::size_t count) {
        in_its_sleep([&] { send_with(connection, packet.bytes(), sockets.make(count)); });
    }

    /// One that waits for who brings the segment of the one before, which is killed.
    void call_next_host(std::optional<LocalConnection>& caller) {
        daemon->signal(SIGKILL);
        daemon->wait();
        setup.config = "[takeover]\npatience = \"30s\"\n";
        daemon = std::make_unique<Daemon>(directory, setup);
        ASSERT_TRUE(eventually([&] {
            auto connected = LocalConnection::connect(daemon->socket(), Deadline::passed());
            if (connected) caller.emplace(std::move(*connected));
            return connected.has_value();
        }));
    }

    const TemporaryDirectory directory;
    DaemonSetup setup;
    LingeringSockets sockets;
    std::unique_ptr<Daemon> daemon = std::make_unique<Daemon>(directory);
};

TEST_F(WaitingDescriptors, OfARequestHoldUpNobody) {
    LocalConnection connection = connect_to(daemon->socket());
    send_last(connection, rejoin_packet(), 3);
    EXPECT_TRUE(is_closed_by_host(connection));
    expect_honest_service();
}

TEST_F(WaitingDescriptors, OfARequestThatNeedsNoneHoldUpNobody) {
    LocalConnection connection = connect_to(daemon->socket());
    send_last(connection, wire::encode(honest_hello(), 7), 1);
    EXPECT_TRUE(is_closed_by_host(connection));
    expect_honest_service();
}

TEST_F(WaitingDescriptors, ThatAreTooManyHoldUpNobody) {
    LocalConnection connection = connect_to(daemon->socket());
    send_last(connection, rejoin_packet(), most_in_one_packet);
    EXPECT_TRUE(is_closed_by_host(connection));
    EXPECT_TRUE(daemon->logs("more than 3 descriptors"));
    expect_honest_service();
}

TEST_F(WaitingDescriptors, UnreadInASocketThatHangsUpHoldUpNobody) {
    in_its_sleep([&] {
        const LocalConnection connection = connect_to(daemon->socket());
        const std::array<std::byte, 200> nonsense{};
        send_with(connection, nonsense, sockets.make(1));
        for (int i = 0; i < 4; ++i) {
            send_with(connection, rejoin_packet().bytes(), sockets.make(3));
        }
    });
    expect_honest_service();
}

TEST_F(WaitingDescriptors, OfCallersDoNotKeepANextHostFromItsSegment) {
    PlainPeer peer(daemon->socket());
    const Descriptor mark = mark_presence(daemon->socket());
    std::optional<LocalConnection> caller;
    ASSERT_NO_FATAL_FAILURE(call_next_host(caller));
    send_last(*caller, rejoin_packet(), 3);
    EXPECT_TRUE(daemon->logs("can not be taken over"));
    LocalConnection another = connect_to(daemon->socket());
    send_last(another, rejoin_packet(), most_in_one_packet);
    EXPECT_NO_THROW(
        (void)expect<wire::Rejoined>(peer.rejoin(daemon->socket(), peer.rejoin_request())));
    expect_honest_service();
}

TEST_F(WaitingDescriptors, DoNotKeepAHostFromItsEnd) {
    const PlainPeer peer(daemon->socket());
    in_its_sleep([&] {
        const LocalConnection connection = connect_to(daemon->socket());
        send_with(connection, rejoin_packet().bytes(), sockets.make(3));
        send_with(peer.connection, rejoin_packet().bytes(), sockets.make(3));
        daemon->signal(SIGTERM);
        daemon->signal(SIGINT);
    });
    ASSERT_TRUE(eventually([&] { return !daemon->running(); }));
    EXPECT_EQ(daemon->wait(), 0);
}

TEST_F(WaitingDescriptors, OfAPoolThatIsMadeAnewHoldUpNobody) {
    const PlainPeer peer(daemon->socket());
    PlainObserver observer(daemon->socket());
    in_its_sleep([&] {
        ASSERT_TRUE(
            observer.connection.send(wire::encode(wire::Rebuild{}, 7), {}, Deadline::passed()));
        for (int i = 0; i < 4; ++i) {
            send_with(peer.connection, rejoin_packet().bytes(), sockets.make(3));
        }
    });
    (void)expect<wire::Rebuilt>(next_message(observer.connection));
    expect_honest_service();
}

/// Files whose server does not answer, beside an honest peer of another user.
class UnansweredFiles : public WaitingDescriptors {
protected:
    void SetUp() override {
        if (!UnansweredFile::can_be_made()) GTEST_SKIP() << "needs root and /dev/fuse";
        file.emplace();
        setup.config = "[access]\nsocket_mode = \"0666\"\n[access.attach]\nallow_users = [65534]\n";
        daemon.reset();
        daemon = std::make_unique<Daemon>(directory, setup);
        std::filesystem::permissions(directory.path(), std::filesystem::perms(0755));
        ASSERT_TRUE(daemon->becomes_ready()) << daemon->log();
    }

    std::vector<Descriptor> many(std::size_t count) { return copies(file->open(), count); }

    /// The last of them is ours until the host has it: we must not wait ourselves.
    void send_unanswered(const LocalConnection& connection, std::size_t count) {
        in_its_sleep([&] {
            send_with(connection, rejoin_packet().bytes(), many(count));
            file->be_silent();
        });
    }

    std::optional<UnansweredFile> file;
};

TEST_F(UnansweredFiles, OfARequestHoldUpNobody) {
    LocalConnection connection = connect_to(daemon->socket());
    send_unanswered(connection, 3);
    EXPECT_TRUE(is_closed_by_host(connection));
    EXPECT_TRUE(eventually([&] { return file->unanswered() == 1; }));
    expect_honest_service();
    EXPECT_EQ(file->unanswered(), 1U) << "one thread for each user";
    file->answer_all();
}

TEST_F(UnansweredFiles, OfACallerDoNotKeepANextHostFromItsSegment) {
    PlainPeer peer(daemon->socket());
    const Descriptor mark = mark_presence(daemon->socket());
    std::optional<LocalConnection> caller;
    ASSERT_NO_FATAL_FAILURE(call_next_host(caller));
    send_unanswered(*caller, 3);
    EXPECT_TRUE(daemon->logs("can not be taken over"));
    EXPECT_NO_THROW(
        (void)expect<wire::Rejoined>(peer.rejoin(daemon->socket(), peer.rejoin_request())));
    file->answer_all();
}

TEST_F(UnansweredFiles, ShutOutTheirUserAloneUntilTheyEnd) {
    PlainPeer before(daemon->socket());
    PlainPeer sender(daemon->socket());
    std::vector<LocalConnection> enemies;
    for (int i = 0; i < 5; ++i) enemies.push_back(connect_to(daemon->socket()));
    in_its_sleep([&] {
        for (LocalConnection& one : enemies) {
            send_with(one, rejoin_packet().bytes(), many(most_in_one_packet));
        }
        file->be_silent();
    });
    for (LocalConnection& one : enemies) EXPECT_TRUE(is_closed_by_host(one));
    EXPECT_THROW(ask_honestly(daemon->socket()), std::runtime_error);
    EXPECT_TRUE(daemon->logs("user 0 is refused: more than 1024 descriptors"));
    // Who is in already is served, unless it brings more.
    (void)expect<wire::Refused>(ask(before.connection, wire::ClosePublisher{7}));
    send_last(sender.connection, rejoin_packet(), 3);
    EXPECT_TRUE(is_closed_by_host(sender.connection));
    EXPECT_EQ(as_user({},
                      [&] {
                          ask_honestly(daemon->socket());
                          return std::string("served");
                      }),
              "served");
    file->answer_all();
    EXPECT_TRUE(eventually([&] {
        try {
            ask_honestly(daemon->socket());
            return true;
        } catch (const std::runtime_error&) {
            return false;
        }
    }));
}

}  // namespace
}  // namespace shmpool::test
