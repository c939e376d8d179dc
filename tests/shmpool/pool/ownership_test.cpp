// SPDX-License-Identifier: Apache-2.0
/// Goal: a slot is owned either raw or by a handle, told by its word, and each side refuses the
/// other's slots without any effect. Every rule on both paths: with and without a magazine.
#include <gtest/gtest.h>

#include "tests/shmpool/pool/own_pool.hpp"

namespace shmpool {
namespace {

using test::Configs;
using test::OwnPool;

class SlotOwnership : public testing::TestWithParam<std::uint32_t> {
protected:
    void TearDown() override {
        if (lane_) pool_->flush(*lane_);
        if (other_) pool_->flush(*other_);
        EXPECT_EQ(test::broken_or_not_all_free(pool_.view()), "");
    }

    OwnPool pool_{Configs{{128, GetParam()}}};
    std::unique_ptr<Lane> lane_ = pool_.lane(1);
    std::unique_ptr<Lane> other_ = pool_.lane(2);
};

INSTANTIATE_TEST_SUITE_P(BothPaths, SlotOwnership, testing::Values(8U, 256U),
                         [](const auto& given) {
                             return given.param == 8 ? "Direct" : "ThroughMagazines";
                         });

TEST_P(SlotOwnership, LetsAnyLaneFreeARawSlot) {
    const SlotRef ref = pool_->allocate(*lane_, 1).value();
    EXPECT_TRUE(pool_->free(*other_, ref));
    EXPECT_EQ(pool_->free(*lane_, ref).error(), Errc::double_free);
}

TEST_P(SlotOwnership, LetsOnlyTheAllocatingLaneCancel) {
    const SlotRef ref = pool_->allocate(*lane_, 1).value();
    EXPECT_EQ(pool_->cancel(*other_, ref).error(), Errc::raw_owned);
    EXPECT_EQ(pool_->slot_state(ref), SlotState::loaned_raw);
    EXPECT_TRUE(pool_->cancel(*lane_, ref));
    EXPECT_EQ(pool_->cancel(*lane_, ref).error(), Errc::double_free);
}

TEST_P(SlotOwnership, RefusesARawFreeOfWhatAHandleOwns) {
    const auto loaned = pool_->loan(*lane_, 1).value();
    const SlotRef ref = pool_->view().ref_of(loaned.class_index, loaned.key);
    EXPECT_EQ(pool_->free(*lane_, ref).error(), Errc::handle_owned);
    EXPECT_EQ(pool_->cancel(*lane_, ref).error(), Errc::handle_owned);
    EXPECT_EQ(pool_->slot_state(ref), SlotState::loaned);
    EXPECT_TRUE(pool_->end_loan(*lane_, loaned));
    EXPECT_EQ(pool_->free(*lane_, ref).error(), Errc::double_free);
}

TEST_P(SlotOwnership, RefusesARawFreeOfWhatIsOnItsWayOrPublished) {
    const auto loaned = pool_->loan(*lane_, 1).value();
    const SlotRef ref = pool_->view().ref_of(loaned.class_index, loaned.key);
    auto& word = pool_.view().classes[0].records[ref.slot_index].word;
    for (const SlotState state : {SlotState::in_transit, SlotState::published}) {
        word.store(make_word(ref.generation, state, lane_->index()));
        EXPECT_EQ(pool_->free(*lane_, ref).error(), Errc::handle_owned);
        EXPECT_EQ(pool_->end_loan(*lane_, loaned).error(), Errc::double_free);
        EXPECT_EQ(pool_->slot_state(ref), state);
    }
    word.store(make_word(ref.generation, SlotState::loaned, lane_->index()));
    EXPECT_TRUE(pool_->end_loan(*lane_, loaned));
}

TEST_P(SlotOwnership, RefusesAHandleForARawSlot) {
    const SlotRef ref = pool_->allocate(*lane_, 1).value();
    EXPECT_EQ(pool_->end_loan(*lane_, {ref.class_index, *pool_->view().key_of(ref)}).error(),
              Errc::raw_owned);
    EXPECT_EQ(pool_->slot_state(ref), SlotState::loaned_raw);
    EXPECT_TRUE(pool_->free(*lane_, ref));
}

TEST_P(SlotOwnership, EndsALoanOnce) {
    const auto loaned = pool_->loan(*lane_, 1).value();
    EXPECT_TRUE(pool_->end_loan(*lane_, loaned));
    EXPECT_EQ(pool_->end_loan(*lane_, loaned).error(), Errc::double_free);
    EXPECT_EQ(pool_->end_loan(*other_, loaned).error(), Errc::double_free);
}

TEST_P(SlotOwnership, EndsALoanByAnotherLaneOfTheProcess) {
    const auto loaned = pool_->loan(*lane_, 1).value();
    EXPECT_TRUE(pool_->end_loan(*other_, loaned));
    EXPECT_EQ(pool_->end_loan(*lane_, loaned).error(), Errc::double_free);
}

TEST_P(SlotOwnership, RefusesForgedLoans) {
    const auto good = pool_->loan(*lane_, 1).value();
    for (const std::uint32_t position :
         {GetParam(), GetParam() + 1, 0x00FF'FFFFU, 0x0100'0000U, 0xFFFF'FFFFU}) {
        EXPECT_EQ(pool_->end_loan(*lane_, {0, make_key(1, position)}).error(), Errc::invalid_ref);
    }
    for (const std::uint32_t class_index : {1U, 64U, 0xFFFF'FFFFU}) {
        EXPECT_EQ(pool_->end_loan(*lane_, {class_index, good.key}).error(), Errc::invalid_ref);
    }
    EXPECT_EQ(pool_->end_loan(*lane_, {0, good.key + (SlotKey{1} << 32)}).error(),
              Errc::double_free);
    EXPECT_EQ(pool_->end_loan(*lane_, {0, 0}).error(), Errc::double_free);
    EXPECT_TRUE(pool_->end_loan(*lane_, good));
}

TEST_P(SlotOwnership, TakesRawSlotsAndLoansOfADeadLaneBack) {
    const SlotRef raw = pool_->allocate(*lane_, 1).value();
    const auto loaned = pool_->loan(*lane_, 1).value();
    EXPECT_GE(pool_.reclaim(lane_->index()).taken_back, 2U);
    lane_.reset();
    EXPECT_EQ(pool_->free(*other_, raw).error(), Errc::double_free);
    EXPECT_EQ(pool_->end_loan(*other_, loaned).error(), Errc::double_free);
}

TEST_P(SlotOwnership, LeavesWhatALiveLaneFreedForADeadOneToTheLiveLane) {
    const SlotRef raw = pool_->allocate(*lane_, 1).value();
    ASSERT_TRUE(pool_->free(*other_, raw));
    const SlotRef again = pool_->allocate(*other_, 1).value();
    pool_.reclaim(lane_->index());
    lane_.reset();
    EXPECT_EQ(pool_->slot_state(again), SlotState::loaned_raw);
    EXPECT_TRUE(pool_->free(*other_, again));
}

TEST_P(SlotOwnership, LeavesInTransitWhatItsReaderCanStillTake) {
    const auto loaned = pool_->loan(*lane_, 1).value();
    auto& word = pool_.view().classes[0].records[position_of(loaned.key)].word;
    word.store(make_word(generation_of(loaned.key), SlotState::in_transit, lane_->index()));
    recover_intent(pool_.view(), lane_->index());
    SlotKey asked = 0;
    const Sweep sweep = sweep_lane(*pool_, pool_.host(), lane_->index(),
                                   [&](std::uint32_t class_index, SlotKey key) {
                                       EXPECT_EQ(class_index, 0U);
                                       asked = key;
                                       return true;
                                   });
    EXPECT_EQ(sweep.left_in_transit, 1U);
    EXPECT_EQ(asked, loaned.key);
    EXPECT_EQ(word_state(word.load()), SlotState::in_transit);
    EXPECT_EQ(pool_.reclaim(lane_->index()).taken_back, 1U) << "no reader any more";
    lane_.reset();
}

/// A living reader stamps a moved slot while the host, which found no ring with it, is about to.
TEST_P(SlotOwnership, LeavesToTheReaderWhatItTakesBesideTheSweep) {
    const auto loaned = pool_->loan(*lane_, 1).value();
    auto& word = pool_.view().classes[0].records[position_of(loaned.key)].word;
    word.store(make_word(generation_of(loaned.key), SlotState::in_transit, lane_->index()));
    recover_intent(pool_.view(), lane_->index());
    (void)sweep_lane(*pool_, pool_.host(), lane_->index(), [&](std::uint32_t, SlotKey key) {
        word.store(make_word(generation_of(key), SlotState::loaned, other_->index()));
        return false;
    });
    EXPECT_EQ(word.load(),
              make_word(generation_of(loaned.key), SlotState::loaned, other_->index()));
    EXPECT_TRUE(pool_->end_loan(*other_, loaned));
    lane_.reset();
}

TEST_P(SlotOwnership, LeavesThePublishedSlotsToTheirReaders) {
    const auto loaned = pool_->loan(*lane_, 1).value();
    auto& word = pool_.view().classes[0].records[position_of(loaned.key)].word;
    // The channel has the number of the lane, by chance.
    word.store(make_word(generation_of(loaned.key), SlotState::published, lane_->index()));
    pool_.reclaim(lane_->index());
    EXPECT_EQ(word_state(word.load()), SlotState::published);
    word.store(make_word(generation_of(loaned.key), SlotState::loaned, other_->index()));
    EXPECT_TRUE(pool_->end_loan(*other_, loaned));
    lane_.reset();
}

TEST_P(SlotOwnership, TakesNothingAwayFromTheLivingByAHostileIntent) {  // I6, I3
    const auto loaned = pool_->loan(*lane_, 1).value();
    const SlotRef raw = pool_->allocate(*lane_, 1).value();
    const std::uint32_t hostile = other_->index();
    for (const IntentKind kind : {IntentKind::pop, IntentKind::push, static_cast<IntentKind>(3)}) {
        for (const std::uint32_t first : {position_of(loaned.key), raw.slot_index}) {
            other_->next_sequence();
            other_->announce({kind, 0, 0, first, GetParam()});
            pool_.reclaim(hostile);
            EXPECT_EQ(pool_->slot_state(raw), SlotState::loaned_raw);
        }
    }
    for (const Intent& nonsense :
         {Intent{IntentKind::push, 63, 0, 0, 1}, Intent{IntentKind::push, 0, 9, 0, 1},
          Intent{IntentKind::push, 0, 0, 0xFF'FFFF, 1},
          Intent{IntentKind::push, 0, 0, 0, 0xFF'FFFF}}) {
        other_->announce(nonsense);
        recover_intent(pool_.view(), hostile);
        EXPECT_EQ(other_->cell().intent.load(), 0U);
    }
    EXPECT_TRUE(pool_->end_loan(*lane_, loaned));
    EXPECT_TRUE(pool_->free(*lane_, raw));
    pool_->flush(*lane_);
    // What was marked free the intent could still take; the sweep put it back into the list a
    // second time. That the audit says so, and that nobody crashes, is all that is promised.
    pool_.start_anew();
    lane_.reset();
    other_.reset();
}

TEST_P(SlotOwnership, FollowsNoLinkOutOfTheClass) {  // I6
    const SlotRef raw = pool_->allocate(*other_, 1).value();
    pool_.view().classes[0].records[raw.slot_index].link = 0x7FFF'FFFF;
    other_->next_sequence();
    other_->announce({IntentKind::push, 0, 0, raw.slot_index, 3});
    recover_intent(pool_.view(), other_->index());
    EXPECT_EQ(other_->cell().intent.load(), 0U);
    EXPECT_EQ(pool_->slot_state(raw), SlotState::loaned_raw) << "nothing of that chain is sound";
    EXPECT_TRUE(pool_->free(*other_, raw));
    pool_->flush(*other_);
}

TEST(SlotsOfTheDead, ComeBackWithoutALossThroughSeveralChains) {
    constexpr std::uint32_t held = 3'000;  // Chains of 256, 512, 1024 and the rest.
    OwnPool pool(Configs{{128, 4'096}});
    const auto doomed = pool.lane(1);
    for (std::uint32_t i = 0; i < held; ++i) ASSERT_TRUE(pool->allocate(*doomed, 1));
    EXPECT_GE(pool.reclaim(doomed->index()).taken_back, held);
    EXPECT_EQ(test::broken_or_not_all_free(pool.view()), "");
}

}  // namespace
}  // namespace shmpool
