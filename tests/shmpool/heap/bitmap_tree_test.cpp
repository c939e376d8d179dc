// SPDX-License-Identifier: Apache-2.0
/// What the tree of bits under heaps of pages and of ids must do, at the sizes where it gets one
/// more level and one fewer word (T-AR-10).
#include "shmpool/heap/bitmap_tree.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "tests/shmpool/heap/own_heap.hpp"

namespace shmpool {
namespace {

using Tree = BitmapTree<HeapWords<>>;

/// A tree in words that nobody undoes.
class BitmapTreeOf : public testing::TestWithParam<std::uint64_t> {
protected:
    void TearDown() override {
        HeapCensus census;
        tree.look_at_all(census);
        EXPECT_TRUE(census.findings.empty());
        EXPECT_FALSE(words.failed());
    }
    [[nodiscard]] std::uint64_t bound() const { return GetParam(); }

    test::HeapMemory memory{1 << 20};
    HeapWords<> words{memory.view(), sizeof(HeapHeader), 16'384};
    BitmapShape shape{GetParam()};
    Tree tree{words, 512 << 10, shape};
};

TEST_P(BitmapTreeOf, HoldsNothingAtFirst) {
    EXPECT_EQ(tree.next(0), std::nullopt);
    EXPECT_EQ(tree.count(0, bound()), 0U);
    EXPECT_FALSE(tree.holds_any(0, bound()));
    EXPECT_EQ(tree.find_run(1, 1, 0), std::nullopt);
}

TEST_P(BitmapTreeOf, HandsOutTheLowestFirst) {
    tree.insert(0, bound());
    for (std::uint64_t number = 0; number < bound(); ++number) {
        words.commit();  // The journal is for one change.
        ASSERT_EQ(tree.next(0), number);
        ASSERT_EQ(tree.find_run(1, 1, 0), number);
        ASSERT_TRUE(tree.holds_all(number, number + 1));
        tree.remove(number, number + 1);
        ASSERT_FALSE(tree.holds_any(number, number + 1));
    }
    EXPECT_EQ(tree.next(0), std::nullopt);
    for (std::uint64_t number = bound(); number-- > 0;) {
        words.commit();
        tree.insert(number, number + 1);
        ASSERT_EQ(tree.next(0), number);
    }
    EXPECT_TRUE(tree.holds_all(0, bound()));
    EXPECT_EQ(tree.count(0, bound()), bound());
}

TEST_P(BitmapTreeOf, IsNotChangedByAnEmptyRange) {
    for (const std::uint64_t at : {std::uint64_t{0}, bound() / 2, bound()}) {
        tree.insert(at, at);
        EXPECT_EQ(tree.next(0), std::nullopt);
    }
    tree.insert(0, bound());
    for (const std::uint64_t at : {std::uint64_t{0}, bound() / 2, bound()}) {
        tree.remove(at, at);
        EXPECT_TRUE(tree.holds_all(at, at));
        EXPECT_FALSE(tree.holds_any(at, at));
    }
    EXPECT_EQ(tree.count(0, bound()), bound());
}

TEST_P(BitmapTreeOf, FindsARunAtItsVeryEnd) {
    const std::uint64_t begin = bound() - 5;
    tree.insert(begin, bound());
    EXPECT_EQ(tree.find_run(5, 1, 0), begin);
    EXPECT_EQ(tree.find_run(6, 1, 0), std::nullopt);
    const std::uint64_t aligned = (begin + 3) / 4 * 4;
    EXPECT_EQ(tree.find_run(bound() - aligned, 4, 0), aligned);
    EXPECT_EQ(tree.find_run(bound() - aligned + 1, 4, 0), std::nullopt);
    tree.insert(0, 5);
    EXPECT_EQ(tree.find_run(5, 1, 0), 0U);
    tree.remove(2, 3);
    EXPECT_EQ(tree.find_run(3, 1, 0), begin);
    EXPECT_EQ(tree.next(5), begin);
}

TEST_P(BitmapTreeOf, DoesAsASetOfNumbers) {
    std::mt19937_64 random(10);
    std::set<std::uint64_t> model;
    for (int step = 0; step < 2'000; ++step) {
        words.commit();
        const std::uint64_t begin = random() % bound();
        const std::uint64_t end = std::min(bound(), begin + random() % 200);
        const bool inserts = random() % 2 == 0;
        inserts ? tree.insert(begin, end) : tree.remove(begin, end);
        for (std::uint64_t number = begin; number < end; ++number) {
            inserts ? (void)model.insert(number) : (void)model.erase(number);
        }
        const auto expected = model.lower_bound(begin);
        const auto next = tree.next(begin);
        ASSERT_EQ(next.has_value(), expected != model.end());
        if (next) {
            ASSERT_EQ(*next, *expected);
        }
    }
    EXPECT_EQ(tree.count(0, bound()), model.size());
}

INSTANTIATE_TEST_SUITE_P(Numbers, BitmapTreeOf,
                         testing::Values(16, 64, 65, 256, 4096, 4097, 10'000),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace shmpool
