// SPDX-License-Identifier: Apache-2.0
/// Goal: the pool keeps what the seed promised for allocate, free and slot data, with the seed's
/// own classes (1024 x 8, 16384 x 4, 262144 x 2). Method: one act per test, audit after each.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <set>
#include <tuple>

#include "tests/shmpool/pool/own_pool.hpp"

namespace shmpool {
namespace {

using test::Configs;
using test::OwnPool;
using test::seed_classes;

class SeedContract : public testing::Test {
protected:
    void TearDown() override { EXPECT_EQ(test::broken(pool_.view()), ""); }

    std::vector<SlotRef> drain(std::uint64_t size) {
        std::vector<SlotRef> refs;
        for (;;) {
            const auto ref = pool_->allocate(*lane_, size);
            if (!ref) {
                EXPECT_EQ(ref.error(), Errc::exhausted);
                return refs;
            }
            refs.push_back(*ref);
        }
    }

    OwnPool pool_{seed_classes};
    std::unique_ptr<Lane> lane_ = pool_.lane();
};

TEST_F(SeedContract, BeginsWithTheFirstSlotInItsFirstLife) {  // T-VS-1
    const SlotRef ref = pool_->allocate(*lane_, 512).value();
    EXPECT_EQ(ref, (SlotRef{0, 0, 0, 0, 1}));
    EXPECT_TRUE(pool_->free(*lane_, ref));
}

TEST_F(SeedContract, TakesTheSmallestClassThatFits) {  // T-VS-2
    EXPECT_EQ(pool_->allocate(*lane_, 2000).value().class_index, 1);
    EXPECT_EQ(pool_->allocate(*lane_, 0).value().class_index, 0);
    EXPECT_EQ(pool_->allocate(*lane_, 1).value().class_index, 0);
    EXPECT_EQ(pool_->allocate(*lane_, 1024).value().class_index, 0);
    EXPECT_EQ(pool_->allocate(*lane_, 1025).value().class_index, 1);
    EXPECT_EQ(pool_->allocate(*lane_, 16384).value().class_index, 1);
    EXPECT_EQ(pool_->allocate(*lane_, 16385).value().class_index, 2);
    EXPECT_EQ(pool_->allocate(*lane_, 262144).value().class_index, 2);
}

TEST_F(SeedContract, FallsThroughToTheNextLargerClass) {  // T-VS-3
    for (int i = 0; i < 8; ++i) EXPECT_EQ(pool_->allocate(*lane_, 1).value().class_index, 0);
    EXPECT_EQ(pool_->allocate(*lane_, 1).value().class_index, 1);
}

TEST_F(SeedContract, HandsOutEverySlotOnceAndThenNothing) {  // T-VS-4
    const auto refs = drain(1);
    EXPECT_EQ(refs.size(), 14U);
    std::set<std::pair<int, std::uint32_t>> places;
    for (const SlotRef& ref : refs) places.emplace(ref.class_index, ref.slot_index);
    EXPECT_EQ(places.size(), 14U);
    for (const SlotRef& ref : refs) EXPECT_TRUE(pool_->free(*lane_, ref));
    EXPECT_EQ(test::broken_or_not_all_free(pool_.view()), "");
    EXPECT_EQ(drain(1).size(), 14U);
}

TEST_F(SeedContract, HandsOutTheLastFreedSlotFirstInItsNextLife) {  // T-VS-5
    const SlotRef first = pool_->allocate(*lane_, 512).value();
    ASSERT_TRUE(pool_->free(*lane_, first));
    const SlotRef second = pool_->allocate(*lane_, 512).value();
    EXPECT_EQ(second.slot_index, first.slot_index);
    EXPECT_EQ(second.generation, first.generation + 1);
}

TEST_F(SeedContract, RefusesASecondFree) {  // T-VS-6
    const SlotRef ref = pool_->allocate(*lane_, 512).value();
    ASSERT_TRUE(pool_->free(*lane_, ref));
    EXPECT_EQ(pool_->free(*lane_, ref).error(), Errc::double_free);
    EXPECT_EQ(pool_.statistics(0).free, 8U);
}

TEST_F(SeedContract, KeepsWhatIsWrittenIntoASlot) {  // T-VS-7
    const auto refs = drain(1);
    for (std::size_t i = 0; i < refs.size(); ++i) {
        const auto data = pool_->slot_data_mut(refs[i]).value();
        std::memset(data.data(), static_cast<int>(i + 1), data.size());
    }
    for (std::size_t i = 0; i < refs.size(); ++i) {
        const auto data = pool_->slot_data(refs[i]).value();
        EXPECT_EQ(data.size(), pool_->slot_size(refs[i].class_index));
        for (const std::byte one : data) ASSERT_EQ(one, static_cast<std::byte>(i + 1));
    }
}

TEST_F(SeedContract, TellsTooLargeFromExhausted) {  // T-VS-8, T-VS-26
    EXPECT_EQ(pool_->allocate(*lane_, 300000).error(), Errc::too_large);
    EXPECT_EQ(pool_->allocate(*lane_, std::numeric_limits<std::uint64_t>::max()).error(),
              Errc::too_large);
    EXPECT_EQ(pool_->loan(*lane_, 300000).error(), Errc::too_large);
    EXPECT_EQ(pool_->loan(*lane_, 300000, Deadline::never()).error(), Errc::too_large);
    drain(1);
    EXPECT_EQ(pool_->allocate(*lane_, 1).error(), Errc::exhausted);
    EXPECT_EQ(pool_->loan(*lane_, 1).error(), Errc::exhausted);
    EXPECT_EQ(pool_->allocate(*lane_, 300000).error(), Errc::too_large);
    EXPECT_EQ(pool_->loan(*lane_, 1, Deadline::passed()).error(), Errc::timed_out);
    EXPECT_EQ(pool_.statistics(0).exhausted_total, 3U) << "who waits is not turned away";
}

TEST_F(SeedContract, TakesBackTheSlotsOfOneLaneOnly) {  // T-VS-9
    const auto doomed = pool_.lane(7);
    const auto living = pool_.lane(2);
    ASSERT_TRUE(pool_->allocate(*doomed, 1));
    ASSERT_TRUE(pool_->allocate(*doomed, 1));
    const SlotRef kept = pool_->allocate(*living, 1).value();
    EXPECT_EQ(pool_.reclaim(doomed->index()).taken_back, 2U);
    EXPECT_EQ(drain(1).size(), 13U);
    EXPECT_TRUE(pool_->free(*living, kept));
}

TEST_F(SeedContract, NamesTheOwnerWhileASlotIsInUse) {  // T-VS-11
    const SlotRef ref = pool_->allocate(*lane_, 1).value();
    EXPECT_EQ(pool_.word(ref), make_word(1, SlotState::loaned_raw, lane_->index()));
    ASSERT_TRUE(pool_->free(*lane_, ref));
    EXPECT_EQ(pool_.word(ref), make_word(1, SlotState::listed, 0));
}

TEST_F(SeedContract, RefusesANameOfAnEarlierLife) {  // T-VS-18
    std::vector<SlotRef> lives;
    std::uint32_t generation = 0;
    for (std::size_t i = 0; i < 50; ++i) {
        lives.push_back(pool_->allocate(*lane_, 200000).value());
        EXPECT_GT(lives[i].generation, generation);
        generation = lives[i].generation;
        if (i == 49) break;
        ASSERT_TRUE(pool_->free(*lane_, lives[i]));
    }
    for (std::size_t i = 0; i < 49; ++i) {
        EXPECT_EQ(pool_->free(*lane_, lives[i]).error(), Errc::double_free);
        EXPECT_EQ(pool_->cancel(*lane_, lives[i]).error(), Errc::double_free);
        EXPECT_EQ(pool_->slot_data(lives[i]).error(), Errc::double_free);
        EXPECT_EQ(pool_->slot_data_mut(lives[i]).error(), Errc::double_free);
        EXPECT_EQ(pool_->slot_state(lives[i]), std::nullopt);
    }
    EXPECT_EQ(pool_->slot_state(lives[49]), SlotState::loaned_raw);
    EXPECT_FALSE(pool_->is_slot_free(lives[49]));
    EXPECT_TRUE(pool_->free(*lane_, lives[49]));
    EXPECT_TRUE(pool_->is_slot_free(lives[49]));
}

TEST_F(SeedContract, SkipsGenerationZeroWhenTheCounterWraps) {  // D-VS-13
    const SlotRef ref = pool_->allocate(*lane_, 1).value();
    auto& word = pool_.view().classes[0].records[ref.slot_index].word;
    word.store(make_word(0xFFFF'FFFF, SlotState::loaned_raw, lane_->index()));
    SlotRef last = ref;
    last.generation = 0xFFFF'FFFF;
    ASSERT_TRUE(pool_->free(*lane_, last));
    EXPECT_EQ(pool_->allocate(*lane_, 1).value().generation, 1U);
}

TEST_F(SeedContract, RefusesForgedNames) {  // T-VS-20
    const SlotRef good = pool_->allocate(*lane_, 1).value();
    std::vector<SlotRef> forged;
    const auto forge = [&](auto change) {
        SlotRef ref = good;
        change(ref);
        forged.push_back(ref);
    };
    for (const int value : {3, 64, 255}) {
        forge([&](SlotRef& r) { r.class_index = static_cast<std::uint8_t>(value); });
    }
    for (const int value : {1, 255}) {
        forge([&](SlotRef& r) { r.extent_index = static_cast<std::uint8_t>(value); });
        forge([&](SlotRef& r) { r.reserved = static_cast<std::uint16_t>(value); });
    }
    for (const std::uint32_t value : {8U, 1U << 24, 0x7FFF'FFFFU, no_slot}) {
        forge([&](SlotRef& r) { r.slot_index = value; });
    }
    for (const SlotRef& ref : forged) {
        EXPECT_EQ(pool_->free(*lane_, ref).error(), Errc::invalid_ref);
        EXPECT_EQ(pool_->cancel(*lane_, ref).error(), Errc::invalid_ref);
        EXPECT_EQ(pool_->slot_data(ref).error(), Errc::invalid_ref);
        EXPECT_EQ(pool_->slot_data_mut(ref).error(), Errc::invalid_ref);
        EXPECT_EQ(pool_->slot_state(ref), std::nullopt);
        EXPECT_FALSE(pool_->is_slot_free(ref));
    }
    for (const std::uint32_t generation : {0U, good.generation + 1, 0xFFFF'FFFFU}) {
        SlotRef ref = good;
        ref.generation = generation;
        EXPECT_EQ(pool_->free(*lane_, ref).error(), Errc::double_free);
        EXPECT_EQ(pool_->slot_data(ref).error(), Errc::double_free);
    }
    for (const SlotRef& never_used : {SlotRef{0, 0, 0, 5, 0}, SlotRef{2, 0, 0, 1, 0}}) {
        EXPECT_EQ(pool_->free(*lane_, never_used).error(), Errc::double_free);
        EXPECT_EQ(pool_->slot_data(never_used).error(), Errc::double_free);
    }
    EXPECT_TRUE(pool_->free(*lane_, good));
}

TEST_F(SeedContract, LeavesANewOwnerOfTheLaneAloneWhenTheOldOneWasTakenBack) {  // T-VS-24
    auto old_owner = pool_.lane(9);
    const std::uint32_t index = old_owner->index();
    const SlotRef stale = pool_->allocate(*old_owner, 1).value();
    const std::uint64_t sequence = old_owner->cell().sequence.load();
    old_owner.reset();
    EXPECT_EQ(pool_.reclaim(index).taken_back, 1U);
    const auto new_owner = pool_.lane(9);
    ASSERT_EQ(new_owner->index(), index);
    const SlotRef kept = pool_->allocate(*new_owner, 1).value();
    EXPECT_EQ(kept.slot_index, stale.slot_index);
    EXPECT_GT(new_owner->cell().sequence.load(), sequence) << "a sequence must never come back";
    recover_intent(pool_.view(), index);  // Late: decides nothing, for the intent is idle.
    EXPECT_EQ(pool_->slot_state(kept), SlotState::loaned_raw);
    EXPECT_EQ(pool_->free(*new_owner, stale).error(), Errc::double_free);
    EXPECT_TRUE(pool_->free(*new_owner, kept));
}

TEST_F(SeedContract, GivesLanesUntilNoneIsLeft) {
    std::set<std::uint32_t> lanes{lane_->index()};
    for (std::uint64_t owner = 2; owner < 9; ++owner) lanes.insert(pool_.lane(owner)->index());
    EXPECT_EQ(lanes.size(), 8U);
    EXPECT_FALSE(lanes.contains(host_lane));
    EXPECT_EQ(pool_->open_lane(99).error(), Errc::no_lane);
    pool_.reclaim(*lanes.rbegin());
    EXPECT_EQ(pool_->open_lane(99).value()->index(), *lanes.rbegin());
}

TEST_F(SeedContract, FindsTheClassOfEverySizeThatALinearSearchFinds) {
    OwnPool many(Configs{{64, 1},
                         {65, 1},
                         {100, 1},
                         {128, 1},
                         {1000, 1},
                         {65535, 1},
                         {65536, 1},
                         {65537, 1},
                         {200000, 1}});
    const auto sizes = many->classes();
    for (std::uint64_t size = 0; size <= 200001; ++size) {
        std::uint32_t expected = 0;
        while (expected < sizes.size() && sizes[expected].slot_size < size) ++expected;
        ASSERT_EQ(many.view().class_for(size), expected) << size;
    }
}

}  // namespace
}  // namespace shmpool
