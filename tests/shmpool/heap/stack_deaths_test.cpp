// SPDX-License-Identifier: Apache-2.0
/// Goal: whoever dies in an operation of a heap of the stack family, before any of its stores,
/// leaves it so that the next one finds the operation done or not begun, and what users wrote as
/// they wrote it (dying_heap.hpp) [T-BS-37, BS-06].
#include "shmpool/heap/first_fit.hpp"
#include "shmpool/heap/ghost_tree.hpp"
#include "shmpool/heap/linear.hpp"
#include "shmpool/heap/slab_list.hpp"
#include "tests/shmpool/heap/dying_stack.hpp"

namespace shmpool {
namespace {

using test::doomed;
using test::Dying;
using test::HeapMemory;
using test::next;
using test::play_blocks;

/// Blocks that lie one behind the other, each full of a byte of its own.
void row(StackHeap& heap, const std::vector<std::uint64_t>& lengths) {
    play_blocks.clear();
    for (const std::uint64_t len : lengths) {
        play_blocks.push_back(heap.alloc(next, len).value());
        const auto bytes =
            heap.stack().value().subspan(play_blocks.back().offset, play_blocks.back().len);
        std::ranges::fill(bytes, std::byte{static_cast<unsigned char>('a' + play_blocks.size())});
    }
}
/// It is none of the play any more.
void give_back(StackHeap& heap, std::size_t index) {
    ASSERT_TRUE(heap.dealloc(next, play_blocks[index]));
    play_blocks[index] = {};
}

struct Step {
    const char* name;
    std::vector<std::uint64_t> lengths;   ///< Of the blocks, ...
    std::vector<std::size_t> given_back;  ///< ... of which these are free before.
    std::function<bool(StackHeap&)> act;
};

bool allocs(StackHeap& heap, std::uint64_t len) {
    return heap.alloc(doomed, len).has_value();
}
bool frees(StackHeap& heap, std::size_t index) {
    return heap.dealloc(doomed, play_blocks[index]).has_value();
}
bool reallocs(StackHeap& heap, std::size_t index, std::uint64_t len) {
    return heap.realloc(doomed, play_blocks[index], len).has_value();
}
bool frees_bulk(StackHeap& heap, const std::vector<std::size_t>& indices) {
    std::vector<StackHandle> handles;
    for (const std::size_t index : indices) handles.push_back(play_blocks[index]);
    return heap.dealloc_bulk(doomed, handles).has_value();
}
bool allocs_bulk(StackHeap& heap, const std::vector<std::uint64_t>& lengths) {
    return heap.alloc_bulk(doomed, lengths).has_value();
}

/// Blocks of a stack play have 64 bytes, or 72 with what is in front of them.
const std::vector<Step>& steps() {
    static const std::vector<Step> all{
        {"alloc at the end", {200}, {}, [](StackHeap& heap) { return allocs(heap, 100); }},
        {"alloc all of a free one", {40, 40, 40}, {1}, [](StackHeap& h) { return allocs(h, 40); }},
        {"alloc the back of one", {40, 400, 40}, {1}, [](StackHeap& h) { return allocs(h, 40); }},
        {"alloc from many",
         {40, 400, 40, 100, 40, 300, 40, 64, 40, 200, 40, 500, 40},
         {1, 3, 5, 7, 9, 11},
         [](StackHeap& h) { return allocs(h, 150); }},
        {"alloc what does not fit", {200}, {}, [](StackHeap& h) { return !allocs(h, 1 << 20); }},
        {"alloc many",
         {200},
         {},
         [](StackHeap& h) {
             return h.kind() == HeapKind::first_fit || allocs_bulk(h, {100, 0, 10, 300});
         }},
        {"alloc many from a free one",
         {40, 900, 40},
         {1},
         [](StackHeap& h) {
             return h.kind() == HeapKind::first_fit || allocs_bulk(h, {32, 64, 32});
         }},
        {"free the last", {40, 40, 40}, {}, [](StackHeap& h) { return frees(h, 2); }},
        {"free the last behind a free one",
         {40, 40, 40},
         {1},
         [](StackHeap& h) { return frees(h, 2); }},
        {"free between live ones", {40, 40, 40}, {}, [](StackHeap& h) { return frees(h, 1); }},
        {"free between free ones",
         {40, 80, 40, 40, 40},
         {1, 3},
         [](StackHeap& h) { return frees(h, 2); }},
        {"free before a free one", {40, 40, 80, 40}, {2}, [](StackHeap& h) { return frees(h, 1); }},
        {"free behind a free one", {40, 40, 80, 40}, {1}, [](StackHeap& h) { return frees(h, 2); }},
        {"free a long one", {40, 500, 40}, {}, [](StackHeap& h) { return frees(h, 1); }},
        {"free beside many",
         {40, 400, 40, 100, 40, 300, 40, 64, 40, 200, 40, 500, 40},
         {1, 3, 5, 7, 9, 11},
         [](StackHeap& h) { return frees(h, 6); }},
        {"free many",
         {40, 40, 500, 40, 40, 40},
         {},
         [](StackHeap& h) {
             return frees_bulk(h, {5, 1, 2, 4});
         }},
        {"free all",
         {40, 500, 100, 40},
         {},
         [](StackHeap& h) {
             return frees_bulk(h, {0, 1, 2, 3});
         }},
        {"free many and one twice",
         {40, 40, 40, 40},
         {},
         [](StackHeap& h) {
             return !frees_bulk(h, {1, 2, 1});
         }},
        {"free twice",
         {40, 40, 40},
         {1},
         [](StackHeap& h) {
             return !h.dealloc(doomed, {play_blocks[0].end() + 24, 40}).has_value() ||
                    h.kind() == HeapKind::linear;
         }},
        {"grow the last", {40, 40}, {}, [](StackHeap& h) { return reallocs(h, 1, 400); }},
        {"grow the last by a little",
         {40, 40},
         {},
         [](StackHeap& h) { return reallocs(h, 1, 44); }},
        {"shrink the last", {40, 400}, {}, [](StackHeap& h) { return reallocs(h, 1, 40); }},
        {"grow into the next",
         {40, 40, 400, 40},
         {2},
         [](StackHeap& h) { return reallocs(h, 1, 200) || h.kind() == HeapKind::linear; }},
        {"grow over all of the next",
         {40, 40, 400, 40},
         {2},
         [](StackHeap& h) { return reallocs(h, 1, 440) || h.kind() == HeapKind::linear; }},
        {"grow to elsewhere",
         {40, 200, 40, 40},
         {},
         [](StackHeap& h) { return reallocs(h, 1, 400) || h.kind() == HeapKind::linear; }},
        {"grow into a free one",
         {40, 600, 40, 100, 40},
         {1},
         [](StackHeap& h) { return reallocs(h, 3, 400) || h.kind() == HeapKind::linear; }},
        {"shrink in the middle",
         {40, 500, 40},
         {},
         [](StackHeap& h) { return reallocs(h, 1, 40) || h.kind() == HeapKind::linear; }},
        {"recover",
         {40, 400, 40, 40, 40},
         {1, 3},
         [](StackHeap& h) { return h.recover(doomed).has_value(); }},
    };
    return all;
}

template <template <typename> typename EngineOf>
struct Kind {
    using Play = test::StackPlay<EngineOf>;
    using Heap = typename Play::Heap;

    /// The step as an operation of that kind.
    static test::Operation<Heap> operation(const Step& step) {
        const auto prepare = [&step](Heap& heap) {
            row(heap, step.lengths);
            for (const std::size_t index : step.given_back) give_back(heap, index);
        };
        return {step.name, prepare, [&step](Heap& heap) { return step.act(heap); }};
    }
    static void leaves_it_done_or_not_begun(const Step& step) {
        const auto one = operation(step);
        test::Deaths<Play>(one).leave_it_done_or_not_begun();
    }
    static void may_be_in_the_repair_too(const Step& step) {
        const auto one = operation(step);
        test::Deaths<Play>(one).may_be_in_the_repair_too();
    }
};

struct Deathbed {
    HeapKind kind;
    void (*dies)(const Step& step);
    void (*dies_again)(const Step& step);
};

template <template <typename> typename EngineOf>
Deathbed deathbed() {
    using Of = Kind<EngineOf>;
    return {Of::Heap::Engine::shape(64).kind, Of::leaves_it_done_or_not_begun,
            Of::may_be_in_the_repair_too};
}

const std::vector<Deathbed>& deathbeds() {
    static const std::vector<Deathbed> all{deathbed<Linear>(), deathbed<FirstFit>(),
                                           deathbed<GhostTree>(), deathbed<SlabStack>(),
                                           deathbed<CheckedSlab>()};
    return all;
}

class StackDeath : public testing::TestWithParam<std::tuple<std::size_t, std::size_t>> {
protected:
    const Deathbed& bed = deathbeds()[std::get<0>(GetParam())];
    const Step& step = steps()[std::get<1>(GetParam())];
};

TEST_P(StackDeath, IsDoneOrNotBegun) {
    bed.dies(step);
}

TEST_P(StackDeath, MayBeInTheRepairToo) {
    bed.dies_again(step);
}

INSTANTIATE_TEST_SUITE_P(Of, StackDeath,
                         testing::Combine(testing::Range(std::size_t{0}, deathbeds().size()),
                                          testing::Range(std::size_t{0}, steps().size())),
                         [](const auto& tested) {
                             return std::string(
                                        name_of(deathbeds()[std::get<0>(tested.param)].kind)) +
                                    "_" + test::name_of_play(steps(), std::get<1>(tested.param));
                         });

template <typename Kind>
class BirthOfStacks : public testing::Test {};
using BornKinds = testing::Types<Kind<Linear>, Kind<FirstFit>, Kind<GhostTree>, Kind<SlabStack>,
                                 Kind<CheckedSlab>>;
TYPED_TEST_SUITE(BirthOfStacks, BornKinds);

TYPED_TEST(BirthOfStacks, IsDoneOrCanBeBegunAnew) {  // T-BS-50, D-BS-8
    using Heap = typename TypeParam::Heap;
    bool lived = false;
    for (std::uint64_t store = 0; !lived; ++store) {
        ASSERT_LT(store, 1'000U);
        HeapMemory memory(test::dying_memory_bytes);
        Dying::dies(store);
        try {
            ASSERT_TRUE(Heap::format(memory.view(), TypeParam::Play::options()));
            lived = true;
        } catch (const test::Death&) {
            EXPECT_EQ(open_stack_heap(memory.view()).error().code, Errc::wrong_magic) << store;
        }
        Dying::lives();
        ASSERT_TRUE(Heap::format(memory.view(), TypeParam::Play::options())) << store;
        const auto heap = open_stack_heap(memory.view());
        ASSERT_TRUE(heap) << store;
        EXPECT_EQ(test::broken(**heap, next), "") << store;
        EXPECT_TRUE((*heap)->alloc(next, 40)) << store;
        EXPECT_GT(lived ? store : 1U, 0U) << "stores were counted";
    }
}

}  // namespace
}  // namespace shmpool
