// SPDX-License-Identifier: Apache-2.0
/// `doctor` finds nothing in a sound pool, busy or not, and names the invariant of every kind of
/// damage that a hostile peer plants: this test attaches as a peer and writes into the segment what
/// no honest peer writes.
#include <signal.h>

#include "peer/peer.hpp"
#include "tests/peer/cli/host_fixture.hpp"

namespace shmpool::cli {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class Doctor : public WithHost {
protected:
    Doctor() : peer_(Peer::attach("test").value()) {}

    [[nodiscard]] SlotRecord& record(std::uint32_t class_index, std::uint32_t slot) {
        return peer_.pool().view().classes[class_index].records[slot];
    }
    /// A lane that is this peer's.
    [[nodiscard]] std::uint32_t own_lane() {
        const SlotRef slot = peer_.allocate(1).value();
        const std::uint32_t lane = word_owner(record(0, slot.slot_index).word.load());
        EXPECT_TRUE(peer_.free(slot));
        return lane;
    }
    static void expect_broken(const std::string& invariant, const std::string& text) {
        const Finished found = run({"doctor"});
        EXPECT_EQ(found.exit_code, 1);
        EXPECT_THAT(found.output, AllOf(HasSubstr(invariant + ": "), HasSubstr(text)));
        EXPECT_THAT(found.errors, AllOf(StartsWith("shmpool: pool 'test' is damaged"),
                                        HasSubstr("broken: "), HasSubstr(invariant + " (")));
        const json report = json::parse(run({"doctor", "--json"}).output);
        EXPECT_EQ(report["ok"], false);
        bool named = false;
        for (const json& finding : report["findings"]) {
            named = named || (finding["invariant"] == invariant &&
                              finding["text"].get<std::string>().find(text) != std::string::npos);
        }
        EXPECT_TRUE(named) << report.dump(2);
    }

    Peer peer_;
};

TEST_F(Doctor, FindsNothingInAQuietPool) {
    const Finished quiet = run({"doctor"});
    EXPECT_EQ(quiet.exit_code, 0) << quiet.output;
    EXPECT_EQ(quiet.output, "audit ok: 272 slots in 2 classes, 1 peers\n");
    EXPECT_EQ(json::parse(run({"doctor", "--json"}).output)["ok"], true);
}

TEST_F(Doctor, FindsNothingWhileAStreamFlowsAndReadersStopAndDie) {
    CommandRun first({"sub", "c", "--output", "/dev/null", "--depth", "4"});
    CommandRun second({"sub", "c", "--output", "/dev/null", "--depth", "4"});
    CommandRun third({"sub", "lone", "--output", "/dev/null", "--depth", "4"});
    ASSERT_TRUE(eventually([] { return status()["peers"].size() == 4; }));
    const std::string input = folder_.write("input", noise(1 << 20));
    CommandRun pub({"pub", "c", "--input", input, "--chunk", "1KiB", "--repeat", "1000"});
    CommandRun lone({"pub", "lone", "--input", input, "--chunk", "1KiB", "--repeat", "1000"});
    const auto expect_sound = [] {
        for (int i = 0; i < 5; ++i) {
            const Finished examined = run({"doctor"});
            EXPECT_EQ(examined.exit_code, 0) << examined.output << examined.errors;
        }
    };
    expect_sound();
    second.signal(SIGSTOP);
    expect_sound();
    first.signal(SIGKILL);
    third.signal(SIGKILL);
    expect_sound();
    lone.signal(SIGSTOP);
    pub.signal(SIGKILL);
    expect_sound();
}

TEST_F(Doctor, FindsASlotOfALaneThatDoesNotExist) {
    record(0, 200).word.store(make_word(1, SlotState::loaned, 60'000));
    expect_broken("I6", "names lane 60000, which does not exist");
}

TEST_F(Doctor, FindsAStateThatDoesNotExist) {
    record(1, 3).word.store(make_word(1, static_cast<SlotState>(77), 1));
    expect_broken("I6", "no known state");
}

TEST_F(Doctor, FindsACycleInAFreeList) {
    record(1, 9).link.store(stored_link(4));
    expect_broken("I1", "reaches this slot twice");
}

TEST_F(Doctor, FindsAFreeListThatLeadsOutOfItsClass) {
    record(1, 9).link.store(stored_link(4'000'000));
    expect_broken("I6", "which does not exist");
}

TEST_F(Doctor, FindsASlotInTransitThatIsInNoRing) {
    const std::uint32_t lane = own_lane();
    const SlotRef slot = peer_.allocate(2000).value();
    record(1, slot.slot_index).word.store(make_word(slot.generation, SlotState::in_transit, lane));
    expect_broken("I1", "in transit but stands in no ring");
}

TEST_F(Doctor, FindsALeaseOfASubscriberThatIsNotThere) {
    const auto publisher = peer_.publisher("c");
    ASSERT_TRUE(publisher);
    const SlotRef slot = peer_.allocate(2000).value();
    record(1, slot.slot_index).lease_mask.store(std::uint64_t{1} << 5);
    record(1, slot.slot_index).word.store(make_word(slot.generation, SlotState::published, 0));
    expect_broken("I2", "(bit 5) belongs to no subscriber of channel 0");
}

TEST_F(Doctor, FindsASlotThatIsPublishedOnNoChannel) {
    const SlotRef slot = peer_.allocate(2000).value();
    record(1, slot.slot_index).lease_mask.store(1);
    record(1, slot.slot_index).word.store(make_word(slot.generation, SlotState::published, 9999));
    expect_broken("I6", "published on channel 9999, which does not exist");
}

TEST_F(Doctor, FindsALaneOfAPeerThatIsNotThere) {
    peer_.pool().view().lanes[100].owner.store(owner_of_peer(40, 7));
    expect_broken("I2", "lane 100 belongs to peer 40, which is not there");
}

TEST_F(Doctor, FindsAPoolThatIsMarkedAsDamaged) {
    peer_.pool().view().mark_damaged();
    expect_broken("I6", "marked as damaged");
    EXPECT_THAT(run({"status"}).output, HasSubstr("DAMAGED"));
}

}  // namespace
}  // namespace shmpool::cli
