// SPDX-License-Identifier: Apache-2.0
/// Goal: who is welcomed by a host that dies before the place is in use asks the next host, a few
/// times and not for ever. Method: a relay on a socket of its own plays the hosts. It passes each
/// Hello on to a real one, and the Welcome back, to the first few callers as if their host had died
/// meanwhile and the next one had given their place away.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "peer/peer.hpp"
#include "protocol/wire/codec.hpp"
#include "protocol/wire/local_socket.hpp"
#include "tests/host/plain_peer.hpp"
#include "tests/peer/running_host.hpp"
#include "tests/shmpool/platform/temporary_directory.hpp"

namespace shmpool {
namespace {

/// How a place is given away.
enum class Loss { to_another, to_nobody };

class Relay {
public:
    Relay(const std::string& path, const RunningHost& host, int losses, Loss how)
        : listener_(LocalListener::bind(path, {}).value()),
          host_(host),
          losses_(losses),
          how_(how),
          thread_([this] { run(); }) {}
    Relay(const Relay&) = delete;
    Relay& operator=(const Relay&) = delete;
    ~Relay() {
        stopping_ = true;
        const auto last_caller = LocalConnection::connect(listener_.path(), Deadline::never());
        thread_.join();
    }

    [[nodiscard]] int answered() const { return answered_; }

private:
    void run() {
        for (;;) {
            auto caller = listener_.accept(Deadline::never());
            if (stopping_) return;
            if (caller) answer(std::move(*caller));
        }
    }

    void answer(LocalConnection caller) {
        auto host = test::connect_to(host_.socket());
        const auto hello = caller.receive(Deadline::never());
        ASSERT_TRUE(hello && host.send(hello->packet, {}, Deadline::never()));
        const auto welcome = host.receive(Deadline::never());
        ASSERT_TRUE(welcome);
        auto message = wire::decode(welcome->packet.bytes(), welcome->descriptors.size()).value();
        auto& numbers = std::get<wire::Welcome>(message.body);
        const bool lose = answered_++ < losses_;
        if (lose && how_ == Loss::to_another) ++numbers.peer_incarnation;
        if (lose && how_ == Loss::to_nobody) leave(std::move(host), numbers.peer_index);
        std::vector<int> passed_on;
        for (const Descriptor& one : welcome->descriptors) passed_on.push_back(one.get());
        ASSERT_TRUE(caller.send(wire::encode(message.body, message.request_id), passed_on,
                                Deadline::never()));
        if (lose) return;
        kept_.push_back(std::move(caller));
        kept_.push_back(std::move(host));
    }

    /// The host takes back at once what nobody has used.
    void leave(LocalConnection connection, std::uint32_t peer_index) const {
        { const LocalConnection closed = std::move(connection); }
        const test::PlainObserver observer(host_.socket());
        EXPECT_TRUE(
            eventually([&] { return observer.peer_state(peer_index) == PeerState::empty; }));
    }

    LocalListener listener_;
    const RunningHost& host_;
    const int losses_;
    const Loss how_;
    std::atomic<int> answered_{0};
    std::atomic<bool> stopping_{false};
    std::vector<LocalConnection> kept_;
    std::thread thread_;  // Last: it uses all of the above.
};

class AttachAgain : public testing::Test {
protected:
    Result<Peer> attach_with(int losses, Loss how = Loss::to_another) {
        const std::string path = directory_.file("relay.sock");
        const Relay relay(path, host_, losses, how);
        PeerOptions options;
        options.socket_path = path;
        auto peer = Peer::attach(host_.pool(), options);
        answered_ = relay.answered();
        return peer;
    }

    const test::TemporaryDirectory directory_;
    const RunningHost host_;
    int answered_ = 0;
};

TEST_F(AttachAgain, WhenTheNextHostHasGivenThePlaceToAnother) {
    auto peer = attach_with(1);
    ASSERT_TRUE(peer) << peer.error().message;
    EXPECT_EQ(answered_, 2);
    EXPECT_TRUE(peer->allocate(100));
}

TEST_F(AttachAgain, WhenTheNextHostHasNobodyInThatPlace) {
    auto peer = attach_with(1, Loss::to_nobody);
    ASSERT_TRUE(peer) << peer.error().message;
    EXPECT_EQ(answered_, 2);
    EXPECT_TRUE(peer->allocate(100));
}

TEST_F(AttachAgain, AlsoWhenTheSecondHostDiesToo) {
    EXPECT_TRUE(attach_with(2));
    EXPECT_EQ(answered_, 3);
}

TEST_F(AttachAgain, ButNotForEver) {
    const auto peer = attach_with(10);
    ASSERT_FALSE(peer);
    EXPECT_EQ(peer.error().code, Errc::segment_replaced);
    EXPECT_NE(peer.error().message.find("attach again"), std::string::npos);
    EXPECT_EQ(answered_, 3);
}

}  // namespace
}  // namespace shmpool
