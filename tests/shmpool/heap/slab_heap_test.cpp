// SPDX-License-Identifier: Apache-2.0
/// What is particular to the slab heap (T-AR-40).
#include <random>

#include "shmpool/heap/slab_layout.hpp"
#include "tests/shmpool/heap/own_heap.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::HeapMemory;

constexpr HeapHolder me = 1;

TEST(SlabLayout, KnowsTheSmallestClassThatFits) {
    EXPECT_EQ(slab::class_for(0), 0U);
    for (std::uint32_t size_class = 0; size_class < slab::classes; ++size_class) {
        const std::uint64_t bytes = slab::block_bytes_of(size_class);
        EXPECT_EQ(slab::class_for(bytes), size_class);
        EXPECT_EQ(slab::class_for(bytes + 1), size_class + 1) << "of 4097 none";
        EXPECT_LE(slab::blocks_of(size_class), 64U);
        EXPECT_EQ(std::popcount(slab::all_free(size_class)),
                  static_cast<int>(slab::blocks_of(size_class)));
    }
    EXPECT_EQ(slab::class_for(~std::uint64_t{0}), slab::classes);
}

class SlabHeap : public testing::Test {
protected:
    void SetUp() override {
        HeapOptions options;
        options.map_alignment = alignment_most;
        ASSERT_TRUE(format_heap(memory.view(), HeapKind::slab, options));
        heap = *open_byte_heap(memory.view());
    }
    void TearDown() override { EXPECT_EQ(broken(*heap, me), ""); }
    HeapOffset allocate(std::uint64_t bytes, std::uint64_t alignment = 8) {
        return heap->allocate(me, bytes, alignment).value();
    }
    std::vector<HeapOffset> allocate_all(std::uint64_t bytes) {
        std::vector<HeapOffset> blocks;
        while (const auto block = heap->allocate(me, bytes, 8)) blocks.push_back(*block);
        return blocks;
    }
    void free(const std::vector<HeapOffset>& blocks) {
        for (const HeapOffset block : blocks) ASSERT_TRUE(heap->free(me, block));
    }
    std::uint64_t used() { return heap->statistics(me)->used_bytes; }
    std::uint64_t total() { return heap->statistics(me)->total_bytes; }

    static constexpr std::uint64_t alignment_most = 16384;
    HeapMemory memory{8 << 20, alignment_most};
    std::unique_ptr<ByteHeap> heap;
};

TEST_F(SlabHeap, CountsABlockOnceAndNothingThatItOnlyKeeps) {  // D-AR-9
    const std::uint64_t before = total();
    for (std::uint64_t bytes = 64; bytes <= 4096; bytes *= 2) {
        for (const std::uint64_t wanted : {bytes / 2 + 1, bytes}) {
            const HeapOffset block = allocate(wanted);
            EXPECT_EQ(used(), bytes) << wanted;
            EXPECT_EQ(heap->usable_bytes(me, block).value(), bytes);
            EXPECT_TRUE(heap->free(me, block));
            EXPECT_EQ(used(), 0U);
        }
    }
    const HeapOffset large = allocate(4097);
    EXPECT_EQ(used(), 8192U);
    EXPECT_EQ(heap->usable_bytes(me, large).value(), 8192U);
    EXPECT_TRUE(heap->free(me, large));
    EXPECT_EQ(total(), before);
}

TEST_F(SlabHeap, HonoursEveryAlignment) {  // D-AR-6
    for (std::uint64_t alignment = 1; alignment <= alignment_most; alignment *= 2) {
        for (int i = 0; i < 9; ++i) {
            const auto address =
                reinterpret_cast<std::uintptr_t>(memory.view().data() + allocate(8, alignment));
            EXPECT_EQ(address % alignment, 0U);
        }
    }
}

TEST_F(SlabHeap, HoldsThousandsOfBlocksAndFindsEachFreeThatIsNotRight) {
    std::vector<HeapOffset> blocks;
    for (int i = 0; i < 4096; ++i) blocks.push_back(allocate(64));
    EXPECT_EQ(used(), 4096U * 64);
    for (std::size_t i = 0; i < blocks.size(); i += 2) {
        EXPECT_EQ(heap->free(me, blocks[i] + 32).error(), Errc::not_allocated) << "inside";
        ASSERT_TRUE(heap->free(me, blocks[i]));
        EXPECT_EQ(heap->free(me, blocks[i]).error(), Errc::not_allocated) << "twice";
        EXPECT_EQ(heap->usable_bytes(me, blocks[i]).error(), Errc::not_allocated);
    }
    EXPECT_EQ(used(), 2048U * 64);
}

TEST_F(SlabHeap, HandsTheSameBlockOutAgain) {
    const std::vector<HeapOffset> blocks{allocate(100), allocate(100), allocate(100)};
    for (const HeapOffset block : blocks) {
        ASSERT_TRUE(heap->free(me, block));
        EXPECT_EQ(allocate(100), block);
    }
}

TEST_F(SlabHeap, TakesBlocksOfTheirOwnWhereNoSlabHasRoom) {  // D-AR-10
    const auto large = allocate_all(32 << 10);
    const auto rest = allocate_all(4096);
    EXPECT_FALSE(heap->allocate(me, 4096, 8));
    ASSERT_TRUE(heap->free(me, large[0]));
    for (int i = 0; i < 3; ++i) allocate(5000);
    const HeapOffset alone = allocate(4096);
    EXPECT_EQ(heap->usable_bytes(me, alone).value(), 4096U);
    EXPECT_TRUE(heap->free(me, alone));
    EXPECT_EQ(heap->free(me, alone).error(), Errc::not_allocated);
    EXPECT_GT(rest.size(), 0U);
}

TEST_F(SlabHeap, GivesEmptySlabsBackSoThatNothingIsLost) {
    const std::vector<HeapOffset> large = allocate_all(4 << 20);
    free(large);
    for (std::uint64_t bytes = 64; bytes <= 4096; bytes *= 2) free(allocate_all(bytes));
    EXPECT_EQ(broken(*heap, me), "") << "an audit finds a second empty slab of a class";
    EXPECT_EQ(allocate_all(4 << 20), large) << "the kept ones too, when they are needed";
}

TEST_F(SlabHeap, IsFullWhenItIsFull) {
    const auto blocks = allocate_all(32);
    EXPECT_GT(blocks.size(), total() / 64 * 99 / 100);
    EXPECT_EQ(heap->allocate(me, 0, 1).error(), Errc::no_memory);
    ASSERT_TRUE(heap->free(me, blocks.front()));
    EXPECT_EQ(allocate(1), blocks.front());
}

/// Marks, records and words of the engine are anything.
TEST(SlabNonsense, ComesToAnEnd) {
    HeapMemory memory(1 << 20);
    const unsigned seed = 20261122;
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    auto* const words = reinterpret_cast<std::uint64_t*>(memory.view().data());
    std::uint64_t damaged = 0;
    for (int round = 0; round < 300; ++round) {
        ASSERT_TRUE(format_heap(memory.view(), HeapKind::slab));
        auto& header = *reinterpret_cast<HeapHeader*>(memory.view().data());
        const auto heap = *open_byte_heap(memory.view());
        std::vector<HeapOffset> blocks;
        for (int i = 0; i < 200; ++i) blocks.push_back(*heap->allocate(me, random() % 2000, 8));
        const std::uint64_t begin = header.engine_offset / 8;
        for (std::uint64_t at = begin; at < begin + 4096; ++at) {
            if (random() % 16 == 0) words[at] = random() >> (random() % 64);
        }
        for (const HeapOffset block : blocks) (void)heap->free(me, block);
        for (int i = 0; i < 20; ++i) (void)heap->allocate(me, random() % 2000, 8);
        (void)heap->audit(me);
        ASSERT_EQ(header.lock.load(), 0U);
        damaged += header.damaged.load();
    }
    EXPECT_GT(damaged, 100U) << "it was met";
}

}  // namespace
}  // namespace shmpool
