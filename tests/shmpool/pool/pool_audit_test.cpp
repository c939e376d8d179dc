// SPDX-License-Identifier: Apache-2.0
/// Goal: the checks that all crash tests rely on can fail. Method: plant a lost slot, a doubled
/// slot, a torn owner and other damage, and read what the audit says. And: nonsense in the free
/// list makes nobody crash, hang or hand out a slot twice (I6).
#include "shmpool/pool/pool_audit.hpp"

#include <gtest/gtest.h>

#include "tests/shmpool/pool/own_pool.hpp"

namespace shmpool {
namespace {

using test::Configs;
using test::OwnPool;

class PoolAudit : public testing::TestWithParam<std::uint32_t> {
protected:
    SlotRecord& record(std::uint32_t slot) { return pool_.view().classes[0].records[slot]; }
    std::vector<std::pair<std::string, std::uint32_t>> findings() {
        std::vector<std::pair<std::string, std::uint32_t>> found;
        for (const auto& one : audit(pool_.view()))
            found.emplace_back(one.invariant, one.slot_index);
        return found;
    }
    using Found = std::vector<std::pair<std::string, std::uint32_t>>;

    OwnPool pool_{Configs{{64, GetParam()}}};
    std::unique_ptr<Lane> lane_ = pool_.lane();
};

INSTANTIATE_TEST_SUITE_P(BothPaths, PoolAudit, testing::Values(8U, 128U), [](const auto& given) {
    return given.param == 8 ? "Direct" : "ThroughMagazines";
});

TEST_P(PoolAudit, FindsNothingInANewPool) {
    EXPECT_EQ(test::broken_or_not_all_free(pool_.view()), "");
}

TEST_P(PoolAudit, FindsALostSlot) {
    record(2).link = stored_link(4);  // Slot 3 is marked free and nobody reaches it.
    EXPECT_EQ(findings(), (Found{{"I1", 3}}));
}

TEST_P(PoolAudit, CountsASlotAsNotLostThatAnIntentNames) {
    record(2).link = stored_link(4);
    lane_->next_sequence();
    lane_->announce({IntentKind::push, 0, 0, 3, 1});
    EXPECT_EQ(findings(), Found{});
    lane_->settle();
    EXPECT_EQ(findings(), (Found{{"I1", 3}}));
}

TEST_P(PoolAudit, FindsASlotThatIsInTheListTwice) {
    record(5).link = stored_link(1);
    ASSERT_FALSE(findings().empty());
    EXPECT_EQ(findings().front(), (std::pair<std::string, std::uint32_t>{"I1", 1}));
}

TEST_P(PoolAudit, FindsASlotThatIsInUseAndInTheList) {
    record(4).word = make_word(1, SlotState::loaned, lane_->index());
    EXPECT_EQ(findings(), (Found{{"I1", 4}}));
    EXPECT_NE(test::broken_or_not_all_free(pool_.view()), "");
}

TEST_P(PoolAudit, FindsATornOwner) {
    const SlotRef ref = pool_->allocate(*lane_, 1).value();
    record(ref.slot_index).word = make_word(1, SlotState::loaned_raw, 5);  // Nobody has lane 5.
    ASSERT_NE(lane_->index(), 5U);
    EXPECT_EQ(findings(), (Found{{"I2", ref.slot_index}}));
    record(ref.slot_index).word = make_word(1, SlotState::loaned_raw, 900);
    EXPECT_EQ(findings(), (Found{{"I6", ref.slot_index}}));
}

TEST_P(PoolAudit, FindsAStateThatIsNone) {
    record(0).word = make_word(1, static_cast<SlotState>(slot_state_count), 0);
    EXPECT_EQ(findings(), (Found{{"I6", 0}}));
    EXPECT_NE(test::broken(pool_.view()), "");
}

TEST_P(PoolAudit, FindsAPublishedSlotWithoutALease) {
    const SlotRef ref = pool_->allocate(*lane_, 1).value();
    record(ref.slot_index).word = make_word(1, SlotState::published, 0);
    EXPECT_EQ(findings(), (Found{{"I1", ref.slot_index}}));
    record(ref.slot_index).lease_mask = 1;
    EXPECT_EQ(findings(), Found{});
}

TEST_P(PoolAudit, FindsALinkOutOfTheClass) {
    record(5).link = stored_link(1000);
    ASSERT_FALSE(findings().empty());
    EXPECT_EQ(findings().front().first, "I6");
}

TEST_P(PoolAudit, ReportsOfAMovingPoolOnlyWhatStays) {
    record(2).link = stored_link(4);
    EXPECT_EQ(audit_moving(pool_.view()).size(), 1U);
    EXPECT_EQ(audit(pool_.view(), 0).size(), 0U);
}

TEST_P(PoolAudit, SaysWhatIsMarkedAsDamaged) {
    pool_.view().mark_damaged();
    EXPECT_EQ(findings(), (Found{{"I6", no_slot}}));
}

TEST_P(PoolAudit, SurvivesALinkOutOfTheClassInEveryVerb) {
    for (std::uint32_t slot = 0; slot < GetParam(); ++slot) record(slot).link = stored_link(77777);
    Outcome<SlotRef> got = fail(Errc::exhausted);
    for (int i = 0; i < 3; ++i) got = pool_->allocate(*lane_, 1);
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error(), Errc::pool_damaged);
    EXPECT_TRUE(pool_.view().damaged());
    pool_.reclaim(lane_->index());
}

TEST_P(PoolAudit, SurvivesACycleWithoutHandingASlotOutTwice) {
    record(3).link = stored_link(1);
    std::vector<bool> taken(GetParam());
    bool refused = false;
    for (std::uint32_t i = 0; i < 2 * GetParam(); ++i) {
        const auto ref = pool_->allocate(*lane_, 1);
        if (!ref) {
            refused = refused || ref.error() == Errc::pool_damaged;
            continue;
        }
        EXPECT_FALSE(taken[ref->slot_index]);
        taken[ref->slot_index] = true;
    }
    EXPECT_TRUE(pool_.view().damaged());
    EXPECT_TRUE(refused || GetParam() > 8);
    pool_.reclaim(lane_->index());
}

TEST_P(PoolAudit, SurvivesAnyTopOfTheList) {
    for (const std::uint64_t top :
         {std::uint64_t{GetParam()}, std::uint64_t{0xFFFF'FFFE}, std::uint64_t{0x1'0000'0000}}) {
        pool_.view().classes[0].extents[0].head.low = top;
        (void)pool_->allocate(*lane_, 1);
        (void)findings();
        pool_.reclaim(lane_->index());
        lane_ = pool_.lane();
    }
}

}  // namespace
}  // namespace shmpool
