// SPDX-License-Identifier: Apache-2.0
/// `doctor` finds what cannot be in the tables of peers, endpoints, rings and lanes: one word at a
/// time is overwritten, by a peer without the client library. The rest is in doctor_test.cpp.
#include <cstring>

#include "peer/peer.hpp"
#include "protocol/ring.hpp"
#include "tests/host/plain_peer.hpp"
#include "tests/peer/cli/host_fixture.hpp"

namespace shmpool::cli {
namespace {

using testing::HasSubstr;

class DoctorOfTables : public WithHost {
protected:
    DoctorOfTables() { vandal_.hold_slots(1, 64); }

    static void send(Publisher& publisher) {
        auto loan = publisher.loan(8);
        ASSERT_TRUE(loan) << explain(loan.error());
        std::memset(loan->data(), 0, 8);
        ASSERT_EQ(publisher.publish(std::move(*loan)), 1U);
    }
    [[nodiscard]] const PoolView& pool() const { return vandal_.pool->view(); }
    [[nodiscard]] const ProtocolView& view() const { return vandal_.view; }
    [[nodiscard]] std::uint32_t lane_of_vandal() const {
        for (std::uint32_t lane = 1; lane < pool().lane_count; ++lane) {
            if (peer_of_owner(pool().lanes[lane].owner.load()) == vandal_.welcome.peer_index) {
                return lane;
            }
        }
        return 0;
    }
    static void expect_found(const std::string& invariant, const std::string& text) {
        const Finished found = run({"doctor"});
        EXPECT_EQ(found.exit_code, 1);
        EXPECT_THAT(found.output, HasSubstr(invariant + ": "));
        EXPECT_THAT(found.output, HasSubstr(text));
    }

    test::PlainPeer vandal_{host_.socket()};
    Peer writing_ = Peer::attach("test").value();
    Peer reading_ = Peer::attach("test").value();
    Subscriber subscriber_ = reading_.subscriber("c", {.depth = 4}).value();
    Publisher publisher_ = writing_.publisher("c", {.policy = ChannelPolicy::block}).value();
};

TEST_F(DoctorOfTables, FindsNothingInSoundOnes) {
    send(publisher_);
    const Finished examined = run({"doctor"});
    EXPECT_EQ(examined.exit_code, 0) << examined.output;
}

TEST_F(DoctorOfTables, FindsAPeerInAStateThatDoesNotExist) {
    view().peers.at(40).state.store(77);
    expect_found("I6", "peer 40 is in state 77, which does not exist");
}

TEST_F(DoctorOfTables, FindsAnEndpointOfAPeerThatIsNotThere) {
    view().publishers.at(0).peer_incarnation.store(99);
    expect_found("I2", "publisher 0 is open but its peer 1 is not there");
}

TEST_F(DoctorOfTables, FindsAnEndpointOnAChannelThatDoesNotExist) {
    view().subscribers.at(0).channel_index.store(9999);
    expect_found("I6", "subscriber 0 is on channel 9999, which does not exist");
}

TEST_F(DoctorOfTables, FindsALeaseBitThatDoesNotExist) {
    view().subscribers.at(0).lease_bit.store(subscribers_per_channel_max);
    expect_found("I6", "subscriber 0 has lease bit 60, which does not exist");
}

TEST_F(DoctorOfTables, FindsTwoSubscribersWithOneLeaseBit) {
    const auto second = writing_.subscriber("c", {.depth = 4});
    ASSERT_TRUE(second);
    view().subscribers.at(1).lease_bit.store(view().subscribers.at(0).lease_bit.load());
    expect_found("I3", "two subscribers of channel 0 have lease bit 0");
}

TEST_F(DoctorOfTables, FindsARingOfAShapeThatCannotBe) {
    view().rings.at(0).capacity.store(3);
    expect_found("I6", "ring 0 is of a shape that cannot be");
}

TEST_F(DoctorOfTables, FindsTwoRingsThatShareEntries) {
    const auto second = writing_.subscriber("c", {.depth = 4});
    ASSERT_TRUE(second);
    view().rings.at(1).entries_offset.store(view().rings.at(0).entries_offset.load());
    expect_found("I6", "two rings share entries");
}

TEST_F(DoctorOfTables, FindsARingWithMoreEntriesThanItsDepth) {
    send(publisher_);
    send(publisher_);
    view().rings.at(0).depth.store(1);
    expect_found("I6", "ring 0 has more entries than its depth of 1");
}

TEST_F(DoctorOfTables, FindsAnEntryOfAKindThatCannotBe) {
    send(publisher_);
    const RingView ring = RingView::of(view(), 0);
    ring.entries[0].stamp.store(make_stamp(0, static_cast<EntryKind>(99), 0));
    expect_found("I6", "ring 0 has an entry of kind 99, class 0, which cannot be");
}

TEST_F(DoctorOfTables, FindsASlotInTransitFromAnotherThanTheRingsPublisher) {
    send(publisher_);
    const SlotKey key = RingView::of(view(), 0).entries[0].key.load();
    pool().classes[0].records[position_of(key)].word.store(
        make_word(generation_of(key), SlotState::in_transit, lane_of_vandal()));
    expect_found("I1", "in transit from peer 0 but stands in a ring of peer 1");
}

TEST_F(DoctorOfTables, FindsALeaseOfAPublisherThatIsNotThere) {
    const SlotRef slot = writing_.allocate(8).value();
    SlotRecord& record = pool().classes[slot.class_index].records[slot.slot_index];
    record.publisher_index.store(9999);
    record.lease_mask.store(publisher_lease);
    record.word.store(make_word(slot.generation, SlotState::published, 0));
    expect_found("I2", "the publisher's own lease is held, but that publisher is not there");
}

TEST_F(DoctorOfTables, FindsMagazinesAndBlocksThatDoNotExist) {
    LaneCell& cell = pool().lanes[lane_of_vandal()];
    const std::string lane = "lane " + std::to_string(lane_of_vandal());
    cell.magazines.store(std::uint64_t{1} << 63);
    expect_found("I6", lane + " has magazines of classes that do not exist");
    cell.magazines.store(0);
    cell.touched_blocks[block_words - 1].store(std::uint64_t{1} << 63);
    expect_found("I6", lane + " has touched blocks of slots that do not exist");
}

}  // namespace
}  // namespace shmpool::cli
