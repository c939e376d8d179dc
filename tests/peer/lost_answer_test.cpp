// SPDX-License-Identifier: Apache-2.0
/// Goal: a host that dies before it can answer, or whose successor is about to stop, costs a peer
/// nothing but time: what was asked is asked again, and what the dead one had opened is closed.
/// Method: a relay plays the hosts, and loses or changes one answer.
#include <gtest/gtest.h>

#include "peer/peer.hpp"
#include "tests/peer/relay.hpp"
#include "tests/peer/running_host.hpp"
#include "tests/shmpool/platform/temporary_directory.hpp"

namespace shmpool {
namespace {

class LostAnswer : public testing::Test {
protected:
    [[nodiscard]] Peer attach(const std::string& socket) const {
        PeerOptions options;
        options.socket_path = socket;
        return Peer::attach(host_.pool(), options).value();
    }
    template <typename Request>
    static bool asks(const Scene& scene) {
        return std::holds_alternative<Request>(scene.asked);
    }

    const test::TemporaryDirectory directory_;
    const std::string path_ = directory_.file("relay.sock");
    const RunningHost host_;
    Peer writing_ = attach(host_.socket());
    Publisher publisher_ = writing_.publisher("words").value();
};

TEST_F(LostAnswer, IsAskedForAgainAndWhatTheDeadHostHadOpenedIsClosed) {
    std::atomic<int> opened{0};
    const Relay relay(path_, host_.socket(), [&](const Scene& scene) {
        if (!asks<wire::OpenSubscriber>(scene)) return Fate::lives;
        return opened++ == 0 ? Fate::dies_before_its_answer : Fate::lives;
    });
    Peer reading = attach(path_);
    const auto subscriber = reading.subscriber("words");
    ASSERT_TRUE(subscriber) << subscriber.error().message;
    EXPECT_EQ(opened, 2);
    EXPECT_TRUE(eventually([&] { return publisher_.reader_count() == 1; }));
}

TEST_F(LostAnswer, OfAHostThatStopsIsNotTheLastWordAboutThePlace) {
    std::atomic<int> rejoined{0};
    std::atomic<int> opened{0};
    const Relay relay(path_, host_.socket(), [&](const Scene& scene) {
        if (asks<wire::OpenSubscriber>(scene) && opened++ == 0) {
            return Fate::dies_before_its_answer;
        }
        if (!asks<wire::Rejoin>(scene) || rejoined++ != 0) return Fate::lives;
        scene.answer = wire::refusal_of(Error{Errc::host_stopped, "it is stopping"});
        return Fate::dies_after_its_answer;
    });
    Peer reading = attach(path_);
    const auto subscriber = reading.subscriber("words");
    EXPECT_TRUE(subscriber) << subscriber.error().message;
    EXPECT_EQ(rejoined, 2);
}

TEST_F(LostAnswer, ThatRefusesThePlaceIsTheLastWord) {
    std::atomic<int> rejoined{0};
    const Relay relay(path_, host_.socket(), [&](const Scene& scene) {
        if (asks<wire::OpenSubscriber>(scene)) return Fate::dies_before_its_answer;
        if (!asks<wire::Rejoin>(scene)) return Fate::lives;
        ++rejoined;
        scene.answer = wire::refusal_of(Error{Errc::segment_replaced, "attach again"});
        return Fate::dies_after_its_answer;
    });
    Peer reading = attach(path_);
    EXPECT_EQ(reading.subscriber("words").error().code, Errc::segment_replaced);
    EXPECT_EQ(reading.subscriber("words").error().code, Errc::segment_replaced);
    EXPECT_EQ(rejoined, 1);
}

}  // namespace
}  // namespace shmpool
