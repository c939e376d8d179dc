// SPDX-License-Identifier: Apache-2.0
/// What is particular to slabs, those that say nothing in their blocks and those that do. Ids in
/// brackets are of the list of features.
#include "shmpool/heap/slab_list.hpp"

#include <set>

#include "tests/shmpool/heap/own_stack.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::OwnStack;

constexpr HeapHolder me = OwnStack::me;
constexpr std::uint64_t in_use = std::uint64_t{1} << 63;

Errc opening_error(const OwnStack& own) {
    const auto heap = open_stack_heap(own.memory.view());
    return heap ? Errc::internal_fault : heap.error().code;
}

/// Whether there is something already is known to who makes it: a file (HeapFileTest), or a host by
/// the name. To format memory says that nobody needs what is in it.
TEST(SlabStack, BeginsWithAHeader) {  // T-BS-60
    OwnStack own(HeapKind::slab_stack, 16);
    EXPECT_EQ(own.len(), 48U);
    EXPECT_EQ(std::memcmp(&own.word(24), "ALSL\0\1", 6), 0);
    EXPECT_EQ(own.word(32), 16U);
    EXPECT_EQ(own.heap->block_bytes(), 16U);
    OwnStack checked(HeapKind::checked_slab, 16);
    EXPECT_EQ(std::memcmp(&checked.word(24), "ALCK\0\1", 6), 0);
    EXPECT_EQ(checked.word(32), 24U);
    EXPECT_EQ(checked.heap->block_bytes(), 16U);
    for (const std::uint64_t bytes :
         {std::uint64_t{0}, std::uint64_t{7}, std::uint64_t{12}, std::uint64_t{1} << 63}) {
        const auto refused =
            format_heap(own.memory.view(), HeapKind::slab_stack, {.block_bytes = bytes});
        EXPECT_EQ(refused.error().code, Errc::invalid_argument);
    }
}

class SlabOpening : public testing::TestWithParam<HeapKind> {};

TEST_P(SlabOpening, RefusesWhatIsNoSlab) {  // T-BS-61
    OwnStack own(GetParam(), 16);
    EXPECT_EQ(opening_error(own), Errc::internal_fault) << "it is one";
    own.len_word() = 0;
    EXPECT_EQ(opening_error(own), Errc::damaged_header);
    own.len_word() = 47;
    EXPECT_EQ(opening_error(own), Errc::damaged_header);
    own.len_word() = 48 + 12;
    EXPECT_EQ(opening_error(own), Errc::damaged_header) << "no whole blocks";
    own.len_word() = ~std::uint64_t{0};
    EXPECT_EQ(opening_error(own), Errc::damaged_header);
    own.len_word() = 48;
    const std::uint64_t unit = own.word(32);
    own.word(32) = 1;
    EXPECT_EQ(opening_error(own), Errc::damaged_header);
    own.word(32) = unit + 8;
    EXPECT_EQ(opening_error(own), Errc::config_mismatch);
    own.word(32) = unit;
    own.word(40) = 49;
    EXPECT_EQ(opening_error(own), Errc::damaged_header);
    own.word(40) = 0;
    own.word(24) += 1;
    EXPECT_EQ(opening_error(own), Errc::wrong_magic);
    own.word(24) -= 1;
}

INSTANTIATE_TEST_SUITE_P(Kinds, SlabOpening,
                         testing::Values(HeapKind::slab_stack, HeapKind::checked_slab),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

TEST(SlabStack, HandsOutTheLastFreedFirstAndZero) {  // T-BS-62, D-BS-17
    OwnStack own(HeapKind::slab_stack, 16);
    std::vector<StackHandle> blocks;
    for (int i = 0; i < 3; ++i) {
        blocks.push_back(own.alloc(16));
        own.fill(blocks.back(), 0xEE);
    }
    for (const StackHandle& one : blocks) own.free(one);
    EXPECT_EQ(own.len(), 48U + 3 * 16) << "one block stays, also at the end";
    for (const std::size_t i : {2U, 1U, 0U}) {
        const StackHandle again = own.alloc(9);
        EXPECT_EQ(again.offset, blocks[i].offset);
        EXPECT_TRUE(own.is_zero({again.offset, 16}));
    }
}

TEST(SlabStack, MakesRunsOfBlocks) {  // T-BS-63
    OwnStack own(HeapKind::slab_stack, 8);
    const StackHandle run = own.alloc(17);
    EXPECT_EQ(own.len(), 48U + 24);
    own.free(run);
    EXPECT_EQ(own.len(), 48U) << "off the end";
    StackHandle last = own.alloc(40);
    last = own.realloc(last, 17);
    EXPECT_EQ(own.len(), 48U + 24) << "shrunk at the end";
    last = own.realloc(last, 33);
    EXPECT_TRUE(own.is_zero(last));
    EXPECT_EQ(own.len(), 48U + 40);
    (void)own.alloc(8);
    own.free(last);
    std::set<HeapOffset> freed;
    for (HeapOffset at = 48; at < 88; at += 8) freed.insert(at);
    std::set<HeapOffset> again;
    for (int i = 0; i < 5; ++i) {
        again.insert(own.alloc(8).offset);
        if (i == 0) {
            EXPECT_EQ(*again.begin(), 48U) << "the first of the run";
        }
    }
    EXPECT_EQ(again, freed);
}

TEST(SlabStack, TakesRunsFromTheEndOnly) {  // T-BS-64
    OwnStack own(HeapKind::slab_stack, 8);
    const StackHandle run = own.alloc(32);
    (void)own.alloc(8);
    own.free(run);
    EXPECT_EQ(own.alloc(16).offset, 48U + 40);
    EXPECT_EQ(own.alloc(8).offset, 48U);
}

TEST(SlabStack, ShrinksAndMovesInTheMiddle) {
    OwnStack own(HeapKind::slab_stack, 8);
    StackHandle run = own.alloc(32);
    own.fill(run, 5);
    (void)own.alloc(8);
    run = own.realloc(run, 12);
    EXPECT_EQ(run, (StackHandle{48, 12}));
    EXPECT_EQ(own.alloc(8).offset, 64U) << "the first that was cut off";
    EXPECT_EQ(own.alloc(8).offset, 72U);
    const StackHandle moved = own.realloc(run, 40);
    EXPECT_TRUE(own.holds({moved.offset, 12}, 5));
    EXPECT_TRUE(own.is_zero({moved.offset + 12, 28}));
    EXPECT_EQ(own.alloc(8).offset, 48U);
}

class Bulk : public testing::TestWithParam<HeapKind> {};

TEST_P(Bulk, IsAllOrNothing) {  // BS-05
    OwnStack own(GetParam(), 16);
    const auto blocks = own.alloc_bulk({16, 40, 0, 5});
    EXPECT_EQ(own.now().blocks, 3U);
    EXPECT_TRUE(blocks[2].is_null());
    EXPECT_EQ(broken(*own.heap, me), "");
    own.expect_error(Errc::not_allocated,
                     own.heap->dealloc_bulk(me, std::vector{blocks[0], blocks[1], blocks[0]}));
    EXPECT_EQ(own.now().blocks, 3U);
    own.expect_error(Errc::no_memory,
                     own.heap->alloc_bulk(me, std::vector<std::uint64_t>{16, own.now().capacity}));
    EXPECT_TRUE(own.heap->dealloc_bulk(me, blocks));
    EXPECT_EQ(own.len(), 48U);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Bulk, testing::Values(HeapKind::slab_stack, HeapKind::checked_slab),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

class CheckedSlabTest : public testing::Test {
protected:
    /// Blocks of 16 bytes, 8 of them for the user.
    OwnStack own{HeapKind::checked_slab, 8};
};

TEST_F(CheckedSlabTest, SaysInABlockHowLongItsRunIs) {  // T-BS-66
    const StackHandle run = own.alloc(40);
    EXPECT_EQ(run, (StackHandle{56, 40}));
    EXPECT_EQ(own.len(), 48U + 48);
    EXPECT_EQ(own.word(48), in_use | 3);
    const StackHandle one = own.alloc(8);
    own.free(one);
    EXPECT_EQ(own.len(), 48U + 48) << "off the end";
    (void)own.alloc(8);
    own.fill(run, 0xFF);
    own.free(run);
    for (const HeapOffset at : {48U, 64U, 80U}) EXPECT_EQ(own.word(at), 0U);
}

TEST_F(CheckedSlabTest, RefusesAFreeThatIsMadeTwice) {  // T-BS-67
    const StackHandle one = own.alloc(8);
    (void)own.alloc(8);
    own.free(one);
    const std::uint64_t head = own.word(40);
    own.expect_free_fails(Errc::not_allocated, one);
    EXPECT_EQ(own.word(40), head);
    own.expect_free_fails(Errc::invalid_argument, {8, 8});
    own.expect_free_fails(Errc::invalid_argument, {48, 8});
}

TEST_F(CheckedSlabTest, FindsNothingWhereNothingIsLost) {  // T-BS-68
    const StackHandle a = own.alloc(8);
    (void)own.alloc(30);
    (void)own.alloc(8);
    own.free(a);
    EXPECT_EQ(own.heap->recover(me).value(), 0U);
    EXPECT_EQ(own.heap->recover(me).value(), 0U);
    EXPECT_EQ(own.now().blocks, 2U);
}

TEST_F(CheckedSlabTest, TakesBackAFreeBlockThatIsInNoList) {  // T-BS-68
    const StackHandle a = own.alloc(8);
    const StackHandle b = own.alloc(8);
    (void)own.alloc(8);
    own.free(a);
    own.free(b);
    own.word(40) = a.offset - 8;  // b was popped, and nobody claimed it.
    EXPECT_NE(broken(*own.heap, me), "");
    EXPECT_EQ(own.heap->recover(me).value(), 0U);
    EXPECT_EQ(broken(*own.heap, me), "");
    EXPECT_EQ(own.alloc(8), b);
    EXPECT_EQ(own.alloc(8), a);
}

TEST_F(CheckedSlabTest, CutsOffAnEndThatIsNobodys) {  // T-BS-68
    (void)own.alloc(8);
    own.fill({64, 32}, 0xFF);
    own.len_word() = 96;
    own.reopen();
    EXPECT_EQ(own.len(), 64U) << "opening recovers by itself";
    EXPECT_EQ(own.heap->recover(me).value(), 0U);
}

TEST_F(CheckedSlabTest, LeavesAloneWhatItCanNotJudge) {  // T-BS-68
    const StackHandle a = own.alloc(8);
    const StackHandle b = own.alloc(8);
    const StackHandle c = own.alloc(8);
    own.fill(c, 3);
    own.word(b.offset - 8) = 0x1234'5678;
    EXPECT_EQ(own.heap->recover(me).value(), 1U);
    EXPECT_EQ(own.heap->recover(me).value(), 1U);
    own.expect_error(Errc::heap_damaged, own.heap->dealloc(me, b));
    own.free(a);
    EXPECT_TRUE(own.holds(c, 3));
    own.word(b.offset - 8) = in_use | 1;
    EXPECT_EQ(own.heap->recover(me).value(), 0U);
    own.word(c.offset - 8) = 0;
    EXPECT_EQ(own.heap->recover(me).value(), 1U) << "also the last";
    EXPECT_TRUE(own.holds(c, 3));
    own.word(c.offset - 8) = in_use | 1;
    EXPECT_EQ(own.now().blocks, 2U);
}

TEST_F(CheckedSlabTest, MakesAListAnewThatLeadsAstray) {
    std::vector<StackHandle> blocks;
    for (int i = 0; i < 4; ++i) blocks.push_back(own.alloc(8));
    own.free(blocks[0]);
    own.free(blocks[1]);
    for (const HeapOffset nonsense :
         {blocks[1].offset - 8, blocks[2].offset - 8, HeapOffset{49}, HeapOffset{48} << 30}) {
        own.word(blocks[1].offset) = nonsense;  // A circle, a live one, nowhere.
        EXPECT_EQ(own.heap->recover(me).value(), 0U);
        EXPECT_EQ(broken(*own.heap, me), "");
    }
    EXPECT_NE(own.alloc(8), own.alloc(8));
}

/// A user writes what looks like words of blocks, in every place.
TEST(CheckedSlab, IsNotFooledByWhatLooksLikeItsWords) {  // T-BS-69, D-BS-10, D-BS-12
    for (const std::uint64_t word : {in_use | 1, in_use | 2, in_use | 3, std::uint64_t{0}, in_use,
                                     ~std::uint64_t{0}, std::uint64_t{48}}) {
        OwnStack own(HeapKind::checked_slab, 8);
        const StackHandle run = own.alloc(104);
        const StackHandle small = own.alloc(8);
        const StackHandle last = own.alloc(24);
        for (const StackHandle& one : {run, small, last}) {
            for (HeapOffset at = one.offset; at + 8 <= one.end(); at += 8) own.word(at) = word;
        }
        EXPECT_EQ(own.heap->recover(me).value(), 0U);
        own.reopen();
        EXPECT_EQ(own.now().blocks, 3U);
        const StackHandle shorter = own.realloc(run, 40);
        EXPECT_EQ(own.heap->recover(me).value(), 0U);
        EXPECT_EQ(broken(*own.heap, me), "");
        own.free(shorter);
        own.free(small);
        EXPECT_EQ(own.heap->recover(me).value(), 0U);
        EXPECT_EQ(own.now().blocks, 1U);
    }
}

}  // namespace
}  // namespace shmpool
