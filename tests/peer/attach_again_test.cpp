// SPDX-License-Identifier: Apache-2.0
/// Goal: who is welcomed by a host that dies before the place is in use asks the next host, a few
/// times and not for ever. Method: a relay plays the hosts; the first few of them die behind their
/// Welcome, and the next one has given the place away.
#include <gtest/gtest.h>

#include "peer/peer.hpp"
#include "tests/host/plain_peer.hpp"
#include "tests/peer/relay.hpp"
#include "tests/peer/running_host.hpp"
#include "tests/shmpool/platform/temporary_directory.hpp"

namespace shmpool {
namespace {

/// How a place is given away.
enum class Loss { to_another, to_nobody };

class AttachAgain : public testing::Test {
protected:
    void attach_with(int losses, Loss how = Loss::to_another) {
        const std::string path = directory_.file("relay.sock");
        const Relay relay(path, host_.socket(), [&](const Scene& scene) {
            auto* const welcome = std::get_if<wire::Welcome>(&scene.answer);
            if (welcome == nullptr || welcomes_++ >= losses) return Fate::lives;
            if (how == Loss::to_another) {
                welcome->peer_index = resident_.index();
                ++welcome->peer_incarnation;
            }
            if (how == Loss::to_nobody) {
                (void)test::expect<wire::Farewell>(test::ask(scene.host, wire::Goodbye{}));
            }
            return Fate::dies_after_its_answer;
        });
        PeerOptions options;
        options.socket_path = path;
        auto peer = Peer::attach(host_.pool(), options);
        error_ = peer ? Error{} : peer.error();
        is_of_use_ = peer && peer->allocate(100).has_value();
    }

    const test::TemporaryDirectory directory_;
    const RunningHost host_;
    const Peer resident_ = Peer::attach(host_.pool()).value();
    std::atomic<int> welcomes_{0};
    bool is_of_use_ = false;
    Error error_;
};

TEST_F(AttachAgain, WhenTheNextHostHasGivenThePlaceToAnother) {
    attach_with(1);
    EXPECT_TRUE(is_of_use_) << error_.message;
    EXPECT_EQ(welcomes_, 2);
}

TEST_F(AttachAgain, WhenTheNextHostHasNobodyInThatPlace) {
    attach_with(1, Loss::to_nobody);
    EXPECT_TRUE(is_of_use_) << error_.message;
    EXPECT_EQ(welcomes_, 2);
}

TEST_F(AttachAgain, AlsoWhenTheSecondHostDiesToo) {
    attach_with(2);
    EXPECT_TRUE(is_of_use_) << error_.message;
    EXPECT_EQ(welcomes_, 3);
}

TEST_F(AttachAgain, ButNotForEver) {
    attach_with(10);
    EXPECT_FALSE(is_of_use_);
    EXPECT_EQ(error_.code, Errc::segment_replaced);
    EXPECT_NE(error_.message.find("attach again"), std::string::npos);
    EXPECT_EQ(welcomes_, 3);
}

}  // namespace
}  // namespace shmpool
