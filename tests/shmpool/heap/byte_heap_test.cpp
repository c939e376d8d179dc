// SPDX-License-Identifier: Apache-2.0
/// What every heap of bytes must do, whatever its kind. Ids in brackets are of the list of
/// features.
#include "shmpool/heap/byte_heap.hpp"

#include <map>
#include <random>

#include "tests/shmpool/heap/own_heap.hpp"
#include "tests/shmpool/heap/random_steps.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::HeapMemory;
using ::testing::IsEmpty;

constexpr HeapHolder me = 1;
constexpr std::size_t memory_bytes = 4 << 20;

struct Kind {
    HeapKind kind;
    bool owned;
};

class ByteHeapTest : public testing::TestWithParam<Kind> {
protected:
    [[nodiscard]] static HeapOptions options() {
        HeapOptions options;
        options.owned = GetParam().owned;
        return options;
    }
    void SetUp() override {
        ASSERT_TRUE(format_heap(memory.view(), GetParam().kind, options()));
        heap = *open_byte_heap(memory.view());
    }
    void TearDown() override { EXPECT_EQ(broken(*heap, me), ""); }

    HeapOffset allocate(std::uint64_t bytes, std::uint64_t alignment = 8) {
        return heap->allocate(me, bytes, alignment).value();
    }
    [[nodiscard]] std::byte* at(HeapOffset block) const { return memory.view().data() + block; }
    [[nodiscard]] HeapStatistics now() { return heap->statistics(me).value(); }
    void expect_error(Errc code, const Outcome<HeapOffset>& outcome) {
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error(), code) << name_of(outcome.error());
    }
    void expect_free_fails(Errc code, HeapOffset block) {
        const HeapStatistics before = now();
        const auto outcome = heap->free(me, block);
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error(), code) << name_of(outcome.error());
        EXPECT_EQ(now().used_bytes, before.used_bytes);
        EXPECT_EQ(now().blocks, before.blocks);
    }

    HeapMemory memory{memory_bytes};
    std::unique_ptr<ByteHeap> heap;
};

TEST_P(ByteHeapTest, BeginsEmptyAndCountsWhatItHandsOut) {
    const HeapStatistics empty = now();
    EXPECT_EQ(empty.used_bytes, 0U);
    EXPECT_EQ(empty.blocks, 0U);
    EXPECT_GT(empty.total_bytes, memory_bytes * 9 / 10);
    const HeapOffset block = allocate(100);
    EXPECT_GE(now().used_bytes, 100U);
    EXPECT_EQ(now().blocks, 1U);
    EXPECT_TRUE(heap->free(me, block));
    EXPECT_EQ(now().used_bytes, 0U);
    EXPECT_EQ(now().blocks, 0U);
    EXPECT_EQ(now().total_bytes, empty.total_bytes);
}

TEST_P(ByteHeapTest, GivesBlocksThatAreLargeEnoughAlignedAndApart) {  // T-AR-20
    std::mt19937 random(7);
    std::map<HeapOffset, std::uint64_t> blocks;
    for (int i = 0; i < 500; ++i) {
        const std::uint64_t bytes = random() % 5000;
        const std::uint64_t alignment = std::uint64_t{1} << (random() % 13);
        const HeapOffset block = allocate(bytes, alignment);
        EXPECT_EQ(block % alignment, 0U);
        EXPECT_GE(heap->usable_bytes(me, block).value(), bytes);
        EXPECT_TRUE(blocks.emplace(block, heap->usable_bytes(me, block).value()).second);
    }
    HeapOffset end = 0;
    for (const auto& [block, bytes] : blocks) {
        EXPECT_GE(block, end);
        end = block + bytes;
    }
    EXPECT_LE(end, memory_bytes);
}

TEST_P(ByteHeapTest, AlignsAddressesUpToAMega) {  // T-AR-50
    constexpr std::uint64_t most = 1 << 20;
    const HeapMemory large(64 << 20, most);
    HeapOptions aligned = options();
    aligned.map_alignment = most;
    ASSERT_TRUE(format_heap(large.view(), GetParam().kind, aligned));
    const auto its = *open_byte_heap(large.view());
    std::vector<HeapOffset> blocks;
    for (std::uint64_t alignment = 1; alignment <= most; alignment *= 2) {
        for (const std::uint64_t bytes : {0U, 1U, 100U, 5000U}) {
            blocks.push_back(its->allocate(me, bytes, alignment).value());
            const auto address =
                reinterpret_cast<std::uintptr_t>(large.view().data() + blocks.back());
            EXPECT_EQ(address % alignment, 0U);
        }
    }
    EXPECT_EQ(broken(*its, me), "");
    for (const HeapOffset block : blocks) EXPECT_TRUE(its->free(me, block));
    EXPECT_EQ(its->statistics(me)->used_bytes, 0U);
    EXPECT_EQ(its->allocate(me, 1, 2 * most).error(), Errc::invalid_argument);
}

TEST_P(ByteHeapTest, AnswersAZeroSizeWithABlockOfItsOwn) {
    const HeapOffset one = allocate(0);
    const HeapOffset other = allocate(0);
    EXPECT_NE(one, other);
    EXPECT_TRUE(heap->free(me, one));
    EXPECT_TRUE(heap->free(me, other));
}

TEST_P(ByteHeapTest, RefusesNonsense) {
    expect_error(Errc::invalid_argument, heap->allocate(me, 8, 0));
    expect_error(Errc::invalid_argument, heap->allocate(me, 8, 3));
    expect_error(Errc::invalid_argument, heap->allocate(me, 8, 2 * page_bytes));
    expect_error(Errc::no_memory, heap->allocate(me, memory_bytes, 8));
    expect_error(Errc::no_memory, heap->allocate(me, ~std::uint64_t{0}, 8));
    expect_error(Errc::no_memory, heap->allocate(me, std::uint64_t{1} << 63, 8));
}

TEST_P(ByteHeapTest, FindsEveryFreeThatIsNotRight) {  // D-AR-2, D-AR-4
    const HeapOffset block = allocate(200);
    const HeapOffset other = allocate(200);
    for (const HeapOffset inside : {block + 1, block + 8, block + 32, block + 199}) {
        expect_free_fails(Errc::not_allocated, inside);
    }
    for (const HeapOffset foreign : {HeapOffset{0}, HeapOffset{8}, HeapOffset{512},
                                     HeapOffset{memory_bytes}, ~HeapOffset{0}, ~HeapOffset{7}}) {
        expect_free_fails(Errc::not_allocated, foreign);
    }
    EXPECT_TRUE(heap->free(me, block));
    expect_free_fails(Errc::not_allocated, block);
    EXPECT_TRUE(heap->free(me, other));
    expect_free_fails(Errc::not_allocated, other);
    EXPECT_FALSE(heap->usable_bytes(me, other));
}

TEST_P(ByteHeapTest, IsNotFooledByWhatPayloadsHold) {
    const HeapOffset block = allocate(4096);
    for (std::size_t i = 0; i + 32 <= 4096; i += 32) {
        const std::uint64_t looks_live[] = {33, block - 16, 0, 0};
        std::memcpy(at(block) + i, looks_live, sizeof(looks_live));
    }
    for (std::size_t i = 16; i < 4096; i += 16) {
        expect_free_fails(Errc::not_allocated, block + i);
    }
}

TEST_P(ByteHeapTest, IsExhaustedAndRecoversWhole) {  // T-AR-30
    const std::uint64_t total = now().total_bytes;
    for (int round = 0; round < 2; ++round) {
        std::vector<HeapOffset> blocks;
        for (;;) {
            const auto block = heap->allocate(me, 1000, 8);
            if (!block) {
                EXPECT_EQ(block.error(), Errc::no_memory);
                break;
            }
            blocks.push_back(*block);
        }
        EXPECT_GT(blocks.size(), total / 1100 - 10);
        std::ranges::shuffle(blocks, std::mt19937(11));
        for (const HeapOffset block : blocks) EXPECT_TRUE(heap->free(me, block));
        EXPECT_EQ(now().used_bytes, 0U);
    }
}

TEST_P(ByteHeapTest, KeepsContentsThroughRandomSteps) {
    struct Block {
        std::uint64_t bytes;
        std::byte mark;
    };
    test::RandomSteps random(20'000);
    std::map<HeapOffset, Block> model;
    const auto check_and_free = [&](auto one) {
        for (std::uint64_t i = 0; i < one->second.bytes; ++i) {
            ASSERT_EQ(at(one->first)[i], one->second.mark);
        }
        random.note("heap->free", one->first);
        ASSERT_TRUE(heap->free(me, one->first));
        model.erase(one);
    };
    while (random.go_on()) {
        if (random() % 100 < 55) {
            const std::uint64_t bytes = random() % (random() % 8 == 0 ? 60'000 : 600);
            const std::uint64_t alignment = std::uint64_t{1} << (random() % 8);
            random.note("heap->allocate", bytes, alignment);
            const auto block = heap->allocate(me, bytes, alignment);
            if (!block) continue;
            const std::byte mark{static_cast<unsigned char>(random())};
            std::memset(at(*block), static_cast<int>(mark), bytes);
            ASSERT_TRUE(model.emplace(*block, Block{bytes, mark}).second);
        } else if (!model.empty()) {
            auto one = model.lower_bound(random() % memory_bytes);
            check_and_free(one == model.end() ? model.begin() : one);
        }
        if (random.is_every(2000)) {
            ASSERT_EQ(broken(*heap, me), "");
            ASSERT_EQ(now().blocks, model.size());
        }
    }
    while (!model.empty()) check_and_free(model.begin());
    EXPECT_EQ(now().used_bytes, 0U);
}

TEST_P(ByteHeapTest, IsOneHeapAtTwoAddresses) {
    const auto elsewhere = memory.map();
    const auto other = *open_byte_heap(elsewhere);
    const HeapOffset block = allocate(100);
    std::memcpy(at(block), "written here", 13);
    EXPECT_STREQ(reinterpret_cast<const char*>(elsewhere.data() + block), "written here");
    EXPECT_TRUE(other->free(me, block));
    expect_free_fails(Errc::not_allocated, block);
    EXPECT_EQ(other->statistics(me)->blocks, 0U);
}

INSTANTIATE_TEST_SUITE_P(Kinds, ByteHeapTest,
                         testing::Values(Kind{HeapKind::tlsf, false}, Kind{HeapKind::buddy, false},
                                         Kind{HeapKind::slab, false}, Kind{HeapKind::tlsf, true},
                                         Kind{HeapKind::buddy, true}, Kind{HeapKind::slab, true}),
                         [](const auto& tested) {
                             std::string name(name_of(tested.param.kind));
                             name[0] = static_cast<char>(name[0] - 'a' + 'A');
                             return (tested.param.owned ? "Owned" : "") + name;
                         });

}  // namespace
}  // namespace shmpool
