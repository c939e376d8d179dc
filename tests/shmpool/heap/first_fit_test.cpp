// SPDX-License-Identifier: Apache-2.0
/// What is particular to first_fit. Ids in brackets are of the list of features.
#include "shmpool/heap/first_fit.hpp"

#include "tests/shmpool/heap/own_stack.hpp"

namespace shmpool {
namespace {

using test::OwnStack;

constexpr HeapHolder me = OwnStack::me;

class FirstFitTest : public testing::Test {
protected:
    std::vector<StackHandle> row(const std::vector<std::uint64_t>& lengths) {
        std::vector<StackHandle> blocks;
        for (const std::uint64_t len : lengths) {
            blocks.push_back(own.alloc(len));
            own.fill(blocks.back(), 0xA0 + static_cast<unsigned>(blocks.size()));
        }
        return blocks;
    }

    OwnStack own{HeapKind::first_fit};
};

TEST_F(FirstFitTest, BeginsWithAHeader) {  // T-BS-20
    EXPECT_EQ(own.len(), 48U);
    EXPECT_EQ(std::memcmp(&own.word(16), "ALFF\0\1", 6), 0);
    EXPECT_EQ(own.heap->user_bytes(), 16U);
    own.reopen();
    own.word(16) ^= std::uint64_t{0xFF} << 48;  // What may differ.
    EXPECT_TRUE(open_stack_heap(own.memory.view()));
    own.word(16) ^= 1;
    EXPECT_EQ(open_stack_heap(own.memory.view()).error().code, Errc::wrong_magic);
    own.word(16) ^= 1;
    own.len_word() = 47;
    EXPECT_EQ(open_stack_heap(own.memory.view()).error().code, Errc::damaged_header);
    own.len_word() = 48;
}

TEST_F(FirstFitTest, HandsOutWhatWasAskedFor) {  // T-BS-21, T-BS-22
    EXPECT_EQ(own.alloc(17), (StackHandle{64, 17}));
    EXPECT_EQ(own.alloc(0), StackHandle{});
    EXPECT_EQ(own.alloc(4).offset, 64U + 24 + 24);
    EXPECT_EQ(own.alloc(4).offset, 64U + 24 + 24 + 40);
}

TEST_F(FirstFitTest, ShrinksByWhatItEndsWith) {  // T-BS-23, T-BS-24
    auto blocks = row({16, 16, 16, 16});
    own.free(blocks[1]);
    EXPECT_EQ(own.len(), 48U + 4 * 40);
    own.free(blocks[3]);
    EXPECT_EQ(own.len(), 48U + 3 * 40);
    own.free(blocks[2]);
    EXPECT_EQ(own.len(), 48U + 40) << "and the free one before";
    blocks = row({16, 16, 16});
    own.free(blocks[0]);
    own.free(blocks[1]);
    own.free(blocks[2]);
    EXPECT_EQ(own.len(), 48U + 40) << "and the free ones before";
}

TEST_F(FirstFitTest, HandsOutAgainAndZero) {  // T-BS-25, T-BS-26, T-BS-28
    const auto blocks = row({32, 16, 32, 16, 32, 16});
    for (const std::size_t i : {0U, 2U, 4U}) own.free(blocks[i]);
    for (const std::size_t i : {4U, 2U, 0U}) {
        const StackHandle again = own.alloc(24);  // Not split: the rest were none.
        EXPECT_EQ(again.offset, blocks[i].offset) << "the last freed first";
        EXPECT_TRUE(own.is_zero({again.offset, 32})) << "all of the block";
    }
}

TEST_F(FirstFitTest, SplitsFromTheBack) {  // T-BS-27
    const auto blocks = row({64, 16});
    own.free(blocks[0]);
    EXPECT_EQ(own.alloc(16), (StackHandle{blocks[0].offset + 48, 16}));
    EXPECT_EQ(own.alloc(24), (StackHandle{blocks[0].offset, 24})) << "the rest";
    EXPECT_EQ(own.len(), 48U + 88 + 40);
}

TEST_F(FirstFitTest, JoinsFreeNeighbours) {  // T-BS-29, T-BS-30
    for (const std::vector<std::size_t>& order :
         {std::vector<std::size_t>{0, 1, 2}, {2, 1, 0}, {0, 2, 1}, {1, 0, 2}}) {
        OwnStack one(HeapKind::first_fit);
        std::vector<StackHandle> blocks;
        for (int i = 0; i < 4; ++i) blocks.push_back(one.alloc(16));
        for (const StackHandle& block : blocks) one.fill(block, 0xFF);
        for (const std::size_t i : order) one.free(blocks[i]);
        for (std::uint64_t len = 88; len <= 96; ++len) {  // 3 x 16 + 2 x 24.
            const StackHandle all = one.alloc(len);
            EXPECT_EQ(all.offset, blocks[0].offset);
            EXPECT_TRUE(one.is_zero(all));
            one.fill(all, 0xFF);
            one.free(all);
        }
    }
}

TEST_F(FirstFitTest, ResizesTheLastInItsPlace) {  // T-BS-31
    auto last = row({16, 16})[1];
    last = own.realloc(last, 100);
    EXPECT_EQ(own.len(), 48U + 40 + 24 + 104);
    EXPECT_TRUE(own.holds({last.offset, 16}, 0xA2));
    EXPECT_TRUE(own.is_zero({last.offset + 16, 88}));
    own.fill(last, 3);
    last = own.realloc(last, 20);
    EXPECT_EQ(own.len(), 48U + 40 + 24 + 24);
    EXPECT_TRUE(own.holds(last, 3));
    last = own.realloc(last, 24);
    EXPECT_TRUE(own.is_zero({last.offset + 20, 4})) << "the same block";
    own.expect_free_fails(Errc::invalid_argument, {last.offset, 20});  // Not the length it has.
}

TEST_F(FirstFitTest, MovesAndFreesTheOldOne) {  // T-BS-31
    const auto blocks = row({16, 16});
    const StackHandle moved = own.realloc(blocks[0], 100);
    EXPECT_NE(moved.offset, blocks[0].offset);
    EXPECT_TRUE(own.holds({moved.offset, 16}, 0xA1));
    EXPECT_TRUE(own.is_zero({moved.offset + 16, 84}));
    own.expect_free_fails(Errc::not_allocated, blocks[0]);
    EXPECT_EQ(own.alloc(16).offset, blocks[0].offset);
}

struct Growth {
    std::uint64_t next;  ///< Payload of the free block behind one of 16.
    std::uint64_t wanted;
    std::uint64_t rest;  ///< What is left of it; 0: nothing is.
};

class GrowsIntoTheNext : public FirstFitTest, public testing::WithParamInterface<Growth> {};

TEST_P(GrowsIntoTheNext, AndLeavesARestThatIsABlock) {  // T-BS-32
    const Growth& growth = GetParam();
    const auto blocks = row({16, growth.next, 16});
    own.free(blocks[1]);
    const StackHandle grown = own.realloc(blocks[0], growth.wanted);
    EXPECT_EQ(grown, (StackHandle{blocks[0].offset, growth.wanted}));
    EXPECT_TRUE(own.holds({grown.offset, 16}, 0xA1));
    EXPECT_TRUE(own.is_zero({grown.offset + 16, growth.wanted - 16}));
    EXPECT_TRUE(own.holds(blocks[2], 0xA3));
    const std::uint64_t len = own.len();
    if (growth.rest != 0) {
        EXPECT_LT(own.alloc(growth.rest).offset, blocks[2].offset);
    }
    EXPECT_EQ(own.len(), len);
    (void)own.alloc(16);
    EXPECT_GT(own.len(), len) << "no other free block";
}

INSTANTIATE_TEST_SUITE_P(Of, GrowsIntoTheNext,
                         testing::Values(Growth{16, 56, 0},    // All of it: 16 + 24 + 16.
                                         Growth{64, 56, 24},   // Split.
                                         Growth{64, 64, 16},   // The smallest rest.
                                         Growth{64, 72, 0}));  // One below: no split.

TEST_F(FirstFitTest, GrowsIntoItsOwnRoom) {  // Slack of a block that has shrunk.
    const auto blocks = row({80, 16});
    StackHandle one = own.realloc(blocks[0], 10);
    own.fill({one.offset + 10, 70}, 0xEE);  // Nobody's now.
    one = own.realloc(one, 60);
    EXPECT_EQ(one.offset, blocks[0].offset);
    EXPECT_TRUE(own.holds({one.offset, 10}, 0xA1));
    EXPECT_TRUE(own.is_zero({one.offset + 10, 50}));
}

TEST_F(FirstFitTest, KnowsTheLastOneByItsBlock) {  // T-BS-39, D-BS-7
    const auto blocks = row({48, 16});
    own.free(blocks[0]);
    const StackHandle slack = own.alloc(16);  // 48 are too few to split.
    EXPECT_EQ(slack.offset, blocks[0].offset);
    own.free(blocks[1]);
    EXPECT_EQ(own.len(), 48U + 72);
    own.free(slack);
    EXPECT_EQ(own.len(), 48U);
}

TEST_F(FirstFitTest, FindsADoubleFreeAlsoInAJoinedBlock) {  // T-BS-40, D-BS-5
    const auto blocks = row({16, 16, 16, 16});
    own.free(blocks[1]);
    own.expect_free_fails(Errc::not_allocated, blocks[1]);
    own.free(blocks[0]);
    own.expect_free_fails(Errc::not_allocated, blocks[0]);
    own.expect_free_fails(Errc::not_allocated, blocks[1]);  // Its header still says: live.
    own.word(blocks[1].offset - 8) = 0;
    own.expect_free_fails(Errc::not_allocated, blocks[1]);
    own.free(blocks[2]);
    own.expect_free_fails(Errc::not_allocated, blocks[2]);
}

TEST_F(FirstFitTest, FreesManyAtOnceOrNone) {
    const auto blocks = row({16, 16, 16, 16});
    const std::vector<StackHandle> twice{blocks[0], {}, blocks[2], blocks[0]};
    own.expect_error(Errc::not_allocated, own.heap->dealloc_bulk(me, twice));
    EXPECT_EQ(own.now().blocks, 4U);
    EXPECT_TRUE(own.holds(blocks[0], 0xA1));
    EXPECT_TRUE(own.heap->dealloc_bulk(me, std::vector{blocks[3], blocks[0], blocks[1]}));
    EXPECT_EQ(own.now().blocks, 1U);
    EXPECT_EQ(own.alloc(56).offset, blocks[0].offset);
    own.expect_error(Errc::unsupported, own.heap->alloc_bulk(me, std::vector<std::uint64_t>{8}));
}

/// Somebody writes into a block that he has given back, or behind his own.
TEST_F(FirstFitTest, LeavesALiveBlockAloneWhereverALinkOrASizeLeads) {
    const auto blocks = row({32, 32, 32, 64, 16});
    own.free(blocks[2]);
    for (const HeapOffset link : {blocks[2].offset, blocks[2].offset + 8}) {
        own.word(link) = blocks[0].offset;
        own.expect_error(Errc::heap_damaged, own.heap->dealloc(me, blocks[1]));
        own.word(link) = 0;
    }
    own.word(blocks[2].offset - 16) = 64;
    own.expect_error(Errc::heap_damaged, own.heap->realloc(me, blocks[1], 80));
    own.expect_error(Errc::heap_damaged, own.heap->alloc(me, 48));
    own.word(blocks[2].offset - 16) = 32;
    own.word(blocks[1].end()) = 40;
    own.expect_error(Errc::heap_damaged, own.heap->dealloc(me, blocks[1]));
    own.word(blocks[1].end()) = 32;
    for (const std::size_t i : {0U, 1U, 3U, 4U}) {
        EXPECT_TRUE(own.holds(blocks[i], 0xA1 + static_cast<unsigned>(i)));
    }
}

TEST_F(FirstFitTest, FindsNonsenseInItsList) {
    const auto blocks = row({64, 16});
    own.free(blocks[0]);
    (void)own.alloc(0);
    own.word(32) = 0xDEAD'BEE8;
    own.expect_error(Errc::heap_damaged, own.heap->alloc(me, 16));
    own.word(32) = blocks[0].offset;
    own.word(blocks[0].offset) = blocks[0].offset;  // A circle.
    own.expect_error(Errc::heap_damaged, own.heap->alloc(me, 1'000));
    own.word(blocks[0].offset) = 0;
    EXPECT_TRUE(own.holds(blocks[1], 0xA2));
}

}  // namespace
}  // namespace shmpool
