// SPDX-License-Identifier: Apache-2.0
/// Goal: magazines make the pool fast but strand nothing: at most a quarter of a class lies in
/// them, a starving lane gets what others have cached, a lane that ends leaves nothing behind.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/shmpool/pool/own_pool.hpp"

namespace shmpool {
namespace {

using test::Configs;
using test::OwnPool;
using Loaned = VarSlotPool::Loaned;

std::vector<Loaned> take_all(OwnPool& pool, Lane& lane, std::uint64_t size = 1) {
    std::vector<Loaned> all;
    for (;;) {
        const auto loaned = pool->loan(lane, size);
        if (!loaned) return all;
        all.push_back(*loaned);
    }
}

TEST(Magazines, AreNotThereForSmallClasses) {
    OwnPool pool(Configs{{64, 127}});
    EXPECT_EQ(magazine_shape(127).capacity, 0U);
    const auto lane = pool.lane();
    const auto loaned = pool->loan(*lane, 1).value();
    EXPECT_TRUE(pool->end_loan(*lane, loaned));
    EXPECT_EQ(pool.statistics(0).cached, 0U);
    EXPECT_EQ(test::broken_or_not_all_free(pool.view()), "");
}

TEST(Magazines, AreOfTheClassThatHoldsWhatIsAskedFor) {
    Configs configs;
    for (std::uint64_t i = 0; i < class_count_max; ++i) configs.push_back({100 + 40 * i, 128});
    OwnPool pool(configs);
    const auto lane = pool.lane();
    for (int round = 0; round < 2; ++round) {  // The magazines are full in the second.
        for (std::uint64_t size = 0; size <= 100 + 40 * 63; ++size) {
            const auto loaned = pool->loan(*lane, size).value();
            EXPECT_EQ(loaned.class_index, size <= 100 ? 0 : (size - 100 + 39) / 40) << size;
            EXPECT_TRUE(pool->end_loan(*lane, loaned));
            const auto ref = pool->allocate(*lane, size).value();
            EXPECT_EQ(ref.class_index, loaned.class_index);
            EXPECT_TRUE(pool->free(*lane, ref));
        }
    }
    for (const std::uint64_t size : {100 + 40 * 63 + 1UL, 65'537UL, ~0UL - 62, ~0UL}) {
        EXPECT_EQ(pool->loan(*lane, size).error(), Errc::too_large) << size;
        EXPECT_EQ(pool->allocate(*lane, size).error(), Errc::too_large) << size;
    }
}

TEST(Magazines, HoldNeverMoreThanAQuarterOfAClass) {
    for (const std::uint32_t slot_count : {128U, 160U, 256U, 1000U, 4096U}) {
        OwnPool pool(Configs{{64, slot_count}}, 40);
        std::vector<std::unique_ptr<Lane>> lanes;
        std::vector<std::vector<Loaned>> loans(40);
        for (std::uint64_t i = 0; i < 40; ++i) lanes.push_back(pool.lane(i + 1));
        for (std::uint32_t round = 0; round < slot_count; ++round) {
            const auto loaned = pool->loan(*lanes[round % 40], 1);
            if (loaned) loans[round % 40].push_back(*loaned);
        }
        for (std::size_t i = 0; i < 40; ++i) {
            for (const Loaned& one : loans[i]) ASSERT_TRUE(pool->end_loan(*lanes[i], one));
        }
        EXPECT_GT(pool.statistics(0).cached, 0U);
        EXPECT_LE(pool.statistics(0).cached, slot_count / 4) << slot_count;
        for (auto& lane : lanes) pool->flush(*lane);
        EXPECT_EQ(test::broken_or_not_all_free(pool.view()), "");
    }
}

TEST(Magazines, ArePossibleAgainForOthersWhenALaneWasTakenBack) {
    OwnPool pool(Configs{{64, 128}}, 8);  // Room for four magazines.
    std::vector<std::unique_ptr<Lane>> lanes;
    for (std::uint64_t i = 0; i < 5; ++i) {
        lanes.push_back(pool.lane(i + 1));
        const auto loaned = pool->loan(*lanes[i], 1).value();
        ASSERT_TRUE(pool->end_loan(*lanes[i], loaned));
    }
    EXPECT_TRUE(lanes[3]->open_magazine(0));
    EXPECT_FALSE(lanes[4]->open_magazine(0));
    const auto newcomer = pool.lane(9);  // Not in the dead one's lane, whose bit it would find.
    pool.reclaim(lanes[0]->index());
    EXPECT_TRUE(newcomer->open_magazine(0));
}

TEST(Magazines, KeepTheHottestSlotOnTop) {
    OwnPool pool(Configs{{64, 1024}});
    const auto lane = pool.lane();
    std::vector<Loaned> held;
    for (int i = 0; i < 200; ++i) {
        const auto loaned = pool->loan(*lane, 1).value();
        ASSERT_TRUE(pool->end_loan(*lane, loaned));
        const auto again = pool->loan(*lane, 1).value();
        EXPECT_EQ(position_of(again.key), position_of(loaned.key));
        EXPECT_EQ(generation_of(again.key), generation_of(loaned.key) + 1);
        held.push_back(again);
    }
    for (const Loaned& one : held) EXPECT_TRUE(pool->end_loan(*lane, one));
    EXPECT_EQ(test::broken(pool.view()), "");
}

TEST(Magazines, LetOneLaneTakeEverySlotOfItsClass) {
    OwnPool pool(Configs{{64, 300}});
    const auto lane = pool.lane();
    const auto all = take_all(pool, *lane);
    EXPECT_EQ(all.size(), 300U);
    EXPECT_EQ(pool.statistics(0).loaned, 300U);
    EXPECT_EQ(pool.statistics(0).high_water, 300U);
    for (const Loaned& one : all) ASSERT_TRUE(pool->end_loan(*lane, one));
    EXPECT_EQ(pool.statistics(0).allocations_total, 300U);
    pool->flush(*lane);
    EXPECT_EQ(test::broken_or_not_all_free(pool.view()), "");
}

TEST(Magazines, FallThroughToLargerClasses) {
    OwnPool pool(Configs{{64, 128}, {128, 128}, {4096, 4}});
    const auto lane = pool.lane();
    const auto all = take_all(pool, *lane);
    EXPECT_EQ(all.size(), 260U);
    EXPECT_EQ(all[127].class_index, 0U);
    EXPECT_EQ(all[128].class_index, 1U);
    EXPECT_EQ(all[256].class_index, 2U);
    EXPECT_EQ(pool->loan(*lane, 65).error(), Errc::exhausted);
    EXPECT_EQ(pool->loan(*lane, 4097).error(), Errc::too_large);
}

TEST(Magazines, GiveWhatTheyHoldToAStarvingLaneAtTheNextFree) {
    OwnPool pool(Configs{{64, 128}});
    const auto hoarder = pool.lane(1);
    const auto starving = pool.lane(2);
    const Loaned one = pool->loan(*hoarder, 1).value();
    const Loaned two = pool->loan(*hoarder, 1).value();
    EXPECT_EQ(pool.statistics(0).cached, 2U);
    const auto all = take_all(pool, *starving);
    EXPECT_EQ(all.size(), 124U) << "the cached ones are out of reach";
    EXPECT_NE(pool.view().header->pressure.load(), 0U);
    ASSERT_TRUE(pool->end_loan(*hoarder, one));
    EXPECT_EQ(pool.view().header->pressure.load(), 0U);
    EXPECT_EQ(pool.statistics(0).cached, 0U);
    EXPECT_EQ(take_all(pool, *starving).size(), 3U);
    ASSERT_TRUE(pool->end_loan(*hoarder, two));
    EXPECT_EQ(take_all(pool, *starving).size(), 1U);
}

TEST(Magazines, RelieveASmallerClassByAFreeInALargerOne) {
    OwnPool pool(Configs{{64, 4}, {128, 128}});
    const auto hoarder = pool.lane(1);
    const auto starving = pool.lane(2);
    const Loaned large = pool->loan(*hoarder, 128).value();
    take_all(pool, *starving, 1);
    const auto rung = pool.view().header->free_doorbell.load();
    ASSERT_TRUE(pool->end_loan(*hoarder, large));
    EXPECT_EQ(pool.view().header->free_doorbell.load(), rung + 1);
    EXPECT_TRUE(pool->loan(*starving, 1));
}

TEST(Magazines, DoNotRelieveALargerClassByAFreeInASmallerOne) {
    OwnPool pool(Configs{{64, 128}, {128, 4}});
    const auto lane = pool.lane(1);
    const Loaned small = pool->loan(*lane, 1).value();
    take_all(pool, *lane, 128);
    ASSERT_TRUE(pool->end_loan(*lane, small));
    EXPECT_EQ(pool.view().header->pressure.load(), 2U);
}

TEST(Magazines, WakeALoanThatWaits) {
    OwnPool pool(Configs{{64, 128}});
    const auto hoarder = pool.lane(1);
    const Loaned one = pool->loan(*hoarder, 1).value();
    const auto greedy = pool.lane(2);
    take_all(pool, *greedy);
    std::thread waiter([&] {
        const auto lane = pool.lane(3);
        const auto loaned = pool->loan(*lane, 1, Deadline::never());
        ASSERT_TRUE(loaned);
        EXPECT_TRUE(pool->end_loan(*lane, *loaned));
        pool->flush(*lane);
    });
    const auto bit_of_class = std::uint64_t{1};
    pool.view().header->pressure.store(0);
    while ((pool.view().header->pressure.load() & bit_of_class) == 0) std::this_thread::yield();
    EXPECT_TRUE(pool->end_loan(*hoarder, one));
    waiter.join();
}

TEST(Magazines, OfALaneThatWaitsServeOthers) {
    OwnPool pool(Configs{{64, 128}, {128, 1}});
    const auto waiting = pool.lane(1);
    const auto starving = pool.lane(2);
    const Loaned small = pool->loan(*waiting, 1).value();
    const Loaned large = pool->loan(*waiting, 128).value();
    EXPECT_GT(pool.statistics(0).cached, 0U);
    EXPECT_EQ(pool->loan(*waiting, 128, Deadline::after(std::chrono::milliseconds(1))).error(),
              Errc::timed_out);
    EXPECT_EQ(pool.statistics(0).cached, 0U);
    EXPECT_EQ(take_all(pool, *starving).size(), 127U);
    EXPECT_TRUE(pool->end_loan(*waiting, small));
    EXPECT_TRUE(pool->end_loan(*waiting, large));
}

TEST(Magazines, ThatAreFlushedRelieveThePressure) {
    OwnPool pool(Configs{{64, 128}});
    const auto hoarder = pool.lane(1);
    const auto starving = pool.lane(2);
    const Loaned one = pool->loan(*hoarder, 1).value();
    take_all(pool, *starving);
    const std::uint32_t rung = pool.view().header->free_doorbell.load();
    EXPECT_NE(pool.view().header->pressure.load(), 0U);
    pool->flush(*hoarder);
    EXPECT_EQ(pool.view().header->pressure.load(), 0U);
    EXPECT_NE(pool.view().header->free_doorbell.load(), rung);
    EXPECT_TRUE(pool->end_loan(*hoarder, one));
}

TEST(Magazines, OfTheDeadRelieveThePressure) {
    OwnPool pool(Configs{{64, 128}});
    const auto doomed = pool.lane(1);
    const auto starving = pool.lane(2);
    ASSERT_TRUE(pool->loan(*doomed, 1));
    take_all(pool, *starving);
    const std::uint32_t rung = pool.view().header->free_doorbell.load();
    pool.reclaim(doomed->index());
    EXPECT_EQ(pool.view().header->pressure.load(), 0U);
    EXPECT_NE(pool.view().header->free_doorbell.load(), rung);
}

TEST(Magazines, LetALoanWaitNoLongerThanItsDeadline) {
    OwnPool pool(Configs{{64, 4}});
    const auto lane = pool.lane(1);
    take_all(pool, *lane);
    EXPECT_EQ(pool->loan(*lane, 1, Deadline::after(std::chrono::milliseconds(3))).error(),
              Errc::timed_out);
    EXPECT_EQ(pool->loan(*lane, 1, Deadline::after(std::chrono::nanoseconds(-1))).error(),
              Errc::timed_out);
}

TEST(Magazines, AreEmptyAfterAFlush) {
    OwnPool pool(Configs{{64, 512}, {128, 8}, {256, 512}});
    const auto lane = pool.lane();
    for (const std::uint64_t size : {1U, 128U, 256U}) {
        const Loaned loaned = pool->loan(*lane, size).value();
        ASSERT_TRUE(pool->end_loan(*lane, loaned));
    }
    EXPECT_GT(pool.statistics(0).cached, 0U);
    pool->flush(*lane);
    pool->flush(*lane);
    EXPECT_EQ(test::broken_or_not_all_free(pool.view()), "");
}

TEST(Magazines, OfADeadLaneComeBackWhole) {
    OwnPool pool(Configs{{64, 512}, {256, 512}});
    auto lane = pool.lane();
    ASSERT_TRUE(pool->loan(*lane, 1));
    ASSERT_TRUE(pool->loan(*lane, 256));
    const std::uint32_t cached = pool.statistics(0).cached + pool.statistics(1).cached;
    EXPECT_GT(cached, 0U);
    EXPECT_EQ(pool.reclaim(lane->index()).taken_back, cached + 2);
    EXPECT_EQ(test::broken_or_not_all_free(pool.view()), "");
}

TEST(Magazines, AreNeverOpenedByTheHost) {
    OwnPool pool(Configs{{64, 512}});
    const Loaned loaned = pool->loan(pool.host(), 1).value();
    EXPECT_TRUE(pool->end_loan(pool.host(), loaned));
    EXPECT_EQ(test::broken_or_not_all_free(pool.view()), "");
}

/// From the top, in the order of the links.
std::vector<std::uint32_t> listed(const PoolView& view) {
    const DetectableStack stack(view, 0);
    std::vector<std::uint32_t> all;
    for (std::uint32_t slot = stack.top(); slot != no_slot; slot = stack.next(slot)) {
        all.push_back(slot);
    }
    return all;
}

class ChainOfAMagazine : public ::testing::Test {
protected:
    ChainOfAMagazine() {
        std::vector<Loaned> all;
        for (std::uint32_t i = 0; i < chain; ++i) all.push_back(*pool_->loan(*lane_, 1));
        for (const Loaned& one : all) EXPECT_TRUE(pool_->end_loan(*lane_, one));
        pool_->flush(*lane_);
    }
    static constexpr std::uint32_t chain = magazine_capacity_max;
    OwnPool pool_{Configs{{64, 4096}}};
    std::unique_ptr<Lane> lane_ = pool_.lane();
};

TEST_F(ChainOfAMagazine, SaysWhatComesFurtherOn) {
    const auto order = listed(pool_.view());
    const auto after = [&](std::uint32_t i, std::uint32_t links) {
        return i + links < chain ? order[i + links] : no_slot;
    };
    for (std::uint32_t i = 0; i < chain; ++i) {
        const std::uint64_t further = pool_.view().classes[0].records[order[i]].further;
        EXPECT_EQ(further_near(further), after(i, near_links)) << i;
        EXPECT_EQ(further_far(further), after(i, far_links)) << i;
    }
}

TEST_F(ChainOfAMagazine, IsTakenInItsOrderWhateverIsSaidOfWhatComesFurtherOn) {  // I6
    const auto order = listed(pool_.view());
    std::uint64_t nonsense = 0;
    for (const std::uint32_t slot : order) {
        pool_.view().classes[0].records[slot].further = nonsense;
        nonsense = nonsense * 6364136223846793005U + 1442695040888963407U;
    }
    for (std::uint32_t i = 0; i < chain; ++i) {
        EXPECT_EQ(position_of(pool_->loan(*lane_, 1)->key), order[i]) << i;
    }
    EXPECT_FALSE(pool_.view().damaged());
    pool_.reclaim(lane_->index());
    lane_.reset();
}

}  // namespace
}  // namespace shmpool
