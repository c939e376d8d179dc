// SPDX-License-Identifier: Apache-2.0
/// Goal: a size class gets more slots while everybody works on, gives back what nobody needs, and
/// names of slots stay right through all of it; nonsense about extents harms nobody.
#include "shmpool/pool/growth.hpp"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "shmpool/pool/detectable_stack.hpp"
#include "tests/shmpool/pool/own_pool.hpp"

namespace shmpool {
namespace {

using test::Configs;
using test::OwnPool;
using Loaned = VarSlotPool::Loaned;

class GrowthTest : public testing::Test {
protected:
    bool grow(std::uint32_t wanted, std::uint32_t class_index = 0) {
        const auto growth = plan_growth(pool_.view(), class_index, wanted);
        if (growth) open_extent(pool_.view(), pool_.host(), *growth);
        return growth.has_value();
    }
    Outcome<ByteRange> withdraw(std::uint32_t extent_index) {
        return withdraw_extent(pool_.view(), pool_.host(), 0, extent_index);
    }
    /// All that can be had of class 0, by their names.
    std::vector<SlotRef> allocate_all() {
        std::vector<SlotRef> all;
        for (;;) {
            const auto ref = pool_->allocate(*lane_, 64);
            if (!ref || ref->class_index != 0) return all;
            all.push_back(*ref);
        }
    }
    void free_all(const std::vector<SlotRef>& refs) {
        for (const SlotRef& ref : refs) EXPECT_TRUE(pool_->free(*lane_, ref));
        pool_->flush(*lane_);
    }
    std::uint32_t slot_count() const { return pool_.statistics(0).slot_count; }

    OwnPool pool_{Configs{{64, 4, 400}}};
    std::unique_ptr<Lane> lane_ = pool_.lane();
};

std::uint32_t extents_of(const std::vector<SlotRef>& refs) {
    std::set<std::uint32_t> extents;
    for (const SlotRef& ref : refs) extents.insert(ref.extent_index);
    return static_cast<std::uint32_t>(extents.size());
}

TEST_F(GrowthTest, GivesSlotsToWhoHadNone) {
    std::vector<SlotRef> all = allocate_all();
    EXPECT_EQ(all.size(), 4U);
    ASSERT_TRUE(grow(8));
    const auto more = allocate_all();
    EXPECT_EQ(more.size(), 8U);
    all.insert(all.end(), more.begin(), more.end());
    EXPECT_EQ(extents_of(all), 2U);
    EXPECT_EQ(pool_->extent_count(0), 2U);
    std::set<std::byte*> places;
    for (const SlotRef& ref : all) places.insert(pool_->slot_data_mut(ref).value().data());
    EXPECT_EQ(places.size(), 12U) << "each lies somewhere else";
    EXPECT_EQ(more.front().extent_index, 1U);
    EXPECT_EQ(more.front().slot_index, 0U) << "counted within its extent";
    free_all(all);
    EXPECT_EQ(pool_->free(*lane_, more.front()).error(), Errc::double_free);
    EXPECT_EQ(test::broken_or_not_all_free(pool_.view()), "");
}

TEST_F(GrowthTest, NamesTheMemoryThatItNeeds) {
    const PoolLayout& layout = pool_.layout();
    const auto growth = plan_growth(pool_.view(), 0, 8).value();
    EXPECT_EQ(growth.extent_index, 1U);
    EXPECT_EQ(growth.slot_count, 8U);
    EXPECT_EQ(growth.records, (ByteRange{layout.classes[0].records_offset + 4 * 64, 8 * 64}));
    EXPECT_EQ(growth.payload, (ByteRange{layout.classes[0].payload_offset + 4 * 64, 8 * 64}));
    const ByteRange unused = unused_records(pool_.view(), 0);
    EXPECT_EQ(unused.offset, layout.classes[0].records_offset + page_bytes);
    EXPECT_EQ(unused.end(), layout.control_bytes - page_bytes) << "whole pages of them";
}

TEST_F(GrowthTest, EndsAtTheLimit) {
    ASSERT_TRUE(grow(390));
    ASSERT_TRUE(grow(100)) << "as many as there may be";
    EXPECT_EQ(slot_count(), 400U);
    EXPECT_EQ(plan_growth(pool_.view(), 0, 1).error(), Errc::slot_limit_reached);
    EXPECT_EQ(plan_growth(pool_.view(), 0, 0).error(), Errc::invalid_argument);
    EXPECT_EQ(plan_growth(pool_.view(), 1, 1).error(), Errc::invalid_argument);
    OwnPool fixed(Configs{{64, 4}});
    EXPECT_EQ(plan_growth(fixed.view(), 0, 1).error(), Errc::slot_limit_reached);
}

TEST_F(GrowthTest, EndsWithTheLastExtentOfTheTable) {
    for (std::uint32_t i = 1; i < extent_count_max; ++i) ASSERT_TRUE(grow(1)) << i;
    EXPECT_EQ(plan_growth(pool_.view(), 0, 1).error(), Errc::slot_limit_reached);
    EXPECT_EQ(allocate_all().size(), 4 + extent_count_max - 1);
    EXPECT_EQ(test::broken(pool_.view()), "");
}

TEST_F(GrowthTest, IsLearnedByOthersWhenTheyMeetIt) {
    VarSlotPool other = VarSlotPool::attach(pool_.region()).value();
    auto lane = other.open_lane(9).value();
    ASSERT_TRUE(grow(8));
    const std::vector<SlotRef> all = allocate_all();
    ASSERT_EQ(all.size(), 12U);
    pool_->slot_data_mut(all.back()).value()[0] = std::byte{7};
    EXPECT_EQ(other.slot_data(all.back()).value()[0], std::byte{7});
    EXPECT_TRUE(other.free(*lane, all.back())) << "by its name";
    EXPECT_EQ(other.allocate(*lane, 1)->extent_index, 1U);
    VarSlotPool late = VarSlotPool::attach(pool_.region()).value();
    EXPECT_EQ(late.extent_count(0), 2U);
}

/// A slot of a later extent has one name, not also that of a slot behind the first extent's last.
TEST_F(GrowthTest, TellsANameFromAnotherOfTheSamePosition) {
    ASSERT_TRUE(grow(396));
    ASSERT_TRUE(lane_->open_magazine(0));
    std::vector<SlotRef> some;  // Not all: who starves has others give, past the magazines.
    for (int i = 0; i < 40; ++i) some.push_back(pool_->allocate(*lane_, 64).value());
    ASSERT_GT(extents_of(some), 1U);
    for (const SlotRef& ref : some) {
        if (ref.extent_index == 0) continue;
        const SlotRef forged{0, 0, 0, ref.slot_index + 4, ref.generation};
        EXPECT_EQ(pool_->free(*lane_, forged).error(), Errc::invalid_ref) << ref.slot_index;
    }
    free_all(some);
    EXPECT_EQ(test::broken_or_not_all_free(pool_.view()), "");
}

TEST_F(GrowthTest, IsLearnedByWhoFindsNothing) {
    VarSlotPool other = VarSlotPool::attach(pool_.region()).value();
    auto lane = other.open_lane(9).value();
    ASSERT_EQ(allocate_all().size(), 4U);
    EXPECT_EQ(other.allocate(*lane, 1).error(), Errc::exhausted);
    ASSERT_TRUE(grow(8));
    EXPECT_EQ(other.allocate(*lane, 1)->extent_index, 1U);
}

TEST_F(GrowthTest, WakesWhoWaitsForASlot) {
    ASSERT_EQ(allocate_all().size(), 4U);
    std::thread waiting([&] {
        const auto lane = pool_.lane(9);
        const auto loaned = pool_->loan(*lane, 64, Deadline::after(std::chrono::seconds(30)));
        EXPECT_TRUE(loaned);
    });
    while ((pool_.view().header->pressure.load() & 1) == 0) std::this_thread::yield();
    ASSERT_TRUE(grow(1));
    EXPECT_EQ(pool_.view().header->pressure.load() & 1, 0U) << "the bell was rung";
    waiting.join();
}

TEST_F(GrowthTest, GivesMagazinesToAClassThatWasTooSmall) {
    const auto loaned = pool_->loan(*lane_, 64).value();
    EXPECT_FALSE(lane_->open_magazine(0));
    ASSERT_TRUE(grow(396));
    EXPECT_TRUE(lane_->open_magazine(0));
    std::vector<Loaned> all{loaned};
    for (int i = 0; i < 399; ++i) all.push_back(pool_->loan(*lane_, 64).value());
    for (const Loaned& one : all) EXPECT_TRUE(pool_->end_loan(*lane_, one));
    EXPECT_GT(pool_.statistics(0).cached, 0U);
    pool_->flush(*lane_);
    EXPECT_EQ(test::broken_or_not_all_free(pool_.view()), "") << "each in the list of its extent";
}

TEST_F(GrowthTest, GivesBackWhatNobodyUses) {
    ASSERT_TRUE(grow(300));
    const std::vector<SlotRef> all = allocate_all();
    EXPECT_EQ(withdraw(1).error(), Errc::extent_in_use) << "all of them are used";
    free_all({all.begin() + 1, all.end() - 1});
    EXPECT_EQ(withdraw(1).error(), Errc::extent_in_use) << "one of them is";
    EXPECT_EQ(test::broken(pool_.view()), "");
    free_all({all.back()});
    const ByteRange given = withdraw(1).value();
    EXPECT_GT(given.bytes, 300 * 64U - 2 * page_bytes);
    EXPECT_EQ(given.offset % page_bytes, 0U);
    EXPECT_GE(given.offset, pool_.layout().classes[0].payload_offset + 4 * 64);
    EXPECT_EQ(slots_in_service(pool_.view(), 0), 4U);
    EXPECT_EQ(withdraw(1).error(), Errc::invalid_argument) << "already";
    EXPECT_EQ(test::broken(pool_.view()), "");
    EXPECT_EQ(allocate_all().size(), 3U);
    EXPECT_EQ(pool_->slot_data(all.back()).error(), Errc::double_free);
    EXPECT_EQ(pool_->free(*lane_, all.back()).error(), Errc::double_free);
    const std::uint64_t end = pool_.layout().classes[0].payload_offset + 400 * 64;
    const ByteRange all_behind{given.offset, align_down(end, page_bytes) - given.offset};
    EXPECT_EQ(unused_payload(pool_.view(), 0), std::vector{all_behind})
        << "with the room that it has not grown into: one range";
}

TEST_F(GrowthTest, LetsWhatWasGivenBackReturn) {
    ASSERT_TRUE(grow(300));
    const std::vector<SlotRef> before = allocate_all();
    free_all(before);
    ASSERT_TRUE(withdraw(1));
    const auto growth = plan_growth(pool_.view(), 0, 1).value();
    EXPECT_EQ(growth.extent_index, 1U) << "before a new one is made";
    EXPECT_EQ(growth.slot_count, 300U);
    EXPECT_EQ(growth.records, ByteRange{}) << "they were never given back";
    open_extent(pool_.view(), pool_.host(), growth);
    const std::vector<SlotRef> again = allocate_all();
    EXPECT_EQ(again.size(), 304U);
    for (const SlotRef& ref : again) EXPECT_GT(ref.generation, 1U) << "another life";
    EXPECT_EQ(pool_->free(*lane_, before.back()).error(), Errc::double_free);
    free_all(again);
    EXPECT_EQ(test::broken_or_not_all_free(pool_.view()), "");
}

TEST_F(GrowthTest, NeverGivesBackTheFirstExtentOrOneThatIsNot) {
    EXPECT_EQ(withdraw(0).error(), Errc::invalid_argument);
    EXPECT_EQ(withdraw(1).error(), Errc::invalid_argument);
    EXPECT_EQ(withdraw_extent(pool_.view(), pool_.host(), 1, 0).error(), Errc::invalid_argument);
}

TEST_F(GrowthTest, TakesFromTheFirstExtentsFirstSoThatTheLastComeToBeEmpty) {
    ASSERT_TRUE(grow(4));
    std::vector<SlotRef> all = allocate_all();
    free_all(all);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(pool_->allocate(*lane_, 64)->extent_index, 0U);
    EXPECT_TRUE(withdraw(1));
}

TEST_F(GrowthTest, TakesBackWhatTheDeadHeldOfEveryExtent) {
    ASSERT_TRUE(grow(300));
    ASSERT_EQ(allocate_all().size(), 304U);
    EXPECT_EQ(pool_.reclaim(lane_->index()).taken_back, 304U);
    EXPECT_EQ(test::broken_or_not_all_free(pool_.view()), "");
}

/// Killed between the exchange and the words: nothing but its intent says that it has them.
TEST_F(GrowthTest, TakesBackWhatADeadLaneWasTakingFromAnExtentThatIsNews) {
    VarSlotPool other = VarSlotPool::attach(pool_.region()).value();
    Lane others_host(other.view(), host_lane);
    open_extent(other.view(), others_host, plan_growth(other.view(), 0, 8).value());
    const auto dying = other.open_lane(9).value();
    std::uint32_t slots[3];
    ASSERT_EQ(DetectableStack(other.view(), 0, 1).take(*dying, slots).count, 3U);
    EXPECT_EQ(pool_.reclaim(dying->index()).taken_back, 3U);
    EXPECT_EQ(test::broken_or_not_all_free(pool_.view()), "");
}

TEST_F(GrowthTest, IgnoresExtentsThatCanNotBe) {
    ClassImage& image = *pool_.view().classes[0].image;
    for (const std::uint32_t nonsense : {extent_count_max + 1, 0xFFFF'FFFFU, 2U, 3U}) {
        image.extent_count.store(nonsense);  // Extents of no slots, for those that may be.
        EXPECT_EQ(pool_->extent_count(0), 1U) << nonsense;
        EXPECT_NE(test::broken(pool_.view()), "") << "but doctor sees it";
    }
    pool_.view().classes[0].extents[1].slot_count.store(397);
    EXPECT_EQ(pool_->extent_count(0), 1U) << "one more than there is room for";
    EXPECT_EQ(allocate_all().size(), 4U);
    EXPECT_EQ(pool_->free(*lane_, SlotRef{0, 1, 0, 0, 1}).error(), Errc::invalid_ref);
}

TEST_F(GrowthTest, BelievesNoMoreExtentsThanTheTableHas) {
    while (grow(1)) {
    }
    const ClassView& view = pool_.view().classes[0];
    view.extents[extent_count_max].slot_count.store(1);  // Whatever lies behind the table.
    view.image->extent_count.store(extent_count_max + 1);
    EXPECT_EQ(pool_->extent_count(0), extent_count_max);
}

TEST_F(GrowthTest, MarksThePoolWhenAnExtentsListBeginsNowhere) {
    ASSERT_TRUE(grow(8));
    ASSERT_TRUE(withdraw(1));
    pool_.view().classes[0].extents[1].withdrawn.store(4711);
    EXPECT_NE(test::broken(pool_.view()), "");
    ASSERT_TRUE(grow(8));
    EXPECT_TRUE(pool_.view().damaged());
}

TEST_F(GrowthTest, IsAuditedWhenAnExtentIsUsedThoughItIsWithdrawn) {
    ASSERT_TRUE(grow(8));
    const auto ref = allocate_all().back();
    ASSERT_EQ(ref.extent_index, 1U);
    pool_.view().classes[0].extents[1].withdrawn.store(1);
    EXPECT_NE(test::broken(pool_.view()), "");
}

TEST_F(GrowthTest, IsOfOneClassOnly) {
    OwnPool two(Configs{{64, 4, 40}, {128, 4, 40}});
    open_extent(two.view(), two.host(), plan_growth(two.view(), 1, 36).value());
    EXPECT_EQ(two.statistics(0).slot_count, 4U);
    EXPECT_EQ(two.statistics(1).slot_count, 40U);
    const auto lane = two.lane();
    std::set<std::byte*> places;
    for (int i = 0; i < 44; ++i) {
        places.insert(two->slot_data_mut(two->allocate(*lane, 64).value()).value().data());
    }
    EXPECT_EQ(places.size(), 44U) << "small ones fall through to the large";
}

}  // namespace
}  // namespace shmpool
