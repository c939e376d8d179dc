// SPDX-License-Identifier: Apache-2.0
/// What a heap of ids must do. All of it is T-AR-60 of the list of features.
#include "shmpool/heap/id_heap.hpp"

#include <random>

#include "tests/shmpool/heap/own_heap.hpp"
#include "tests/shmpool/heap/random_steps.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::HeapMemory;

constexpr HeapHolder me = 1;

class IdHeapTest : public testing::Test {
protected:
    static constexpr std::uint64_t first = 1001;
    static constexpr std::uint64_t count = 500;

    void SetUp() override {
        HeapOptions options;
        options.first_id = first;
        options.id_count = count;
        options.id_capacity = 2 * count;
        ASSERT_TRUE(format_heap(memory.view(), HeapKind::ids, options));
        heap = *open_id_heap(memory.view());
    }
    void TearDown() override { EXPECT_EQ(broken(*heap, me), ""); }

    std::uint64_t allocate(std::uint64_t ids = 1, std::uint64_t alignment = 1) {
        return heap->allocate_id(me, ids, alignment).value();
    }
    bool is_allocated(std::uint64_t id) { return heap->is_allocated(me, id).value(); }
    void expect_ids(std::uint64_t size, std::uint64_t used) {
        const IdStatistics now = heap->statistics(me).value();
        EXPECT_EQ(now.size, size);
        EXPECT_EQ(now.used, used);
        EXPECT_EQ(now.available, size - used);
    }
    template <typename Outcome>
    void expect_error(Errc code, const Outcome& outcome) {
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error(), code) << name_of(outcome.error());
    }
    void expect_free_fails(Errc code, std::uint64_t start, std::uint64_t ids) {
        const IdStatistics before = heap->statistics(me).value();
        expect_error(code, heap->free_id(me, start, ids));
        expect_ids(before.size, before.used);
    }

    HeapMemory memory{64 << 10};
    std::unique_ptr<IdHeap> heap;
};

TEST_F(IdHeapTest, HandsOutTheLowestThatIsFree) {
    expect_ids(count, 0);
    for (std::uint64_t i = 0; i < 130; ++i) EXPECT_EQ(allocate(), first + i);
    expect_ids(count, 130);
    EXPECT_TRUE(heap->free_id(me, first + 70, 1));
    EXPECT_TRUE(heap->free_id(me, first + 7, 1));
    EXPECT_EQ(allocate(), first + 7);
    EXPECT_EQ(allocate(), first + 70);
    EXPECT_EQ(allocate(), first + 130);
}

TEST_F(IdHeapTest, AlignsTheIdAndNotItsPlace) {
    EXPECT_EQ(allocate(4, 4), 1004U);
    EXPECT_EQ(allocate(1, 256), 1024U);
    EXPECT_EQ(allocate(4, 4), 1008U);
    EXPECT_EQ(allocate(3, 1), 1001U);
    EXPECT_EQ(allocate(12, 1), 1012U);
    expect_error(Errc::no_memory, heap->allocate_id(me, 1, 2048));
    expect_error(Errc::no_memory, heap->allocate_id(me, 1, std::uint64_t{1} << 63));
}

TEST_F(IdHeapTest, NeverHandsOutNorFreesWhatIsFixed) {
    EXPECT_TRUE(heap->allocate_fixed_id(me, first + 1));
    expect_error(Errc::no_memory, heap->allocate_fixed_id(me, first + 1));
    EXPECT_TRUE(is_allocated(first + 1));
    EXPECT_EQ(allocate(), first);
    EXPECT_EQ(allocate(), first + 2);
    expect_error(Errc::no_memory, heap->allocate_fixed_id(me, first + 2));
    expect_free_fails(Errc::unsupported, first + 1, 1);
    expect_free_fails(Errc::unsupported, first, 3);
    expect_ids(count, 3);
    EXPECT_TRUE(heap->free_id(me, first, 1));
    EXPECT_TRUE(heap->free_id(me, first + 2, 1));
    EXPECT_TRUE(heap->allocate_fixed_id(me, first)) << "it is free";
    expect_ids(count, 2);
    EXPECT_EQ(allocate(count - 2), first + 2);
}

TEST_F(IdHeapTest, RefusesNonsense) {
    expect_error(Errc::invalid_argument, heap->allocate_id(me, 0, 1));
    expect_error(Errc::invalid_argument, heap->allocate_id(me, 1, 0));
    expect_error(Errc::invalid_argument, heap->allocate_id(me, 1, 3));
    for (const std::uint64_t id : {std::uint64_t{0}, first - 1, first + count, ~std::uint64_t{0}}) {
        expect_error(Errc::invalid_argument, heap->allocate_fixed_id(me, id));
        EXPECT_FALSE(is_allocated(id));
        expect_free_fails(Errc::not_allocated, id, 1);
    }
    expect_error(Errc::no_memory, heap->allocate_id(me, count + 1, 1));
    expect_error(Errc::no_memory, heap->allocate_id(me, ~std::uint64_t{0}, 1));
    expect_ids(count, 0);
}

TEST_F(IdHeapTest, FreesARangeWhollyOrNotAtAll) {
    EXPECT_EQ(allocate(200), first);
    EXPECT_TRUE(heap->free_id(me, first + 100, 1));
    expect_free_fails(Errc::not_allocated, first, 200);
    expect_free_fails(Errc::not_allocated, first + 100, 1);
    expect_free_fails(Errc::not_allocated, first + 190, 11);
    expect_free_fails(Errc::not_allocated, first - 1, 2);
    expect_free_fails(Errc::not_allocated, first, ~std::uint64_t{0});
    expect_free_fails(Errc::invalid_argument, first, 0);
    EXPECT_TRUE(is_allocated(first + 99));
    EXPECT_FALSE(is_allocated(first + 100));
    EXPECT_TRUE(heap->free_id(me, first, 100));
    EXPECT_TRUE(heap->free_id(me, first + 101, 99));
    expect_ids(count, 0);
}

TEST_F(IdHeapTest, IsExhaustedAndGrowsUpToItsCapacity) {
    EXPECT_EQ(allocate(count), first);
    expect_error(Errc::no_memory, heap->allocate_id(me, 1, 1));
    expect_error(Errc::invalid_argument, heap->add_ids(me, 0));
    expect_error(Errc::no_memory, heap->add_ids(me, count + 1));
    expect_error(Errc::no_memory, heap->add_ids(me, ~std::uint64_t{0}));
    expect_ids(count, count);
    EXPECT_TRUE(heap->add_ids(me, 10));
    EXPECT_EQ(allocate(10), first + count);
    EXPECT_TRUE(heap->free_id(me, first + count - 1, 2)) << "of the old and of the new ones";
    EXPECT_EQ(allocate(2), first + count - 1);
    EXPECT_TRUE(heap->add_ids(me, count - 10));
    expect_error(Errc::no_memory, heap->add_ids(me, 1));
    EXPECT_EQ(allocate(count - 10), first + count + 10);
    expect_ids(2 * count, 2 * count);
    EXPECT_TRUE(heap->free_id(me, first, 2 * count));
}

TEST_F(IdHeapTest, IsOneHeapAtTwoAddresses) {
    const auto other = *open_id_heap(memory.map());
    EXPECT_EQ(allocate(), first);
    EXPECT_TRUE(other->allocate_fixed_id(me, first + 1));
    EXPECT_EQ(allocate(), first + 2);
    EXPECT_TRUE(other->free_id(me, first, 1));
    expect_free_fails(Errc::not_allocated, first, 1);
}

TEST_F(IdHeapTest, DoesAsTheModelThroughRandomSteps) {
    test::RandomSteps random(30'000);
    enum class State : std::uint8_t { free, live, fixed };
    std::vector<State> model(count, State::free);
    const auto is_all = [&](std::uint64_t at, std::uint64_t ids, auto good) {
        return at + ids <= count &&
               std::all_of(&model[at], &model[at] + ids, [&](State one) { return good(one); });
    };
    const auto is_free = [](State one) { return one == State::free; };
    while (random.go_on()) {
        const std::uint64_t ids = 1 + random() % (random() % 8 == 0 ? 150 : 6);
        const std::uint64_t at = random() % count;
        const std::uint64_t kind = random() % 1000;
        if (kind == 0) {
            random.note("heap->allocate_fixed_id", first + at);
            ASSERT_EQ(heap->allocate_fixed_id(me, first + at).has_value(), is_free(model[at]));
            if (is_free(model[at])) model[at] = State::fixed;
        } else if (kind < 500) {
            const std::uint64_t alignment = std::uint64_t{1} << (random() % 8);
            std::uint64_t expected = 0;
            while (expected < count &&
                   ((first + expected) % alignment != 0 || !is_all(expected, ids, is_free))) {
                ++expected;
            }
            random.note("heap->allocate_id", ids, alignment);
            const auto got = heap->allocate_id(me, ids, alignment);
            ASSERT_EQ(got.value_or(first + count), first + expected);
            if (got) std::fill_n(&model[expected], ids, State::live);
        } else {
            const bool is_right = is_all(at, ids, [](State one) { return one == State::live; });
            random.note("heap->free_id", first + at, ids);
            ASSERT_EQ(heap->free_id(me, first + at, ids).has_value(), is_right);
            if (is_right) std::fill_n(&model[at], ids, State::free);
        }
        ASSERT_EQ(is_allocated(first + at), !is_free(model[at]));
        if (random.is_every(1000)) {
            ASSERT_EQ(broken(*heap, me), "");
        }
    }
    expect_ids(count, count - static_cast<std::uint64_t>(std::ranges::count(model, State::free)));
}

TEST(IdHeapFormat, TakesAnyNumbersThatAreNumbers) {
    HeapMemory memory(64 << 10);
    const auto formatted = [&](std::uint64_t first, std::uint64_t count) {
        HeapOptions options;
        options.first_id = first;
        options.id_count = count;
        const auto done = format_heap(memory.view(), HeapKind::ids, options);
        return done ? Errc::internal_fault : done.error().code;
    };
    EXPECT_EQ(formatted(0, 0), Errc::invalid_argument);
    EXPECT_EQ(formatted(~std::uint64_t{0}, 1), Errc::invalid_argument);
    EXPECT_EQ(formatted(1, ~std::uint64_t{0}), Errc::invalid_argument);
    EXPECT_EQ(formatted(0, ~std::uint64_t{0}), Errc::region_too_small);
    EXPECT_EQ(formatted(0, 128 << 10), Errc::region_too_small);
    ASSERT_EQ(formatted(~std::uint64_t{0} - 64, 64), Errc::internal_fault) << "formatted";
    const auto heap = *open_id_heap(memory.view());
    EXPECT_EQ(heap->allocate_id(me, 64, 1).value(), ~std::uint64_t{0} - 64);
    EXPECT_TRUE(heap->is_allocated(me, ~std::uint64_t{0} - 1).value());
    EXPECT_FALSE(heap->is_allocated(me, ~std::uint64_t{0}).value());
    ASSERT_EQ(formatted(1, 64 << 10), Errc::internal_fault) << "formatted";
    const auto large = *open_id_heap(memory.view());
    EXPECT_EQ(large->allocate_id(me, 64 << 10, 1).value(), 1U) << "one change of all words";
    EXPECT_EQ(broken(*large, me), "");
}

}  // namespace
}  // namespace shmpool
