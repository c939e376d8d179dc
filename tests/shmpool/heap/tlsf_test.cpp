// SPDX-License-Identifier: Apache-2.0
/// What is particular to the two-level segregated fit.
#include "shmpool/heap/tlsf_layout.hpp"
#include "tests/shmpool/heap/own_heap.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::HeapMemory;

constexpr HeapHolder me = 1;

TEST(TlsfLayout, PutsEverySizeIntoOneListAndSearchesWhereAllFit) {
    for (std::uint64_t size = 32; size < 1 << 20; size += 32) {
        const tlsf::Cell own = tlsf::cell_of(size);
        const tlsf::Cell wanted = tlsf::cell_for(size);
        ASSERT_LT(own.second, tlsf::second_levels);
        const auto order = [](tlsf::Cell cell) {
            return cell.first * tlsf::second_levels + cell.second;
        };
        ASSERT_GE(order(wanted), order(own));
        ASSERT_LE(order(wanted), order(own) + (size < 2048 ? 32U : 1U));
        // Who is found there is large enough: the smallest of the list is.
        if (order(wanted) == order(own)) {
            ASSERT_TRUE(size == 32 || order(tlsf::cell_of(size - 32)) != order(own)) << size;
        }
    }
    EXPECT_EQ(tlsf::cell_of(tlsf::block_bytes_max).first, tlsf::first_levels - 1);
    EXPECT_GE(tlsf::cell_for(tlsf::block_bytes_max).first, tlsf::first_levels);
}

TEST(TlsfLayout, FitsItsBitsAndBlocksIntoARegion) {
    for (std::uint64_t bytes = 0; bytes < 20'000; bytes += 8) {
        const auto region = tlsf::Region::of({4096, bytes});
        if (region.begin == region.end) continue;
        ASSERT_EQ(region.begin % 32, 16U);
        ASSERT_LE(region.end + tlsf::header_bytes, region.bits);
        ASSERT_LT(region.bits_of(region.end - 32) + 7, 4096 + bytes);
        ASSERT_LE(region.bits + 8 * tlsf::Region::word_count(bytes), 4096 + bytes);
    }
    const auto room = [](std::uint64_t bytes) {
        const auto region = tlsf::Region::of({4096, bytes});
        return region.end - region.begin;
    };
    EXPECT_EQ(room(63), 0U);  // T-AR-50
    EXPECT_EQ(room(72), 32U);
}

TEST(TlsfLayout, HoldsNothingWhereThereIsNoRegion) {
    for (std::uint64_t bytes = 0; bytes < 64; ++bytes) {
        const auto region = tlsf::Region::of({0, bytes});
        ASSERT_EQ(region.begin, region.end) << bytes;
    }
}

class TlsfHeap : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(format_heap(memory.view(), HeapKind::tlsf));
        heap = *open_byte_heap(memory.view());
    }
    HeapMemory memory{1 << 20};
    std::unique_ptr<ByteHeap> heap;
};

TEST_F(TlsfHeap, JoinsNeighboursInWhateverOrderTheyAreFreed) {
    const std::uint64_t total = heap->statistics(me)->total_bytes;
    std::vector<int> order{0, 1, 2};
    do {
        std::vector<HeapOffset> blocks;
        for (int i = 0; i < 3; ++i) blocks.push_back(*heap->allocate(me, 1000, 8));
        for (const int i : order) {
            ASSERT_TRUE(heap->free(me, blocks[static_cast<std::size_t>(i)]));
            ASSERT_EQ(broken(*heap, me), "");
        }
        const auto all = heap->allocate(me, total / 32 * 31, 8);
        ASSERT_TRUE(all) << "it is one block again";
        ASSERT_TRUE(heap->free(me, *all));
    } while (std::ranges::next_permutation(order).found);
}

TEST_F(TlsfHeap, GivesBackWhatALargeAlignmentHasSkipped) {
    const HeapOffset small = *heap->allocate(me, 8, 8);
    const HeapOffset aligned = *heap->allocate(me, 8, 4096);
    EXPECT_EQ(aligned % 4096, 0U);
    EXPECT_EQ(heap->statistics(me)->used_bytes, 64U) << "the gap is free";
    EXPECT_EQ(broken(*heap, me), "");
    const HeapOffset between = *heap->allocate(me, 8, 8);
    EXPECT_LT(between, aligned);
    for (const HeapOffset one : {aligned, small, between}) EXPECT_TRUE(heap->free(me, one));
    EXPECT_EQ(broken(*heap, me), "");
}

/// Found by `scripts/fuzz heap`.
TEST_F(TlsfHeap, IsLookedAtToAnEndWithARegionInWhichNothingFits) {
    auto& header = *reinterpret_cast<HeapHeader*>(memory.view().data());
    header.regions[0].bytes = 8;
    const auto findings = heap->audit(me);
    EXPECT_TRUE(!findings || !findings->empty());
}

}  // namespace
}  // namespace shmpool
