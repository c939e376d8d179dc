// SPDX-License-Identifier: Apache-2.0
/// A class that shrinks is looked through in pieces, like everything that takes its time: what
/// others do in between, and who is no longer there, harms nothing.
#include "pool_growth_rig.hpp"

namespace shmpool::testing_protocol {
namespace {

/// How many pieces it takes to look through that many slots.
constexpr int pieces_of(std::uint32_t slots) {
    return static_cast<int>((slots + links - 1) / links);
}

class PoolShrinkingTest : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(its.finished(its.growth.grow(large, first_step)));
        ASSERT_TRUE(its.finished(its.growth.grow(large, second_step)));
    }
    [[nodiscard]] std::uint32_t slots() {
        return static_cast<std::uint32_t>(slots_in_service(host.pool().view(), 1));
    }
    [[nodiscard]] bool is_withdrawn(std::uint32_t extent_index) {
        return host.pool().view().classes[1].extent(extent_index).is_withdrawn();
    }
    void expect_all_is_well() {
        its.do_all();
        EXPECT_EQ(its.finished(its.growth.grow(large, second_step)).value(), second_step);
        const std::vector<SlotRef> all = fill(peer, large);
        EXPECT_EQ(all.size(), second_step);
        EXPECT_EQ(spoilt(peer, all), 0U) << "each has its memory";
        free_all(peer, all);
        EXPECT_EQ(what_is_missing(host.pool()), "");
    }

    static constexpr std::uint32_t first_step = 200;
    static constexpr std::uint32_t second_step = 700;
    static constexpr int look_at_the_last = pieces_of(second_step - first_step);
    static constexpr int look_at_the_one_before = pieces_of(first_step - at_first);

    TestHost host{growing_shape()};
    TestPeer peer{host, host.admit()};
    GrowingHost its{host};
    const std::uint64_t taken_at_first = taken_bytes(host);
};

TEST_F(PoolShrinkingTest, LooksAtNoMoreSlotsInOneGoThanItMay) {
    const auto less = its.growth.shrink(large, 0);
    EXPECT_EQ(slots(), second_step) << "nothing is done at once";
    its.do_pieces(look_at_the_last - 1);
    EXPECT_EQ(slots(), second_step);
    its.do_pieces(1);
    EXPECT_EQ(slots(), first_step);
    EXPECT_FALSE(its.is_over(less));
    const std::uint64_t taken = taken_bytes(host);
    its.do_pieces(1);
    EXPECT_LT(taken_bytes(host), taken) << "its memory goes before the next one is looked at";
    EXPECT_EQ(its.finished(less).value(), at_first);
    expect_all_is_well();
}

TEST_F(PoolShrinkingTest, TakesTurnsWithOthers) {
    const auto less = its.growth.shrink(large, 0);
    const auto other = its.growth.grow(small, at_first + 1);
    its.do_pieces(2 * 4);  // To plan, to take records and payload, to open.
    EXPECT_TRUE(its.is_over(other));
    EXPECT_EQ(slots(), second_step) << "and the look is not at its end";
    EXPECT_EQ(its.finished(less).value(), at_first);
}

TEST_F(PoolShrinkingTest, KeepsAnExtentOfWhichASlotIsTakenInBetween) {
    for (int pieces = 0; pieces < look_at_the_last; ++pieces) {
        const auto less = its.growth.shrink(large, first_step);
        its.do_pieces(pieces);
        std::vector<SlotRef> taken;
        while (taken.empty() || taken.back().extent_index != 2) {
            taken.push_back(peer.pool().allocate(peer.lane(), large).value());
        }
        EXPECT_EQ(its.finished(less).error().code, Errc::extent_in_use) << pieces;
        EXPECT_FALSE(is_withdrawn(2));
        free_all(peer, taken);
        EXPECT_EQ(what_is_missing(host.pool()), "");
    }
    EXPECT_EQ(its.finished(its.growth.shrink(large, 0)).value(), at_first);
}

TEST_F(PoolShrinkingTest, ThatIsGivenUpGoesNoFurther) {
    for (int pieces = 0; pieces < look_at_the_last + look_at_the_one_before; ++pieces) {
        const auto less = its.growth.shrink(large, 0);
        its.do_pieces(pieces);
        its.growth.give_up(*less);
        its.do_all();
        EXPECT_FALSE(its.is_over(less));
        EXPECT_EQ(is_withdrawn(2), pieces >= look_at_the_last) << pieces;
        EXPECT_FALSE(is_withdrawn(1)) << pieces;
        expect_all_is_well();
    }
}

/// What is withdrawn is what the next host finds; it knows of nothing else, and misses nothing.
TEST_F(PoolShrinkingTest, IsForgottenWithTheHostThatWasAtIt) {
    for (int pieces = 0; pieces < look_at_the_last + 2; ++pieces) {
        {
            GrowingHost dying(host);
            ASSERT_TRUE(dying.growth.shrink(large, 0));
            dying.do_pieces(pieces);
        }
        its.growth.take_over();
        its.do_all();
        EXPECT_EQ(slots(), pieces < look_at_the_last ? second_step : first_step) << pieces;
        const std::uint64_t payload = (slots() - at_first) * large;
        const std::uint64_t records = limit * sizeof(SlotRecord);
        EXPECT_LE(taken_bytes(host), taken_at_first + payload + records) << pieces;
        expect_all_is_well();
    }
}

TEST_F(PoolShrinkingTest, AnswersWhoAsksForMoreWhenThereIsMore) {
    for (const std::uint32_t wanted : {at_first, second_step, limit}) {
        const auto less = its.growth.shrink(large, 0);
        its.do_pieces(3);
        const auto more = its.growth.grow(large, wanted);
        its.do_pieces(1);
        EXPECT_FALSE(its.is_over(more)) << "there may be fewer in a moment";
        EXPECT_GE(its.finished(more).value(), wanted);
        EXPECT_GE(slots(), wanted);
        EXPECT_EQ(its.over.at(*less).value(), at_first);
        ASSERT_TRUE(its.finished(its.growth.grow(large, second_step)));
    }
}

TEST_F(PoolShrinkingTest, RefusesToShrinkWhatJustShrinks) {
    const auto less = its.growth.shrink(large, 0);
    its.do_pieces(3);
    EXPECT_EQ(its.growth.shrink(large, 0).error().code, Errc::would_block);
    EXPECT_EQ(its.finished(less).value(), at_first);
}

}  // namespace
}  // namespace shmpool::testing_protocol
