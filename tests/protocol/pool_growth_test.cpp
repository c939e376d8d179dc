// SPDX-License-Identifier: Apache-2.0
/// The host's verbs on size classes: memory comes in pieces and goes in pieces, and nobody else
/// waits for them.
#include <gmock/gmock.h>

#include "pool_growth_rig.hpp"

namespace shmpool::testing_protocol {
namespace {

using ::testing::HasSubstr;

class PoolGrowthTest : public ::testing::Test {
protected:
    /// As the kernel has it, and as everybody is told.
    [[nodiscard]] std::uint64_t taken() { return taken_bytes(host); }
    [[nodiscard]] std::uint64_t shown() { return host.segment().header().committed_bytes.load(); }
    Result<std::uint32_t> grow(std::uint64_t slot_bytes, std::uint32_t to_slots) {
        return its.finished(its.growth.grow(slot_bytes, to_slots));
    }
    Result<std::uint32_t> shrink(std::uint64_t slot_bytes, std::uint32_t keep_slots = 0) {
        return its.finished(its.growth.shrink(slot_bytes, keep_slots));
    }
    [[nodiscard]] PieceRules rules() {
        PieceRules rules = growth_pieces();
        rules.commit = [this](const Descriptor& object, std::uint64_t offset,
                              std::uint64_t bytes) -> Result<void> {
            if (pieces_left == 0) return fail(Errc::out_of_memory, "no piece is left");
            --pieces_left;
            return commit_checked(object, offset, bytes);
        };
        rules.check = [this](const Descriptor& object, std::uint64_t offset,
                             std::uint64_t bytes) -> Result<void> {
            ++asks;
            if (bytes > available_bytes) return fail(Errc::out_of_memory, "there is too little");
            return check_memory_for(object, offset, bytes);
        };
        return rules;
    }

    int asks = 0;  ///< Whether there is memory enough.
    int pieces_left = 1'000'000;
    std::uint64_t available_bytes = 1ULL << 40U;
    TestHost host{growing_shape()};
    TestPeer peer{host, host.admit()};
    GrowingHost its{host, rules()};
    const std::uint64_t taken_at_first = taken();
    const std::uint64_t shown_at_first = shown();
};

// --- grow ----------------------------------------------------------------------------------------

TEST_F(PoolGrowthTest, GivesAClassMoreSlotsAndTheirMemory) {
    const std::vector<SlotRef> before = fill(peer, large);
    EXPECT_EQ(before.size(), at_first);
    EXPECT_EQ(grow(large, 200).value(), 200U);
    const std::uint64_t payload = (200 - at_first) * large;
    const std::uint64_t records = (200 - at_first) * sizeof(SlotRecord);
    EXPECT_GE(taken(), taken_at_first + payload + records - page_bytes)
        << "so that nobody dies of a lack of it";
    EXPECT_LE(taken(), taken_at_first + payload + records + 2 * page_bytes);
    EXPECT_GE(shown(), shown_at_first + payload);
    const std::vector<SlotRef> more = fill(peer, large);
    EXPECT_EQ(more.size(), 200 - at_first);
    EXPECT_EQ(spoilt(peer, before), 0U);
    free_all(peer, before);
    free_all(peer, more);
    EXPECT_EQ(what_is_missing(host.pool()), "");
}

TEST_F(PoolGrowthTest, ChangesNothingWhenAskedAgain) {
    EXPECT_EQ(grow(large, 200).value(), 200U);
    const std::uint64_t taken_then = taken();
    EXPECT_EQ(grow(large, 200).value(), 200U);
    EXPECT_EQ(grow(large, 7).value(), 200U) << "it has more";
    EXPECT_EQ(taken(), taken_then);
    EXPECT_EQ(host.pool().extent_count(1), 2U);
}

TEST_F(PoolGrowthTest, TakesItsMemoryInPiecesOfWhichEachClassHasItsTurn) {
    const auto one = its.growth.grow(large, limit);
    const auto other = its.growth.grow(small, 2 * at_first);
    its.do_pieces(8);
    EXPECT_TRUE(its.is_over(other)) << "what is small does not wait for what is large";
    EXPECT_FALSE(its.is_over(one));
    EXPECT_EQ(host.pool().extent_count(1), 1U) << "and nobody sees it before it is all there";
    EXPECT_EQ(its.finished(one).value(), limit);
}

TEST_F(PoolGrowthTest, AnswersAllWhoWaitForAClass) {
    const auto little = its.growth.grow(large, 100);
    its.do_pieces(2);
    const auto much = its.growth.grow(large, 500);
    const auto same = its.growth.grow(large, 500);
    its.do_all();
    EXPECT_EQ(its.over.at(*little).value(), 100U);
    EXPECT_EQ(its.over.at(*much).value(), 500U);
    EXPECT_EQ(its.over.at(*same).value(), 500U);
    EXPECT_EQ(host.pool().extent_count(1), 3U);
}

TEST_F(PoolGrowthTest, RefusesWhatCanNotBe) {
    const auto too_many = its.growth.grow(large, limit + 1);
    ASSERT_FALSE(too_many);
    EXPECT_EQ(too_many.error().code, Errc::slot_limit_reached);
    EXPECT_THAT(too_many.error().message,
                HasSubstr("the class of 4096 bytes has 64 slots and may have 1024, not 1025"));
    for (const auto& refused : {its.growth.grow(1000, 1), its.growth.shrink(1000, 0)}) {
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::invalid_argument);
        EXPECT_THAT(refused.error().message,
                    HasSubstr("no class of 1000 bytes; the classes have slots of 256, 4096 bytes"));
    }
    EXPECT_FALSE(its.growth.has_work());
}

TEST_F(PoolGrowthTest, TakesNothingWhereThereIsTooLittle) {
    available_bytes = 3 * piece_bytes;
    const auto refused = grow(large, 500);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::out_of_memory);
    EXPECT_THAT(refused.error().message, HasSubstr("the class of 4096 bytes: there is too little"));
    EXPECT_EQ(taken(), taken_at_first);
    EXPECT_EQ(shown(), shown_at_first);
}

/// To ask takes as long as to take a good part of a piece.
TEST_F(PoolGrowthTest, DoesNotAskTwiceForTheSameMemory) {
    EXPECT_EQ(grow(large, 500).value(), 500U);
    EXPECT_LE(asks, 2) << "for the payload, and for what the records add to it";
}

TEST_F(PoolGrowthTest, GivesBackWhatItHasTakenWhenThereIsNoMore) {
    for (const int pieces : {0, 1, 2, 5, 9}) {
        pieces_left = pieces;
        const auto refused = grow(large, 500);
        ASSERT_FALSE(refused) << pieces;
        EXPECT_EQ(refused.error().code, Errc::out_of_memory);
        EXPECT_EQ(taken(), taken_at_first) << pieces;
    }
    pieces_left = 1000;
    EXPECT_EQ(grow(large, 500).value(), 500U);
    EXPECT_EQ(fill(peer, large).size(), 500U);
}

TEST_F(PoolGrowthTest, KeepsOneStepWhenThereIsNoMemoryForTheNext) {
    const auto little = its.growth.grow(large, 100);
    its.do_pieces(1);
    const auto much = its.growth.grow(large, 1000);
    pieces_left = 5;
    its.do_all();
    EXPECT_EQ(its.over.at(*little).value(), 100U);
    EXPECT_EQ(its.over.at(*much).error().code, Errc::out_of_memory);
    EXPECT_EQ(fill(peer, large).size(), 100U);
}

/// Whoever wants less is not told that there is too little for somebody who wants more.
TEST_F(PoolGrowthTest, TriesLessWhenThereIsTooLittleForMore) {
    available_bytes = 3 * piece_bytes;
    const auto much = its.growth.grow(large, 900);
    const auto little = its.growth.grow(large, 80);
    its.do_all();
    EXPECT_EQ(its.over.at(*much).error().code, Errc::out_of_memory);
    EXPECT_EQ(its.over.at(*little).value(), 80U);
}

/// 255 extents must do, however small the steps are that somebody asks for.
TEST_F(PoolGrowthTest, ReachesItsLimitInSmallSteps) {
    std::uint32_t slots = at_first;
    while (slots < limit) {
        const std::uint32_t now = grow(small, slots + 1).value();
        ASSERT_GT(now, slots);
        slots = now;
    }
    EXPECT_LE(host.pool().extent_count(0), extent_count_max);
    EXPECT_EQ(fill(peer, small).size(), limit);
}

// --- given up ------------------------------------------------------------------------------------

TEST_F(PoolGrowthTest, ThatIsGivenUpLeavesNothing) {
    for (int pieces = 0; pieces < 12; ++pieces) {
        const auto growth = its.growth.grow(large, 500);
        its.do_pieces(pieces);
        ASSERT_FALSE(its.is_over(growth));
        its.growth.give_up(*growth);
        its.do_all();
        EXPECT_EQ(taken(), taken_at_first) << pieces;
        EXPECT_EQ(host.pool().extent_count(1), 1U);
    }
}

TEST_F(PoolGrowthTest, GoesOnForWhoStillWaits) {
    const auto one = its.growth.grow(large, 500);
    const auto other = its.growth.grow(large, 500);
    its.do_pieces(3);
    its.growth.give_up(*one);
    EXPECT_EQ(its.finished(other).value(), 500U);
    EXPECT_FALSE(its.is_over(one));
}

// --- shrink --------------------------------------------------------------------------------------

TEST_F(PoolGrowthTest, GivesTheMemoryOfUnusedSlotsBack) {
    ASSERT_TRUE(grow(large, 200));
    ASSERT_TRUE(grow(large, 700));
    free_all(peer, fill(peer, large));
    EXPECT_EQ(shrink(large).value(), at_first);
    const std::uint64_t records = limit * sizeof(SlotRecord);
    EXPECT_LE(taken(), taken_at_first + records) << "control words stay";
    EXPECT_LE(shown(), shown_at_first + records);
    EXPECT_EQ(fill(peer, large).size(), at_first);
    EXPECT_EQ(shrink(large).value(), at_first) << "there is nothing left to give";
}

TEST_F(PoolGrowthTest, KeepsWhatIsInUse) {
    ASSERT_TRUE(grow(large, 200));
    ASSERT_TRUE(grow(large, 700));
    const std::vector<SlotRef> all = fill(peer, large);
    const auto refused = shrink(large);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::extent_in_use);
    EXPECT_THAT(refused.error().message, HasSubstr("the class of 4096 bytes keeps all"));
    std::vector<SlotRef> kept;
    std::vector<SlotRef> gone;
    for (const SlotRef& ref : all) (ref.extent_index == 2 ? gone : kept).push_back(ref);
    free_all(peer, gone);
    EXPECT_EQ(shrink(large).value(), 200U);
    for (const SlotRef& ref : gone) {
        EXPECT_EQ(peer.pool().free(peer.lane(), ref).error(), Errc::double_free);
    }
    free_all(peer, kept);
    EXPECT_EQ(what_is_missing(host.pool()), "");
}

TEST_F(PoolGrowthTest, KeepsSoManySlotsAsItIsAskedTo) {
    ASSERT_TRUE(grow(large, 200));
    ASSERT_TRUE(grow(large, 700));
    EXPECT_EQ(shrink(large, 300).value(), 564U) << "the 136 that came first, and not the others";
    EXPECT_EQ(shrink(large, 300).value(), 564U);
    EXPECT_EQ(shrink(large, 64).value(), at_first);
}

TEST_F(PoolGrowthTest, WithdrawsWhatTheHostItselfHasTakenBack) {
    ASSERT_TRUE(grow(large, 700));
    for (const SlotRef& ref : fill(peer, large)) {
        EXPECT_TRUE(host.pool().free(host.lane(), ref));
    }
    EXPECT_EQ(shrink(large).value(), at_first);
}

TEST_F(PoolGrowthTest, TakesOldSlotsFirst) {
    ASSERT_TRUE(grow(large, 200));
    ASSERT_TRUE(shrink(large));
    EXPECT_EQ(grow(large, 65).value(), 200U) << "all of that extent";
    EXPECT_EQ(host.pool().extent_count(1), 2U);
    const std::vector<SlotRef> all = fill(peer, large);
    EXPECT_EQ(all.size(), 200U);
    EXPECT_EQ(spoilt(peer, all), 0U);
}

/// What is on its way back must not take the new slots' memory with it.
TEST_F(PoolGrowthTest, WaitsUntilTheMemoryThatItGaveBackIsGone) {
    const int all_pieces = (700 - at_first) / static_cast<int>(links) + 16;
    for (int pieces = 0; pieces < all_pieces; ++pieces) {
        ASSERT_TRUE(grow(large, 700));
        const auto less = its.growth.shrink(large, 0);
        ASSERT_TRUE(less);
        its.do_pieces(pieces);
        const auto more = its.growth.grow(large, 700);
        EXPECT_EQ(its.finished(more).value(), 700U);
        EXPECT_TRUE(its.is_over(less));
        EXPECT_GE(taken(), taken_at_first + (700 - at_first) * large)
            << pieces << ": before anybody touches it";
        const std::vector<SlotRef> all = fill(peer, large);
        EXPECT_EQ(all.size(), 700U);
        EXPECT_EQ(spoilt(peer, all), 0U) << pieces;
        free_all(peer, all);
    }
}

TEST_F(PoolGrowthTest, RefusesToShrinkWhatJustGrows) {
    const auto growth = its.growth.grow(large, 700);
    its.do_pieces(3);
    const auto refused = its.growth.shrink(large, 0);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::would_block);
    EXPECT_EQ(its.finished(growth).value(), 700U);
}

// --- relieve -------------------------------------------------------------------------------------

TEST_F(PoolGrowthTest, DoublesAClassForWhoHasFoundNone) {
    EXPECT_EQ(its.finished(its.growth.relieve(large, 64)).value(), 128U);
    EXPECT_EQ(its.finished(its.growth.relieve(large, 64)).value(), 128U)
        << "somebody else has asked before";
    EXPECT_EQ(its.finished(its.growth.relieve(large, 128)).value(), 256U);
    const auto one = its.growth.relieve(large, 256);
    const auto other = its.growth.relieve(large, 256);
    EXPECT_EQ(its.finished(one).value(), 512U);
    EXPECT_EQ(its.finished(other).value(), 512U) << "both have meant the same";
    EXPECT_EQ(its.finished(its.growth.relieve(large, 512)).value(), limit);
    EXPECT_EQ(its.growth.relieve(large, limit).error().code, Errc::slot_limit_reached);
}

// --- damage --------------------------------------------------------------------------------------

TEST_F(PoolGrowthTest, EndsWhenWhatWasWithdrawnIsNonsense) {
    ASSERT_TRUE(grow(large, 200));
    ASSERT_TRUE(shrink(large));
    host.pool().view().classes[1].extents[1].withdrawn.store(100'000);
    const auto refused = grow(large, 200);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::pool_damaged);
    EXPECT_TRUE(host.pool().view().damaged());
}

}  // namespace
}  // namespace shmpool::testing_protocol
