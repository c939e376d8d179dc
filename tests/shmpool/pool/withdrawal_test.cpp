// SPDX-License-Identifier: Apache-2.0
/// Goal: the list of an extent is looked through in pieces, none of which is longer than allowed,
/// and what was seen in them is believed only as long as nobody has changed the list; an extent
/// that comes back is not looked through at all.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "shmpool/pool/detectable_stack.hpp"
#include "shmpool/pool/growth.hpp"
#include "tests/shmpool/pool/own_pool.hpp"

namespace shmpool {
namespace {

using test::Configs;
using test::OwnPool;

constexpr std::uint32_t extent_slots = 1000;
constexpr std::uint32_t links = 64;
constexpr std::uint32_t pieces = 16;  // 15 of 64 links, and one of 40.

class WithdrawalTest : public testing::Test {
protected:
    WithdrawalTest() { grow(extent_slots); }

    void grow(std::uint32_t wanted) {
        open_extent(pool_.view(), pool_.host(), plan_growth(pool_.view(), 0, wanted).value());
    }
    [[nodiscard]] DetectableStack list() const { return {pool_.view(), 0, 1}; }
    [[nodiscard]] bool is_withdrawn() const {
        return pool_.view().classes[0].extent(1).is_withdrawn();
    }

    Outcome<ByteRange> go_on() {
        return withdraw_extent(pool_.view(), pool_.host(), withdrawal_, links);
    }
    void go_on_by(std::uint32_t count) {
        for (std::uint32_t i = 0; i < count; ++i) {
            ASSERT_EQ(go_on().error(), Errc::would_block) << i;
        }
    }
    /// To its end.
    Outcome<ByteRange> finish() {
        for (std::uint32_t i = 0; i < 4 * pieces; ++i) {
            const auto gone = go_on();
            if (gone || gone.error() != Errc::would_block) return gone;
        }
        ADD_FAILURE() << "it has no end";
        return fail(Errc::would_block);
    }
    std::vector<std::uint32_t> pop(std::uint32_t count) {
        std::vector<std::uint32_t> slots(count);
        EXPECT_EQ(list().take(*lane_, slots).count, count);
        return slots;
    }
    /// In another order, but the first stays.
    void push(std::vector<std::uint32_t> slots) {
        std::reverse(slots.begin() + 1, slots.end());
        list().give(*lane_, slots);
    }

    OwnPool pool_{Configs{{64, 4, 4 + 5 * extent_slots}}};
    std::unique_ptr<Lane> lane_ = pool_.lane();
    Withdrawal withdrawal_{0, 1};
};

TEST_F(WithdrawalTest, FollowsNoMoreLinksInOneGoThanItMay) {
    for (std::uint32_t piece = 1; piece < pieces; ++piece) {
        ASSERT_EQ(go_on().error(), Errc::would_block);
        EXPECT_EQ(withdrawal_.walk.count, piece * links);
        EXPECT_FALSE(is_withdrawn());
    }
    EXPECT_TRUE(go_on());
    EXPECT_EQ(withdrawal_.walk.count, extent_slots);
    EXPECT_TRUE(is_withdrawn());
    EXPECT_EQ(test::broken(pool_.view()), "");
}

TEST_F(WithdrawalTest, EndsSoonWhereMostSlotsAreInUse) {
    const auto slots = pop(extent_slots - 10);
    EXPECT_EQ(go_on().error(), Errc::extent_in_use);
    list().give(*lane_, slots);
}

/// Those that the walk has passed already, too.
TEST_F(WithdrawalTest, KeepsAnExtentOfWhichASlotIsTakenInBetween) {
    for (std::uint32_t piece = 0; piece < pieces; ++piece) {
        withdrawal_ = {0, 1};
        go_on_by(piece);
        const auto slots = pop(1);
        EXPECT_EQ(finish().error(), Errc::extent_in_use) << piece;
        EXPECT_FALSE(is_withdrawn());
        push(slots);
        EXPECT_EQ(test::broken_or_not_all_free(pool_.view()), "");
    }
    withdrawal_ = {0, 1};
    EXPECT_TRUE(finish());
}

/// The same slot is on top again, and what follows it is not what it was.
TEST_F(WithdrawalTest, BeginsAnewWhenTheListHasChanged) {
    for (std::uint32_t piece = 1; piece < pieces; ++piece) {
        withdrawal_ = {0, 1};
        go_on_by(piece);
        push(pop(3));
        ASSERT_EQ(go_on().error(), Errc::would_block);
        EXPECT_EQ(withdrawal_.walk.count, links) << "of the list as it is now";
        EXPECT_TRUE(finish());
        EXPECT_EQ(test::broken(pool_.view()), "");
        grow(1);  // The same again.
        EXPECT_FALSE(is_withdrawn());
    }
    EXPECT_EQ(test::broken_or_not_all_free(pool_.view()), "");
}

TEST_F(WithdrawalTest, GivesUpWhereTheListChangesAllTheTime) {
    std::uint32_t calls = 1;
    while (go_on().error() == Errc::would_block) {
        ASSERT_LT(++calls, 10U);
        push(pop(1));
    }
    EXPECT_EQ(calls, 4U) << "three times it was begun, and then it had changed again";
    EXPECT_EQ(go_on().error(), Errc::extent_in_use);
    EXPECT_FALSE(is_withdrawn());
    EXPECT_EQ(test::broken_or_not_all_free(pool_.view()), "");
}

/// As it does when it serves others: nothing of the walk is written down.
TEST_F(WithdrawalTest, LeavesTheHostsLaneFreeInBetween) {
    for (std::uint32_t piece = 1; piece < pieces; ++piece) {
        ASSERT_EQ(go_on().error(), Errc::would_block);
        const auto loaned = pool_->loan(pool_.host(), 64).value();
        EXPECT_TRUE(pool_->end_loan(pool_.host(), loaned));
        recover_intent(pool_.view(), host_lane);  // Nothing to be repaired, whoever asks.
    }
    EXPECT_TRUE(go_on());
    EXPECT_EQ(test::broken(pool_.view()), "");
}

TEST_F(WithdrawalTest, IsForgottenByWhoDiesInIt) {
    go_on_by(pieces - 1);
    Lane next(pool_.view(), host_lane);
    recover_intent(pool_.view(), host_lane);
    EXPECT_EQ(test::broken_or_not_all_free(pool_.view()), "");
    EXPECT_TRUE(withdraw_extent(pool_.view(), next, 0, 1));
    EXPECT_EQ(go_on().error(), Errc::invalid_argument) << "it is not withdrawn twice";
}

/// No record of it is even looked at: they could not be read.
TEST_F(WithdrawalTest, BringsAnExtentBackWithoutAWalk) {
    ASSERT_TRUE(finish());
    const auto growth = plan_growth(pool_.view(), 0, 1).value();
    const ClassView& view = pool_.view().classes[0];
    const ByteRange records =
        whole_pages_in({view.records_offset + view.extent(1).first * sizeof(SlotRecord),
                        extent_slots * sizeof(SlotRecord)});
    std::byte* const first = pool_.pages().span().data() + records.offset;
    ASSERT_GT(records.bytes, 10 * page_bytes);
    ASSERT_EQ(::mprotect(first, records.bytes, PROT_NONE), 0);
    open_extent(pool_.view(), pool_.host(), growth);
    ASSERT_EQ(::mprotect(first, records.bytes, PROT_READ | PROT_WRITE), 0);
    EXPECT_FALSE(is_withdrawn());
    EXPECT_EQ(test::broken_or_not_all_free(pool_.view()), "");
    EXPECT_EQ(pop(extent_slots).size(), extent_slots);
}

TEST_F(WithdrawalTest, MarksThePoolWhenThereAreSlotsInThePlaceOfWhatReturns) {
    ASSERT_TRUE(finish());
    pool_.view().classes[0].extents[1].head.low = 7;
    grow(1);
    EXPECT_TRUE(pool_.view().damaged());
    EXPECT_TRUE(is_withdrawn());
}

}  // namespace
}  // namespace shmpool
