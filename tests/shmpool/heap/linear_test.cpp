// SPDX-License-Identifier: Apache-2.0
/// The stack itself, and the kind that is nothing else. Ids in brackets are of the list of
/// features.
#include "shmpool/heap/linear.hpp"

#include "shmpool/heap/heap_guard.hpp"
#include "tests/shmpool/heap/own_stack.hpp"

namespace shmpool {
namespace {

using test::OwnStack;
using ::testing::ElementsAre;
using Lengths = std::vector<std::uint64_t>;

constexpr HeapHolder me = OwnStack::me;

TEST(Stack, GrowsAndShrinksAtItsEnd) {  // T-BS-1
    test::HeapMemory memory(64 << 10);
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::linear));
    const StackPlan plan = StackPlan::of(Linear<HeapWords<>>::shape(0), memory.view().size());
    HeapGuard<> guard(memory.view(), plan.heap, std::chrono::seconds(1));
    const auto fails = guard.change(me, [&](HeapWords<>& words) -> Outcome<void> {
        Stack<HeapWords<>> stack(words, plan);
        EXPECT_EQ(stack.extend(0).value(), 0U);
        EXPECT_EQ(stack.extend(24).value(), 0U);
        EXPECT_EQ(stack.extend(0).value(), 24U);
        EXPECT_EQ(stack.extend(8).value(), 24U);
        EXPECT_FALSE(stack.extend(plan.capacity - 31));
        EXPECT_FALSE(stack.extend(~std::uint64_t{0}));
        EXPECT_FALSE(stack.discard(33));
        EXPECT_EQ(stack.len(), 32U);
        stack.set(16, 77);
        EXPECT_TRUE(stack.discard(0));
        EXPECT_TRUE(stack.discard(16));
        EXPECT_EQ(stack.get(16), 77U) << "nobody touches what was discarded";
        EXPECT_EQ(stack.extend(16).value(), 16U);
        EXPECT_EQ(stack.get(16), 0U);
        stack.set(0, 5);
        stack.copy_to_free(0, 16, 8);
        EXPECT_EQ(stack.get(16), 5U);
        stack.zero_in_free(16, 8);
        EXPECT_EQ(stack.get(16), 0U);
        EXPECT_EQ(stack.discard(32).has_value(), true);
        EXPECT_FALSE(words.failed());
        (void)stack.get(plan.capacity - 4);
        EXPECT_TRUE(words.failed()) << "what reaches out of it";
        return {};
    });
    EXPECT_EQ(fails.error(), Errc::heap_damaged);
}

class LinearTest : public testing::Test {
protected:
    OwnStack own{HeapKind::linear};
};

TEST_F(LinearTest, HandsOutWhatIsNext) {  // T-BS-10, T-BS-11
    EXPECT_TRUE(own.heap->is_empty(me).value());
    EXPECT_EQ(own.alloc(10), (StackHandle{0, 10}));
    EXPECT_EQ(own.alloc(7), (StackHandle{10, 7}));
    EXPECT_EQ(own.alloc(0), (StackHandle{17, 0}));
    EXPECT_EQ(own.alloc(0), (StackHandle{17, 0}));
    EXPECT_EQ(own.len(), 17U);
    own.fill({0, 17}, 0xFF);
    own.free({10, 7});
    EXPECT_TRUE(own.is_zero(own.alloc(20)));
    EXPECT_FALSE(own.heap->is_empty(me).value());
}

TEST_F(LinearTest, ResizesTheLastOneOnly) {  // T-BS-12
    const StackHandle first = own.alloc(8);
    const StackHandle last = own.alloc(8);
    own.fill(last, 1);
    EXPECT_EQ(own.realloc(last, 16), (StackHandle{8, 16}));
    EXPECT_TRUE(own.holds({8, 8}, 1));
    EXPECT_TRUE(own.is_zero({16, 8}));
    EXPECT_EQ(own.realloc({8, 16}, 16), (StackHandle{8, 16}));
    EXPECT_EQ(own.realloc({8, 16}, 4), (StackHandle{8, 4}));
    EXPECT_EQ(own.len(), 12U);
    EXPECT_EQ(own.realloc(first, 8), first) << "the same length is no change";
    own.expect_error(Errc::unsupported, own.heap->realloc(me, first, 9));
    own.expect_error(Errc::unsupported, own.heap->realloc(me, first, 0));
    EXPECT_EQ(own.realloc({8, 4}, 0), (StackHandle{8, 0})) << "it keeps its place";
    EXPECT_EQ(own.realloc({8, 0}, 5), (StackHandle{8, 5}));
    EXPECT_TRUE(own.is_zero({8, 5}));
    EXPECT_EQ(own.len(), 13U);
}

TEST_F(LinearTest, TakesBackTheLastOneOnly) {  // T-BS-13, D-BS-2
    const StackHandle first = own.alloc(8);
    const StackHandle last = own.alloc(8);
    own.free(first);
    EXPECT_EQ(own.len(), 16U);
    own.free(last);
    EXPECT_EQ(own.len(), 8U);
    own.expect_free_fails(Errc::not_allocated, last);
    own.expect_free_fails(Errc::not_allocated, {9, ~std::uint64_t{0}});
}

TEST_F(LinearTest, HandsOutManyAtOnce) {  // T-BS-14, T-BS-15, T-BS-16, T-BS-19
    EXPECT_THAT(own.alloc_bulk({8, 16, 32}),
                ElementsAre(StackHandle{0, 8}, StackHandle{8, 16}, StackHandle{24, 32}));
    EXPECT_EQ(own.len(), 56U);
    EXPECT_TRUE(own.is_zero({0, 56}));
    EXPECT_THAT(own.alloc_bulk({0, 8, 0}),
                ElementsAre(StackHandle{56, 0}, StackHandle{56, 8}, StackHandle{64, 0}));
    EXPECT_TRUE(own.alloc_bulk({}).empty());
    EXPECT_THAT(own.alloc_bulk({3}), ElementsAre(StackHandle{64, 3}));
    EXPECT_EQ(own.alloc(1).offset, 67U);
    OwnStack other(HeapKind::linear);
    (void)other.alloc_bulk({8, 16});
    EXPECT_EQ(other.alloc(4).offset, 24U);
    own.expect_error(Errc::no_memory, own.heap->alloc_bulk(me, Lengths{8, own.now().capacity}));
    EXPECT_EQ(own.len(), 68U);
}

TEST_F(LinearTest, RefusesASumThatIsNoNumber) {  // T-BS-17
    (void)own.alloc(5);
    own.expect_error(Errc::invalid_argument,
                     own.heap->alloc_bulk(me, Lengths{~std::uint64_t{0}, 1}));
    EXPECT_EQ(own.len(), 5U);
}

TEST_F(LinearTest, TakesBackManyAtOnce) {  // T-BS-18, D-BS-3
    const auto free = [&](std::vector<StackHandle> handles) {
        return own.heap->dealloc_bulk(me, handles);
    };
    auto blocks = own.alloc_bulk({8, 8, 8});
    EXPECT_TRUE(free({blocks[2], blocks[1], blocks[0]}));
    EXPECT_EQ(own.len(), 0U);
    blocks = own.alloc_bulk({8, 8, 8});
    EXPECT_TRUE(free({blocks[0], blocks[2]})) << "to the first gap";
    EXPECT_EQ(own.len(), 16U);
    EXPECT_TRUE(free({blocks[0]}));
    EXPECT_EQ(own.len(), 16U) << "it is not the last";
    EXPECT_TRUE(free({}));
    EXPECT_EQ(own.realloc(blocks[1], 40), (StackHandle{8, 40})) << "it is the last now";
    EXPECT_EQ(free({{8, 40}, {8, 40}}).error(), Errc::invalid_argument);
    EXPECT_EQ(free({{8, 40}, {0, 9}}).error(), Errc::invalid_argument);
    EXPECT_EQ(own.len(), 48U);
}

}  // namespace
}  // namespace shmpool
