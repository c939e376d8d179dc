// SPDX-License-Identifier: Apache-2.0
/// What is particular to the buddy heap (T-AR-30).
#include "shmpool/heap/buddy_layout.hpp"
#include "tests/shmpool/heap/own_heap.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::HeapMemory;

constexpr HeapHolder me = 1;

TEST(BuddyLayout, KnowsTheSmallestOrderThatFits) {
    EXPECT_EQ(buddy::order_for(0), 0U);
    EXPECT_EQ(buddy::order_for(32), 0U);
    EXPECT_EQ(buddy::order_for(33), 1U);
    for (std::uint32_t order = 1; order < buddy::orders; ++order) {
        EXPECT_EQ(buddy::order_for(buddy::bytes_of(order)), order);
        EXPECT_EQ(buddy::order_for(buddy::bytes_of(order - 1) + 1), order);
    }
    EXPECT_EQ(buddy::order_for(buddy::bytes_of(31) + 1), buddy::orders);
    EXPECT_EQ(buddy::order_for(~std::uint64_t{0}), buddy::orders);
}

TEST(BuddyLayout, FitsItsMarksAndBlocksIntoARegion) {
    for (const std::uint64_t offset : {4096U, 4104U, 5000U}) {
        for (std::uint64_t bytes = 8; bytes < 20'000; bytes += 8) {
            const auto region = buddy::Region::of({offset, bytes});
            if (region.begin == region.end) continue;
            ASSERT_LT(region.begin, region.end);
            ASSERT_LE(region.end, region.marks);
            ASSERT_LT(region.word_of(region.end - 32) + 7, offset + bytes);
            ASSERT_LE(region.marks + 8 * buddy::Region::word_count(bytes), offset + bytes);
        }
    }
}

TEST(BuddyLayout, HoldsNothingWhereThereIsNoRegion) {
    for (std::uint64_t bytes = 0; bytes < 40; ++bytes) {
        const auto region = buddy::Region::of({0, bytes});
        ASSERT_EQ(region.begin, region.end) << bytes;
    }
}

class BuddyHeap : public testing::Test {
protected:
    static constexpr std::uint64_t begin = 64 << 10;
    static constexpr std::uint64_t odd_bytes = (256 << 10) + 1000 * 8;
    void SetUp() override {
        HeapOptions options;
        options.first_region = {begin + 8, odd_bytes};
        ASSERT_TRUE(format_heap(memory.view(), HeapKind::buddy, options));
        heap = *open_byte_heap(memory.view());
    }
    void TearDown() override { EXPECT_EQ(broken(*heap, me), ""); }
    std::uint64_t used() { return heap->statistics(me)->used_bytes; }
    HeapMemory memory{1 << 20};
    std::unique_ptr<ByteHeap> heap;
};

TEST_F(BuddyHeap, RoundsUpToAPowerOfTwoThatTheAlignmentFitsIn) {
    for (const auto& [bytes, alignment, block_bytes] : std::vector<std::array<std::uint64_t, 3>>{
             {0, 1, 32}, {100, 8, 128}, {128, 8, 128}, {1, 4096, 4096}, {5000, 8, 8192}}) {
        const HeapOffset block = heap->allocate(me, bytes, alignment).value();
        EXPECT_EQ(used(), block_bytes);
        EXPECT_EQ(heap->usable_bytes(me, block).value(), block_bytes);
        EXPECT_EQ(block % block_bytes, 0U) << "aligned to its size";
        EXPECT_TRUE(heap->free(me, block));
    }
}

TEST_F(BuddyHeap, JoinsHalvesAgainWhateverTheOrder) {
    std::vector<HeapOffset> large;
    while (const auto block = heap->allocate(me, 128 << 10, 8)) large.push_back(*block);
    ASSERT_EQ(large.size(), 1U);
    ASSERT_TRUE(heap->free(me, large[0]));
    std::vector<HeapOffset> small;
    while (const auto block = heap->allocate(me, 32, 8)) small.push_back(*block);
    EXPECT_EQ(small.size() * 32, heap->statistics(me)->total_bytes) << "not one byte is lost";
    for (std::size_t i = 0; i < small.size(); i += 2) EXPECT_TRUE(heap->free(me, small[i]));
    EXPECT_EQ(broken(*heap, me), "");
    EXPECT_FALSE(heap->allocate(me, 33, 8)) << "every second one is live";
    for (std::size_t i = 1; i < small.size(); i += 2) EXPECT_TRUE(heap->free(me, small[i]));
    EXPECT_EQ(heap->allocate(me, 128 << 10, 8).value(), large[0]) << "as in the beginning";
}

TEST_F(BuddyHeap, TakesRegionsOfAnySizeAndPlace) {
    const std::uint64_t total = heap->statistics(me)->total_bytes;
    ASSERT_TRUE(heap->add_memory(me, {(512 << 10) + 24, 1000}));
    const std::uint64_t more = heap->statistics(me)->total_bytes - total;
    EXPECT_GT(more, 900U);
    EXPECT_LE(more, 968U);
    EXPECT_EQ(heap->add_memory(me, {(600 << 10), 8}).error(), Errc::region_too_small);
    std::uint64_t taken = 0;
    while (heap->allocate(me, 32, 8)) taken += 32;
    EXPECT_EQ(taken, total + more);
}

}  // namespace
}  // namespace shmpool
