// SPDX-License-Identifier: Apache-2.0
/// What is particular to ghost_tree. Ids in brackets are of the list of features.
#include "shmpool/heap/ghost_tree.hpp"

#include <random>

#include "tests/shmpool/heap/own_stack.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::OwnStack;
using ::testing::ElementsAre;
using Lengths = std::vector<std::uint64_t>;

constexpr HeapHolder me = OwnStack::me;

class GhostTreeTest : public testing::Test {
protected:
    StackHandle full(std::uint64_t len) {
        const StackHandle block = own.alloc(len);
        own.fill(block, 0xEE);
        return block;
    }

    OwnStack own{HeapKind::ghost_tree};
};

TEST_F(GhostTreeTest, HandsOutZeros) {  // T-BS-41
    EXPECT_EQ(own.alloc(0), StackHandle{});
    own.free({});
    const StackHandle block = full(100);
    const StackHandle last = own.alloc(1);
    own.free(block);
    const StackHandle again = own.alloc(100);
    EXPECT_EQ(again, block);
    EXPECT_TRUE(own.is_zero({again.offset, 128}));
    own.free(last);
}

TEST_F(GhostTreeTest, AlignsAddressesTo32) {  // T-BS-42
    for (std::uint64_t len = 1; len < 200; len += 7) {
        const StackHandle block = own.alloc(len);
        EXPECT_EQ(block.offset % 32, 16U);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(own.bytes(block).data()) % 32, 0U);
    }
    const std::uint64_t len = own.len();
    (void)own.alloc(1);
    EXPECT_EQ(own.len(), len + 32);
}

TEST_F(GhostTreeTest, HandsOutTheBackOfALargerOne) {  // T-BS-43
    const StackHandle block = full(128);
    (void)full(32);
    own.free(block);
    EXPECT_EQ(own.alloc(32), (StackHandle{block.offset + 96, 32}));
    EXPECT_EQ(own.alloc(96), (StackHandle{block.offset, 96})) << "the rest";
}

TEST_F(GhostTreeTest, HandsOutTheSmallestThatFits) {
    std::vector<StackHandle> blocks;
    for (const std::uint64_t len : {256U, 64U, 128U, 96U, 64U}) {
        blocks.push_back(full(len));
        (void)full(32);
    }
    for (const StackHandle& one : blocks) own.free(one);
    EXPECT_EQ(own.alloc(90).offset, blocks[3].offset);
    EXPECT_EQ(own.alloc(60).offset, blocks[1].offset) << "the lowest of equals";
    EXPECT_EQ(own.alloc(100).offset, blocks[2].offset);
    EXPECT_EQ(own.alloc(64).offset, blocks[4].offset);
}

TEST_F(GhostTreeTest, KeepsFreeMemoryZeroBehindItsNode) {  // T-BS-44
    const StackHandle block = full(320);
    (void)full(32);
    own.free(block);
    EXPECT_TRUE(own.is_zero({block.offset + 32, 288}));
}

TEST_F(GhostTreeTest, ResizesInItsPlaceWhereItCan) {  // T-BS-45
    const StackHandle first = full(100);
    StackHandle last = full(40);
    EXPECT_EQ(own.realloc(first, 0), StackHandle{});
    last = own.realloc(last, 200);
    EXPECT_TRUE(own.holds({last.offset, 40}, 0xEE));
    EXPECT_TRUE(own.is_zero({last.offset + 40, 160}));
    EXPECT_EQ(own.len(), last.offset + 224);
    last = own.realloc(last, 40);
    EXPECT_EQ(own.len(), last.offset + 64) << "shrunk at the end";
    last = own.realloc(last, 50);
    EXPECT_TRUE(own.is_zero({last.offset + 40, 10})) << "the same blocks";

    const StackHandle middle = full(160);
    (void)full(128);
    const StackHandle smaller = own.realloc(middle, 60);
    EXPECT_EQ(smaller, (StackHandle{middle.offset, 60}));
    EXPECT_TRUE(own.holds(smaller, 0xEE));
    EXPECT_EQ(own.alloc(96).offset, middle.offset + 64) << "what was cut off is free";
    const StackHandle moved = own.realloc(smaller, 300);
    EXPECT_TRUE(own.holds({moved.offset, 60}, 0xEE));
    EXPECT_TRUE(own.is_zero({moved.offset + 60, 240}));
    own.expect_free_fails(Errc::not_allocated, smaller);
}

TEST_F(GhostTreeTest, RefusesWhatBeginsNowhere) {  // T-BS-46
    const StackHandle block = full(100);
    for (const HeapOffset offset : {block.offset + 1, block.offset + 16, HeapOffset{16}}) {
        own.expect_free_fails(Errc::invalid_argument, {offset, 100});
    }
    own.expect_free_fails(Errc::not_allocated, {block.offset + 32, 68});
}

TEST_F(GhostTreeTest, HandsOutAndTakesBackMany) {  // T-BS-47
    const std::uint64_t len = own.len();
    const auto blocks = own.alloc_bulk({32, 0, 64, 20});
    EXPECT_THAT(blocks, ElementsAre(StackHandle{48, 32}, StackHandle{}, StackHandle{80, 64},
                                    StackHandle{144, 20}));
    EXPECT_EQ(own.now().blocks, 3U);
    EXPECT_TRUE(own.heap->dealloc_bulk(me, std::vector{blocks[2], blocks[0], {}, blocks[3]}));
    EXPECT_EQ(own.len(), len);
    EXPECT_THAT(own.alloc_bulk({0, 0}), ElementsAre(StackHandle{}, StackHandle{}));
    EXPECT_TRUE(own.alloc_bulk({}).empty());
    own.expect_error(Errc::invalid_argument,
                     own.heap->alloc_bulk(me, Lengths{~std::uint64_t{0}, 1}));
    own.expect_error(Errc::no_memory, own.heap->alloc_bulk(me, Lengths{own.now().capacity, 64}));
    EXPECT_EQ(own.len(), len);
}

TEST_F(GhostTreeTest, CutsManyOutOfAFreeOne) {
    const StackHandle block = full(320);
    (void)full(32);
    own.free(block);
    const auto blocks = own.alloc_bulk({60, 60});
    EXPECT_EQ(blocks[0].offset, block.offset + 192);
    EXPECT_EQ(blocks[1].offset, block.offset + 256);
    EXPECT_TRUE(own.is_zero({blocks[0].offset, 128}));
    own.free(blocks[1]);
    own.free(blocks[0]);
}

TEST_F(GhostTreeTest, JoinsNeighboursWhenItIsOpened) {  // T-BS-48
    const StackHandle a = full(64);
    const StackHandle b = full(64);
    (void)full(32);
    own.free(b);
    own.free(a);
    const std::uint64_t len = own.len();
    const StackHandle apart = own.alloc(128);
    EXPECT_GT(own.len(), len) << "not before";
    own.free(apart);
    own.reopen();
    const StackHandle joined = own.alloc(128);
    EXPECT_EQ(joined.offset, a.offset);
    EXPECT_TRUE(own.is_zero(joined)) << "the seam too";
    own.free(joined);
}

TEST_F(GhostTreeTest, RefusesWhatIsNoTree) {  // T-BS-49
    const auto opening_error = [&] { return open_stack_heap(own.memory.view()).error().code; };
    EXPECT_EQ(std::memcmp(&own.word(32), "ALGT\0\1", 6), 0);
    own.len_word() = 4;
    EXPECT_EQ(opening_error(), Errc::damaged_header);
    own.len_word() = 47;
    EXPECT_EQ(opening_error(), Errc::damaged_header);
    own.len_word() = 48;
    own.word(32) += 1;
    EXPECT_EQ(opening_error(), Errc::wrong_magic);
    own.word(32) -= 1;
    // A heap can be opened only when all of its header is there: the magic of all heaps comes last.
    test::HeapMemory unfinished(1 << 20);
    ASSERT_TRUE(format_heap(unfinished.view(), HeapKind::ghost_tree));
    *reinterpret_cast<std::uint64_t*>(unfinished.view().data()) = 0;
    EXPECT_EQ(open_stack_heap(unfinished.view()).error().code, Errc::wrong_magic);
    EXPECT_TRUE(format_heap(unfinished.view(), HeapKind::ghost_tree)) << "and is made again";
}

TEST_F(GhostTreeTest, FillsAnEndThatIsNoBlock) {
    const StackHandle block = full(64);
    own.fill({own.len(), 12}, 0xFF);
    own.len_word() += 12;
    own.reopen();
    EXPECT_EQ(own.alloc(32).offset, block.offset + 64);
    EXPECT_EQ(own.len(), block.offset + 96);
    own.free(block);
}

TEST_F(GhostTreeTest, LosesNothingOfATreeThatIsGone) {  // D-BS-13, D-BS-15
    const StackHandle block = full(128);
    const StackHandle other = full(32);
    own.free(block);
    own.word(40) = 12'345'680;  // The root.
    own.expect_error(Errc::heap_damaged, own.heap->alloc(me, 1'000));
    EXPECT_EQ(own.heap->recover(me).value(), 0U);
    EXPECT_EQ(own.alloc(128), block);
    own.free(other);
}

/// Somebody writes into a block that he has given back.
TEST_F(GhostTreeTest, LeavesALiveBlockAloneWhereverANodeLeads) {
    const StackHandle live = full(64);
    const StackHandle freed = full(96);
    const StackHandle smaller = full(64);
    const StackHandle larger = full(128);
    (void)full(32);
    own.free(freed);
    own.word(freed.offset) = 192;
    own.expect_error(Errc::heap_damaged, own.heap->alloc(me, 32));
    own.word(freed.offset) = 96;
    own.word(freed.offset + 16) = live.offset;
    own.expect_error(Errc::heap_damaged, own.heap->dealloc(me, smaller));
    own.expect_error(Errc::heap_damaged, own.heap->alloc(me, 32));
    EXPECT_EQ(own.heap->recover(me).value(), 0U) << "and frees what was to be freed";
    own.expect_error(Errc::not_allocated, own.heap->dealloc(me, smaller));
    own.word(freed.offset + 24) = live.offset;
    own.expect_error(Errc::heap_damaged, own.heap->dealloc(me, larger));
    own.reopen();
    EXPECT_EQ(broken(*own.heap, me), "");
    EXPECT_EQ(own.now().blocks, 2U);
    EXPECT_TRUE(own.holds(live, 0xEE));
}

TEST_F(GhostTreeTest, StaysATreeThroughRandomSteps) {  // T-BS-51
    std::mt19937 random(51);
    std::vector<StackHandle> live;
    for (int step = 0; step < 10'000; ++step) {
        if (random() % 5 < 3 && live.size() < 400) {
            live.push_back(own.alloc(1 + random() % 800));
        } else if (!live.empty()) {
            std::swap(live[random() % live.size()], live.back());
            own.free(live.back());
            live.pop_back();
        }
        if (step % 50 == 0) {
            ASSERT_EQ(broken(*own.heap, me), "") << step;
        }
    }
}

TEST_F(GhostTreeTest, RefusesABlockThatIsNamedTwice) {  // T-BS-52, D-BS-14
    const auto blocks = own.alloc_bulk({32, 32, 32});
    own.expect_error(Errc::not_allocated,
                     own.heap->dealloc_bulk(me, std::vector{blocks[0], blocks[1], blocks[0]}));
    EXPECT_EQ(own.now().blocks, 3U);
    for (const StackHandle& one : blocks) own.free(one);
}

}  // namespace
}  // namespace shmpool
