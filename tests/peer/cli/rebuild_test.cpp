// SPDX-License-Identifier: Apache-2.0
/// A damaged pool says so to its peers, whoever damaged it and whether or not they sleep; `doctor`
/// names the only writer of a word where there is one; and `rebuild` brings the pool back, with
/// everybody attaching again. A peer without the client library writes the nonsense.
#include <signal.h>

#include <cstring>
#include <thread>

#include "peer/peer.hpp"
#include "tests/host/plain_peer.hpp"
#include "tests/peer/cli/host_fixture.hpp"

namespace shmpool::cli {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class DamagedPool : public WithHost {
protected:
    DamagedPool() : vandal_(host_.socket()) {}

    [[nodiscard]] static Peer attach() { return Peer::attach("test").value(); }
    static void expect_message_passes(Peer& peer) {
        auto subscriber = peer.subscriber("c");
        ASSERT_TRUE(subscriber) << subscriber.error().message;
        auto publisher = peer.publisher("c");
        ASSERT_TRUE(publisher) << publisher.error().message;
        auto loan = publisher->loan(5);
        ASSERT_TRUE(loan) << explain(loan.error());
        std::memcpy(loan->data(), "hello", 5);
        EXPECT_EQ(publisher->publish(std::move(*loan)), 1U);
        const auto sample = subscriber->take();
        ASSERT_TRUE(sample) << explain(sample.error());
        EXPECT_EQ(std::memcmp(sample->data(), "hello", 5), 0);
    }
    static void expect_writer(const std::string& text, std::uint32_t peer) {
        const json report = json::parse(run({"doctor", "--json"}).output);
        for (const json& finding : report["findings"]) {
            if (finding["text"].get<std::string>().find(text) == std::string::npos) continue;
            ASSERT_TRUE(finding.contains("writer")) << report.dump(2);
            EXPECT_EQ(finding["writer"]["peer"], peer);
            EXPECT_THAT(run({"doctor"}).output,
                        HasSubstr("; only peer " + std::to_string(peer) + " "));
            return;
        }
        ADD_FAILURE() << "not found: " << text << " in " << report.dump(2);
    }

    test::PlainPeer vandal_;
    Peer peer_ = attach();
};

TEST_F(DamagedPool, IsMadeAnewWithEverybodyAttachingAgain) {
    auto publisher = peer_.publisher("c").value();
    auto subscriber = peer_.subscriber("c").value();
    auto held = publisher.loan(100).value();
    const Finished rebuilt = run({"rebuild"});
    EXPECT_EQ(rebuilt.exit_code, 0) << rebuilt.errors;
    EXPECT_EQ(rebuilt.output, "pool 'test' was made anew; 2 peers must attach again\n");

    EXPECT_TRUE(eventually([&] { return peer_.host_state() == HostState::replaced; }));
    EXPECT_EQ(publisher.loan(1).error(), Errc::segment_replaced);
    EXPECT_EQ(publisher.publish(std::move(held)).error(), Errc::segment_replaced);
    EXPECT_EQ(subscriber.take().error(), Errc::segment_replaced);
    EXPECT_EQ(subscriber.take(forever).error(), Errc::segment_replaced);
    EXPECT_EQ(peer_.allocate(1).error(), Errc::segment_replaced);
    EXPECT_EQ(peer_.subscriber("c").error().code, Errc::segment_replaced);

    Peer again = attach();
    expect_message_passes(again);
    EXPECT_EQ(run({"doctor"}).exit_code, 0);
    EXPECT_EQ(status()["peers"].size(), 1U);
    EXPECT_EQ(json::parse(run({"rebuild", "--json"}).output),
              (json{{"pool", "test"}, {"peers_dismissed", 1}}));
}

TEST_F(DamagedPool, IsMadeAnewAlsoIfNobodyCouldOpenIt) {
    std::memset(static_cast<void*>(vandal_.view.header), 0x5A, sizeof(SegmentHeader));
    const Finished examined = run({"doctor"});
    EXPECT_EQ(examined.exit_code, 1);
    EXPECT_THAT(examined.errors, AllOf(HasSubstr("can not be opened"), HasSubstr("rebuild")));
    EXPECT_EQ(run({"rebuild"}).exit_code, 0);
    Peer again = attach();
    expect_message_passes(again);
}

TEST_F(DamagedPool, MadeAnewOutlivesItsHostLikeAnyOther) {
    EXPECT_EQ(run({"rebuild"}).exit_code, 0);
    Peer again = attach();
    host_.signal(SIGKILL);
    host_.wait();
    host_.start();
    expect_message_passes(again);
}

TEST_F(DamagedPool, SaysSoToWhoWorksAndToWhoSleeps) {
    auto publisher = peer_.publisher("c").value();
    auto subscriber = peer_.subscriber("c").value();
    std::thread sleeper([&] { EXPECT_EQ(subscriber.take(forever).error(), Errc::pool_damaged); });
    vandal_.pool->view().mark_damaged();
    sleeper.join();  // The host wakes it.
    EXPECT_EQ(publisher.loan(1).error(), Errc::pool_damaged);
    EXPECT_EQ(peer_.allocate(1).error(), Errc::pool_damaged);
    const auto refused = peer_.publisher("d");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::pool_damaged);
    EXPECT_THAT(refused.error().message, HasSubstr("shmpool rebuild"));
    EXPECT_EQ(status()["damaged"], true);
    EXPECT_THAT(run({"status"}).output, HasSubstr("shmpool rebuild"));
}

TEST_F(DamagedPool, IsMarkedByTheHostWhenWhatWasWrittenOnceHasChanged) {
    vandal_.pool->view().classes[1].image->payload_offset += 64;
    EXPECT_TRUE(eventually([&] { return vandal_.pool->view().damaged(); }));
    vandal_.pool->view().header->damaged.store(0);  // Whoever takes the mark away:
    EXPECT_TRUE(eventually([&] { return vandal_.pool->view().damaged(); }));
    EXPECT_EQ(peer_.allocate(1).error(), Errc::pool_damaged);
}

TEST_F(DamagedPool, IsMarkedByTheHostWhenSomebodyElseWritesItsState) {
    auto publisher = peer_.publisher("c").value();
    vandal_.view.header->host_state.store(static_cast<std::uint32_t>(HostState::stopped));
    EXPECT_EQ(publisher.loan(1).error(), Errc::host_stopped);
    EXPECT_TRUE(eventually([&] { return peer_.host_state() == HostState::running; }));
    EXPECT_EQ(publisher.loan(1).error(), Errc::pool_damaged);
}

TEST_F(DamagedPool, AnIntentThatCannotBeIsItsLanesPeers) {
    vandal_.hold_slots(1, 64);
    for (std::uint32_t lane = 1; lane < vandal_.pool->view().lane_count; ++lane) {
        LaneCell& cell = vandal_.pool->view().lanes[lane];
        if (peer_of_owner(cell.owner.load()) != vandal_.welcome.peer_index) continue;
        cell.intent.store(pack_intent({IntentKind::pop, 63, 0, 0, 1}));
    }
    expect_writer("announces a change of a free list that cannot be", vandal_.welcome.peer_index);
}

TEST_F(DamagedPool, ATailThatCountsWhatWasNeverPutIsThePublishers) {
    const auto publisher = peer_.publisher("c");
    Peer reading = attach();
    const auto subscriber = reading.subscriber("c");
    vandal_.view.rings.at(0).tail.store(77);
    expect_writer("ring 0 counts 77 entries, but 0 were put", peer_.index());
}

TEST_F(DamagedPool, AHeadBeyondAllThatWasPutIsTheSubscribers) {
    const auto publisher = peer_.publisher("c");
    Peer reading = attach();
    const auto subscriber = reading.subscriber("c");
    vandal_.view.rings.at(0).head.store(make_head(9, false));
    expect_writer("ring 0: its reader is ahead of its publisher", reading.index());
}

TEST_F(DamagedPool, AnIntentOfAPublisherThatCannotBeIsItsPeers) {
    const auto publisher = peer_.publisher("c");
    vandal_.view.publishers.at(0).intent_kind.store(99);
    expect_writer("publisher 0 announces what cannot be", peer_.index());
}

TEST_F(DamagedPool, AFreeListLastChangedByAStepThatWasNotMadeIsNobodys) {
    vandal_.pool->view().classes[1].extents[0].head.high = make_change(3, 1 << 20);
    const Finished examined = run({"doctor"});
    EXPECT_EQ(examined.exit_code, 1);
    EXPECT_THAT(examined.output, AllOf(HasSubstr("free list of class 1 was last changed by lane 3"),
                                       testing::Not(HasSubstr("; only peer"))));
}

}  // namespace
}  // namespace shmpool::cli
