// SPDX-License-Identifier: Apache-2.0
/// The rig itself: that it notices what the other tests rely on it to notice.
#include <gmock/gmock.h>

#include "endpoints.hpp"
#include "shmpool/pool/detectable_stack.hpp"

namespace shmpool::testing_protocol {
namespace {

using ::testing::HasSubstr;

struct Room {
    Room() : peer(host, host.admit()) {}
    SlotRecord& record(const VarSlotPool::Loaned& slot) {
        return host.pool().view().classes[slot.class_index].records[position_of(slot.key)];
    }
    VarSlotPool::Loaned loan() { return *peer.pool().loan(peer.lane(), 64); }
    TestHost host;
    TestPeer peer;
};

TEST(Rig, FindsNothingWrongWithAFreshPool) {
    Room room;
    EXPECT_EQ(what_is_missing(room.host.pool()), "");
}

TEST(Rig, NoticesASlotThatNobodyGivesBack) {
    Room room;
    (void)room.loan();
    EXPECT_EQ(what_is_broken(room.host.pool()), "");
    EXPECT_THAT(what_is_missing(room.host.pool()), HasSubstr("1 are on loan"));
}

TEST(Rig, NoticesASlotThatIsMarkedFreeButLost) {
    Room room;
    const auto slot = room.loan();
    room.record(slot).word.store(make_word(generation_of(slot.key), SlotState::listed, 0));
    EXPECT_THAT(what_is_missing(room.host.pool()), HasSubstr("no free list or intent reaches it"));
}

TEST(Rig, NoticesASlotThatIsGivenBackTwice) {
    Room room;
    const auto one = room.loan();
    const auto two = room.loan();
    for (const auto& slot : {one, two, one}) {
        const std::uint32_t position = position_of(slot.key);
        DetectableStack(room.host.pool().view(), slot.class_index)
            .give(room.peer.lane(), std::span(&position, 1));
    }
    EXPECT_THAT(what_is_missing(room.host.pool()), HasSubstr("twice"));
}

TEST(Rig, NoticesAPublishedSlotThatNobodyReads) {
    Room room;
    const auto slot = room.loan();
    room.record(slot).lease_mask.store(0);
    room.record(slot).word.store(make_word(generation_of(slot.key), SlotState::published, 0));
    EXPECT_THAT(what_is_missing(room.host.pool()), HasSubstr("nobody has a lease"));
}

TEST(Rig, NoticesAMessageThatChangesWhileItIsHeld) {
    Room room;
    Reader reader(room.peer, room.host.open_subscriber(room.peer.index(), 4), 1);
    Writer writer(room.peer, room.host.open_publisher(room.peer.index(), ChannelPolicy::block),
                  ChannelPolicy::block, 1);
    ASSERT_TRUE(writer.send());
    ASSERT_TRUE(reader.next());
    EXPECT_EQ(reader.complaints(), "");
    const ClassView& view = room.host.pool().view().classes[0];
    for (std::uint32_t i = 0; i < view.slot_count(); ++i) view.data(i)[63] ^= std::byte{1};
    reader.release_all();
    EXPECT_THAT(reader.complaints(), HasSubstr("changed while it was held"));
}

TEST(Rig, NoticesGapsAndRepetitions) {
    Room room;
    Reader reader(room.peer, room.host.open_subscriber(room.peer.index(), 8));
    const Opened opened = room.host.open_publisher(room.peer.index(), ChannelPolicy::block);
    PublisherCore core(room.peer.pool(), room.peer.view(), opened.endpoint_index,
                       ChannelPolicy::block);
    const auto forge = [&](std::uint64_t sequence) {
        const auto slot = room.loan();
        write_message(room.peer.pool(), slot, {7, sequence});
        ASSERT_TRUE(core.publish(room.peer.lane(), slot, Deadline::passed()));
        room.record(slot).sequence.store(sequence);
    };
    forge(1);
    forge(4);
    EXPECT_EQ(reader.drain(), Errc::empty);
    EXPECT_EQ(reader.gaps(), 2U);
    EXPECT_EQ(reader.complaints(), "");
    forge(4);
    EXPECT_EQ(reader.drain(), Errc::empty);
    EXPECT_THAT(reader.complaints(), HasSubstr("message 4 of writer 7 came after 4"));
}

}  // namespace
}  // namespace shmpool::testing_protocol
