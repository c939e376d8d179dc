// SPDX-License-Identifier: Apache-2.0
/// Goal: containers of the standard library over every heap of bytes (T-AR-20 to T-AR-25, as far as
/// they are about the memory resource): what they hold is right, blocks are aligned and lie apart,
/// and at the end nothing is left. The same on the system's memory says what right is.
#include "shmpool/heap/heap_resource.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "tests/shmpool/heap/own_heap.hpp"

namespace shmpool {
namespace {

using test::HeapMemory;

constexpr HeapHolder me = 1;
constexpr std::size_t memory_bytes = 128 << 20;

/// A heap of this process alone, by address.
class OwnBlocks final : public BlockSource {
public:
    explicit OwnBlocks(HeapKind kind) : memory_(memory_bytes) {
        EXPECT_TRUE(format_heap(memory_.view(), kind));
        heap_ = open_byte_heap(memory_.view()).value();
    }
    Outcome<void*> allocate(std::uint64_t bytes, std::uint64_t alignment) override {
        ++calls;
        return heap_->allocate(me, bytes, alignment).map([&](HeapOffset block) {
            return static_cast<void*>(at(block));
        });
    }
    Outcome<void> free(void* block) override {
        ++calls;
        const auto* const address = static_cast<std::byte*>(block);
        return heap_->free(me, static_cast<HeapOffset>(address - memory_.view().data()));
    }
    HeapHeader& heap() const override {
        return *reinterpret_cast<HeapHeader*>(memory_.view().data());
    }
    [[nodiscard]] std::byte* at(HeapOffset offset) const { return memory_.view().data() + offset; }
    [[nodiscard]] std::uint64_t blocks() { return heap_->statistics(me)->blocks; }
    [[nodiscard]] std::string broken() { return test::broken(*heap_, me); }

    int calls = 0;

private:
    HeapMemory memory_;
    std::unique_ptr<ByteHeap> heap_;
};

class HeapResourceTest : public testing::TestWithParam<HeapKind> {
protected:
    ~HeapResourceTest() override {
        EXPECT_EQ(blocks_.blocks(), 0U);
        EXPECT_EQ(blocks_.broken(), "");
    }
    OwnBlocks blocks_{GetParam()};
    HeapResource resource_{blocks_};
};

struct Piece {
    std::byte* at;
    std::size_t bytes;
    std::size_t alignment;
};

TEST_P(HeapResourceTest, GivesBlocksThatAreAlignedAndLieApart) {  // T-AR-20
    std::minstd_rand random(20);
    std::map<std::byte*, Piece> live;
    const auto free_one = [&](auto where) {
        resource_.deallocate(where->second.at, where->second.bytes, where->second.alignment);
        live.erase(where);
    };
    for (int step = 0; step < 20'000; ++step) {
        if (live.size() > 500 || (!live.empty() && random() % 3 == 0)) {
            const auto from = live.lower_bound(blocks_.at(random() % memory_bytes));
            free_one(from == live.end() ? live.begin() : from);
            continue;
        }
        const std::size_t bytes = 1 + random() % (2 << 16);
        const std::size_t alignment = std::size_t{1} << (random() % 8);
        auto* const at = static_cast<std::byte*>(resource_.allocate(bytes, alignment));
        ASSERT_EQ(reinterpret_cast<std::uintptr_t>(at) % alignment, 0U);
        const auto next = live.lower_bound(at);
        ASSERT_TRUE(next == live.end() || at + bytes <= next->first);
        if (next != live.begin()) {
            const Piece& before = std::prev(next)->second;
            ASSERT_LE(before.at + before.bytes, at);
        }
        live[at] = {at, bytes, alignment};
    }
    while (!live.empty()) free_one(live.begin());
}

TEST_P(HeapResourceTest, HasRoomForAVectorThatGrows) {  // T-AR-21
    std::pmr::vector<std::uint32_t> numbers(&resource_);
    std::minstd_rand random(21);
    for (int i = 0; i < 3'000'000; ++i) numbers.push_back(static_cast<std::uint32_t>(random()));
    std::ranges::sort(numbers);
    EXPECT_TRUE(std::ranges::is_sorted(numbers));
    EXPECT_EQ(numbers.size(), 3'000'000U);
}

TEST_P(HeapResourceTest, TakesBackManyBlocksInAnyOrder) {  // T-AR-22
    for (const auto& [count, words] : {std::pair{30'000, 64}, std::pair{7'500, 520}}) {
        std::vector<std::pmr::vector<std::uint64_t>> blocks;
        for (int i = 0; i < count; ++i) {
            blocks.emplace_back(static_cast<std::size_t>(words), static_cast<std::uint64_t>(i),
                                &resource_);
        }
        std::vector<std::size_t> order(blocks.size());
        std::iota(order.begin(), order.end(), 0U);
        std::ranges::shuffle(order, std::minstd_rand(22));
        for (const std::size_t i : order) {
            ASSERT_TRUE(std::ranges::all_of(blocks[i], [&](auto word) { return word == i; }));
            std::pmr::vector<std::uint64_t>(&resource_).swap(blocks[i]);
        }
        EXPECT_EQ(blocks_.blocks(), 0U);
    }
}

using Words = std::pmr::map<std::pmr::string, int>;

/// What a map has after so many steps, of which every fifth takes the first entry away.
std::vector<std::pair<std::string, int>> words_after_steps(std::pmr::memory_resource* memory) {
    Words words(memory);
    std::minstd_rand random(23);
    for (int step = 0; step < 50'000; ++step) {
        if (random() % 5 == 0 && !words.empty()) {
            words.erase(words.begin());
        } else {
            words[std::pmr::string("a key that needs a block, " + std::to_string(random() % 30'000),
                                   memory)] += step;
        }
    }
    return {words.begin(), words.end()};
}

TEST_P(HeapResourceTest, HoldsAMapAsTheSystemsMemoryDoes) {  // T-AR-23
    EXPECT_EQ(words_after_steps(&resource_), words_after_steps(std::pmr::new_delete_resource()));
}

TEST_P(HeapResourceTest, DoesNotAskTheHeapForNothing) {  // T-AR-24
    void* const nothing = resource_.allocate(0, 64);
    EXPECT_NE(nothing, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(nothing) % 64, 0U);
    resource_.deallocate(nothing, 0, 64);
    EXPECT_EQ(blocks_.calls, 0);
}

TEST_P(HeapResourceTest, SharesTheHeapWithOthersOfIt) {  // T-AR-25
    HeapResource other(blocks_);
    EXPECT_TRUE(resource_.is_equal(other));
    void* const block = resource_.allocate(100, 8);
    other.deallocate(block, 100, 8);
    OwnBlocks another(GetParam());
    EXPECT_FALSE(resource_.is_equal(HeapResource(another)));
}

INSTANTIATE_TEST_SUITE_P(Kinds, HeapResourceTest,
                         testing::Values(HeapKind::tlsf, HeapKind::buddy, HeapKind::slab),
                         [](const auto& kind) { return std::string(name_of(kind.param)); });

}  // namespace
}  // namespace shmpool
