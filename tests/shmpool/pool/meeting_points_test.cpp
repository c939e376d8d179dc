// SPDX-License-Identifier: Apache-2.0
/// Goal: what others do between two steps of a lane, or of the host, misleads nobody. Method: the
/// step is interrupted at a named point, where other lanes of this very thread run their verbs;
/// so that a meeting that is rare among threads happens each time.
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "shmpool/platform/crash_point.hpp"
#include "shmpool/pool/detectable_stack.hpp"
#include "tests/shmpool/pool/own_pool.hpp"

namespace shmpool {
namespace {

using test::Configs;
using test::OwnPool;

std::string point;  ///< Empty again when it was met.
std::function<void()> act;

void act_once(const char* name) {
    if (point != name) return;
    point.clear();
    act();
}

class MeetingAt : public testing::Test {
protected:
    void TearDown() override { crash_hook.store(nullptr); }

    static void at(const char* name, std::function<void()> what) {
        point = name;
        act = std::move(what);
        crash_hook.store(&act_once);
    }
    /// A change of the list by a lane that dies before it has stamped what it took.
    void take_and_die(Lane& lane) {
        std::array<std::uint32_t, 1> slot{};
        ASSERT_EQ(DetectableStack(pool_.view(), 0).take(lane, slot).count, 1U);
    }
    /// The dead lane is taken back, the others give back what they have: nothing is missing.
    void conclude(const Lane& dead) {
        pool_.reclaim(dead.index());
        EXPECT_EQ(test::broken(pool_.view()), "");
        for (const auto& [lane, loaned] : loans_) EXPECT_TRUE(pool_->end_loan(*lane, loaned));
        EXPECT_EQ(test::broken_or_not_all_free(pool_.view()), "");
    }
    void loan(Lane& lane) { loans_.emplace_back(&lane, pool_->loan(lane, 1).value()); }

    OwnPool pool_{Configs{{64, 8}}, 3};
    std::unique_ptr<Lane> doomed_ = pool_.lane(1);
    std::unique_ptr<Lane> other_ = pool_.lane(2);
    std::unique_ptr<Lane> late_ = pool_.lane(3);
    std::vector<std::pair<Lane*, VarSlotPool::Loaned>> loans_;
};

/// A lane has read a head that shows an old change of the doomed lane, and notes it late: `seen`
/// must not go back behind the newer change that another lane has noted meanwhile.
TEST_F(MeetingAt, AHeadThatWasReadDoesNotTakeSeenBack) {
    test::must(pool_->end_loan(*doomed_, pool_->loan(*doomed_, 1).value()));
    at("pop_head_read", [&] {
        take_and_die(*doomed_);
        loan(*other_);
    });
    loan(*late_);
    EXPECT_EQ(point, "");
    conclude(*doomed_);
}

/// The same for a lane that puts a slot back.
TEST_F(MeetingAt, AHeadThatWasReadByAPushDoesNotTakeSeenBack) {
    const auto mine = pool_->loan(*late_, 1).value();
    test::must(pool_->end_loan(*doomed_, pool_->loan(*doomed_, 1).value()));
    at("push_head_read", [&] {
        take_and_die(*doomed_);
        loan(*other_);
    });
    test::must(pool_->end_loan(*late_, mine));
    EXPECT_EQ(point, "");
    conclude(*doomed_);
}

/// Whoever overwrites a head has noted before whose change disappears: also when it puts a slot
/// back.
TEST_F(MeetingAt, APushNotesTheChangeThatItOverwrites) {
    const auto mine = pool_->loan(*late_, 1).value();
    take_and_die(*doomed_);
    test::must(pool_->end_loan(*late_, mine));
    conclude(*doomed_);
}

/// The host may look at any moment after the head was overwritten.
TEST_F(MeetingAt, AChangeThatAPopHasOverwrittenIsInSeenAlready) {
    take_and_die(*doomed_);
    at("pop_happened", [&] { recover_intent(pool_.view(), doomed_->index()); });
    loan(*late_);
    EXPECT_EQ(point, "");
    conclude(*doomed_);
}

TEST_F(MeetingAt, AChangeThatAPushHasOverwrittenIsInSeenAlready) {
    const auto mine = pool_->loan(*late_, 1).value();
    take_and_die(*doomed_);
    at("push_happened", [&] { recover_intent(pool_.view(), doomed_->index()); });
    test::must(pool_->end_loan(*late_, mine));
    EXPECT_EQ(point, "");
    conclude(*doomed_);
}

/// The host decides a dead lane's last change while another lane overwrites the head: it must find
/// the change in the head or in `seen`.
TEST_F(MeetingAt, AHostThatDecidesMissesNoChange) {
    take_and_die(*doomed_);
    at("happened_looked", [&] { loan(*other_); });
    conclude(*doomed_);
}

/// Two lanes have both found a raw slot in order before either of them ends it.
TEST_F(MeetingAt, OfRacingRawFreesOneWins) {
    const SlotRef ref = pool_->allocate(*other_, 1).value();
    at("raw_free_checked", [&] { EXPECT_TRUE(pool_->free(*late_, ref)); });
    EXPECT_EQ(pool_->free(*other_, ref).error(), Errc::double_free);
    EXPECT_EQ(test::broken_or_not_all_free(pool_.view()), "");
}

/// The same where the one that has taken it ends it into its magazine.
TEST_F(MeetingAt, OfRacingRawFreesOneIntoAMagazineOneWins) {
    OwnPool pool{Configs{{64, 128}}, 3};
    const auto owner = pool.lane(1);
    const auto other = pool.lane(2);
    const SlotRef ref = pool->allocate(*owner, 1).value();
    at("raw_free_checked", [&] { EXPECT_TRUE(pool->free(*other, ref)); });
    EXPECT_EQ(pool->free(*owner, ref).error(), Errc::double_free);
    EXPECT_EQ(point, "");
    for (Lane* const lane : {owner.get(), other.get()}) pool->flush(*lane);
    EXPECT_EQ(test::broken_or_not_all_free(pool.view()), "");
}

/// A lane belongs to the next one only when the host has written its last word into it.
TEST_F(MeetingAt, ALaneIsNotFreeBeforeTheHostHasDoneWithIt) {
    at("retire_forgot_blocks", [&] { EXPECT_EQ(claim_lane(pool_.view(), 9, 0), no_lane_index); });
    retire_lane(pool_.view(), doomed_->index());
    EXPECT_EQ(point, "");
    EXPECT_EQ(claim_lane(pool_.view(), 9, 0), doomed_->index());
}

}  // namespace
}  // namespace shmpool
