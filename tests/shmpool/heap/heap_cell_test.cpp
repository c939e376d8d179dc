// SPDX-License-Identifier: Apache-2.0
/// Goal: what goes into a cell is allocated and found in one step, wherever its author dies, and
/// is seen by no reader before that is sure. XC-07.
#include "shmpool/heap/heap_cell.hpp"

#include <string>

#include "shmpool/heap/buddy.hpp"
#include "shmpool/heap/object_heap.hpp"
#include "shmpool/heap/page_heap.hpp"
#include "shmpool/heap/slab.hpp"
#include "shmpool/heap/tlsf.hpp"
#include "tests/shmpool/heap/dying_bytes.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::HeapMemory;

constexpr HeapHolder me = 1;
constexpr HeapOwner ann = 0x0000'0001'0000'0003;

std::uint64_t word_at(std::span<const std::byte> memory, HeapOffset at) {
    std::uint64_t value = 0;
    std::memcpy(&value, memory.data() + at, sizeof(value));
    return value;
}
std::uint64_t root_of(std::span<const std::byte> memory) {
    return word_at(memory, HeapCell::root().at);
}

struct Kind {
    HeapKind kind;
    bool owned;
};

class HeapCells : public testing::TestWithParam<Kind> {
protected:
    void SetUp() override {
        HeapOptions options;
        options.owned = GetParam().owned;
        ASSERT_TRUE(format_heap(memory.view(), GetParam().kind, options));
        heap = *open_byte_heap(memory.view());
    }
    void TearDown() override { EXPECT_EQ(broken(*heap, me), ""); }

    /// With zeros in it.
    HeapOffset table() {
        const HeapOffset block = heap->allocate({me, ann}, 64, 8).value();
        std::memset(memory.view().data() + block, 0, heap->usable_bytes(me, block).value());
        return block;
    }
    [[nodiscard]] std::uint64_t blocks() { return heap->statistics(me)->blocks; }
    void expect_refused(Errc code, const HeapCell& cell) {
        const std::uint64_t before = blocks();
        EXPECT_EQ(heap->allocate_into(me, 8, 8, cell).error(), code);
        EXPECT_EQ(blocks(), before);
    }

    HeapMemory memory{1 << 20};
    std::unique_ptr<ByteHeap> heap;
};

TEST_P(HeapCells, HoldWhatIsAllocatedIntoThemUntilItIsFreed) {
    const HeapOffset in = table();
    const HeapCell cell{in, 56};
    const HeapOffset block = heap->allocate_into(me, 100, 32, cell).value();
    EXPECT_EQ(block % 32, 0U);
    EXPECT_EQ(word_at(memory.view(), in + 56), block);
    EXPECT_GE(heap->usable_bytes(me, block).value(), 100U);
    ASSERT_TRUE(heap->free_from(me, cell));
    EXPECT_EQ(word_at(memory.view(), in + 56), 0U);
    EXPECT_EQ(heap->free(me, block).error(), Errc::not_allocated);
    EXPECT_EQ(heap->free_from(me, cell).error(), Errc::not_allocated) << "it is empty";
}

TEST_P(HeapCells, MayBeTheRoot) {
    const HeapOffset block = heap->allocate_into(me, 100, 8, HeapCell::root()).value();
    EXPECT_EQ(root_of(memory.view()), block);
    ASSERT_TRUE(heap->free_from(me, HeapCell::root()));
    EXPECT_EQ(root_of(memory.view()), 0U);
}

TEST_P(HeapCells, TakeABlockThatWasWrittenBefore) {
    const HeapOffset block = heap->allocate({me, ann}, 100, 8).value();
    ASSERT_TRUE(heap->keep_in(me, block, HeapCell::root()));
    EXPECT_EQ(root_of(memory.view()), block);
    const auto is_gone = [](HeapOwner) { return true; };
    EXPECT_EQ(heap->reclaim(me, is_gone), 0U) << "it is the cell's, and no peer's";
    EXPECT_EQ(heap->keep_in(me, block + 8, HeapCell{table(), 0}).error(), Errc::not_allocated);
}

TEST_P(HeapCells, OutliveWhoHasFilledThem) {
    ASSERT_TRUE(heap->allocate_into(me, 100, 8, HeapCell::root()));
    EXPECT_EQ(heap->reclaim(me, [](HeapOwner) { return true; }), 0U);
    EXPECT_EQ(blocks(), 1U);
}

TEST_P(HeapCells, AreNotFilledTwice) {
    const HeapOffset block = heap->allocate_into(me, 100, 8, HeapCell::root()).value();
    expect_refused(Errc::cell_in_use, HeapCell::root());
    const HeapOffset other = heap->allocate({me, ann}, 100, 8).value();
    EXPECT_EQ(heap->keep_in(me, other, HeapCell::root()).error(), Errc::cell_in_use);
    EXPECT_EQ(root_of(memory.view()), block);
}

TEST_P(HeapCells, LieInLiveBlocksOnly) {
    const HeapOffset in = table();
    const std::uint64_t usable = heap->usable_bytes(me, in).value();
    expect_refused(Errc::invalid_argument, {in, 4});
    expect_refused(Errc::invalid_argument, {in, usable});
    expect_refused(Errc::invalid_argument, {in, usable - 4});
    expect_refused(Errc::invalid_argument, {in, ~std::uint64_t{7}});
    expect_refused(Errc::not_allocated, {in + 8, 0});
    expect_refused(Errc::not_allocated, {0, offsetof(HeapHeader, used_bytes)});
    expect_refused(Errc::not_allocated, {512, 0});
    ASSERT_TRUE(heap->free(me, in));
    expect_refused(Errc::not_allocated, {in, 0});
}

TEST_P(HeapCells, StayEmptyIfThereIsNothingToPutIntoThem) {
    EXPECT_EQ(heap->allocate_into(me, 2 << 20, 8, HeapCell::root()).error(), Errc::no_memory);
    EXPECT_EQ(heap->allocate_into(me, 8, 3, HeapCell::root()).error(), Errc::invalid_argument);
    EXPECT_EQ(root_of(memory.view()), 0U);
}

INSTANTIATE_TEST_SUITE_P(Kinds, HeapCells,
                         testing::Values(Kind{HeapKind::tlsf, false}, Kind{HeapKind::tlsf, true},
                                         Kind{HeapKind::buddy, false}, Kind{HeapKind::slab, true}),
                         [](const auto& tested) {
                             return std::string(tested.param.owned ? "Owned" : "") +
                                    std::string(name_of(tested.param.kind));
                         });

TEST(HeapCellsOfPages, HoldPages) {
    HeapMemory memory(1 << 20);
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::bitmap_pages, {.owned = true}));
    const auto heap = *open_page_heap(memory.view());
    const HeapOffset in = heap->allocate_pages_into(me, 1, page_bytes, HeapCell::root()).value();
    std::memset(memory.view().data() + in, 0, page_bytes);
    const HeapOffset run = heap->allocate_pages_into(me, 3, page_bytes, {in, 8}).value();
    EXPECT_EQ(word_at(memory.view(), in + 8), run);
    EXPECT_EQ(heap->allocate_pages_into(me, 1, page_bytes, {in, 8}).error(), Errc::cell_in_use);
    EXPECT_EQ(heap->allocate_pages_into(me, 1, page_bytes, {in, page_bytes}).error(),
              Errc::invalid_argument);
    EXPECT_EQ(heap->allocate_pages_into(me, 1, page_bytes, {in + 1, 7}).error(),
              Errc::not_allocated);
    EXPECT_EQ(heap->reclaim(me, [](HeapOwner) { return true; }), 0U);
    ASSERT_TRUE(heap->free_pages_from(me, 3, {in, 8}));
    EXPECT_EQ(word_at(memory.view(), in + 8), 0U);
    EXPECT_EQ(heap->free_pages_from(me, 3, {in, 8}).error(), Errc::not_allocated);
    ASSERT_TRUE(heap->free_pages_from(me, 1, HeapCell::root()));
    EXPECT_EQ(heap->statistics(me)->used_pages, 0U);
    EXPECT_EQ(broken(*heap, me), "");
}

TEST(HeapCellsOfPages, TakePagesThatWereWrittenBefore) {
    for (const bool is_owned : {false, true}) {
        SCOPED_TRACE(is_owned);
        HeapMemory memory(1 << 20);
        ASSERT_TRUE(format_heap(memory.view(), HeapKind::bitmap_pages, {.owned = is_owned}));
        const auto heap = *open_page_heap(memory.view());
        const HeapOffset run = heap->allocate_pages({me, ann}, 100, page_bytes).value();
        std::memset(memory.view().data() + run, 0, page_bytes);
        EXPECT_EQ(heap->keep_pages_in(me, run, 0, HeapCell::root()).error(),
                  Errc::invalid_argument);
        EXPECT_EQ(heap->keep_pages_in(me, run + 8, 1, HeapCell::root()).error(),
                  Errc::invalid_argument);
        EXPECT_EQ(heap->keep_pages_in(me, run, 101, HeapCell::root()).error(), Errc::not_allocated);
        EXPECT_EQ(heap->keep_pages_in(me, run, 1, {run, page_bytes}).error(),
                  Errc::invalid_argument);
        EXPECT_EQ(root_of(memory.view()), 0U);
        ASSERT_TRUE(heap->keep_pages_in(me, run, 60, HeapCell::root()));
        EXPECT_EQ(root_of(memory.view()), run);
        EXPECT_EQ(heap->keep_pages_in(me, run, 60, HeapCell::root()).error(), Errc::cell_in_use);
        ASSERT_TRUE(heap->keep_pages_in(me, run + 60 * page_bytes, 1, {run, 8}));
        EXPECT_EQ(word_at(memory.view(), run + 8), run + 60 * page_bytes);
        const std::uint64_t left = is_owned ? 39 : 0;
        EXPECT_EQ(heap->reclaim(me, [](HeapOwner) { return true; }), left) << "what is in no cell";
        EXPECT_EQ(heap->statistics(me)->used_pages, 100 - left);
        ASSERT_TRUE(heap->free_pages_from(me, 1, {run, 8}));
        ASSERT_TRUE(heap->free_pages_from(me, 60, HeapCell::root()));
        EXPECT_EQ(broken(*heap, me), "");
    }
}

TEST(HeapCellsOfPages, ForgetWhoseTheOnesBeforeWere) {
    HeapMemory memory(1 << 20);
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::bitmap_pages, {.owned = true}));
    const auto heap = *open_page_heap(memory.view());
    const HeapOffset run = heap->allocate_pages({me, ann}, 3, page_bytes).value();
    ASSERT_TRUE(heap->keep_pages_in(me, run, 3, HeapCell::root()));
    ASSERT_TRUE(heap->free_pages_from(me, 3, HeapCell::root()));
    EXPECT_EQ(heap->allocate_pages({me, ann}, 3, page_bytes), run);
    EXPECT_TRUE(heap->allocate_pages_into(me, 1, page_bytes, HeapCell::root()));
    EXPECT_EQ(heap->reclaim(me, [](HeapOwner) { return true; }), 3U) << "these are hers again";
    EXPECT_EQ(broken(*heap, me), "");
}

TEST(HeapCellsOfObjects, HoldObjects) {
    HeapMemory memory(1 << 20);
    HeapOptions options;
    options.owned = true;
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::slab_cache, options));
    const auto heap = *open_object_heap(memory.view());
    const HeapOffset first = heap->allocate_into(me, HeapCell::root()).value();
    std::memset(memory.view().data() + first, 0, heap->object_bytes());
    const HeapOffset second = heap->allocate({me, ann}).value();
    ASSERT_TRUE(heap->keep_in(me, second, {first, 8}));
    EXPECT_EQ(word_at(memory.view(), first + 8), second);
    EXPECT_EQ(heap->keep_in(me, second, {first, 8}).error(), Errc::cell_in_use);
    EXPECT_EQ(heap->keep_in(me, second + 4, {first, 16}).error(), Errc::not_allocated);
    EXPECT_EQ(heap->allocate_into(me, {first, heap->object_bytes()}).error(),
              Errc::invalid_argument);
    EXPECT_EQ(heap->reclaim(me, [](HeapOwner) { return true; }), 0U);
    ASSERT_TRUE(heap->free_from(me, {first, 8}));
    EXPECT_EQ(heap->free_from(me, {first, 8}).error(), Errc::not_allocated);
    ASSERT_TRUE(heap->free_from(me, HeapCell::root()));
    EXPECT_EQ(heap->statistics(me)->used_objects, 0U);
    EXPECT_EQ(broken(*heap, me), "");
}

// --- deaths --------------------------------------------------------------------------------------

using test::doomed;
using test::Dying;
using test::next;

std::span<const std::byte> memory_of_the_play;
HeapOffset block_of_the_play = 0;

/// What the cell says belongs to the account: both change, or none.
template <template <typename> typename EngineOf>
struct CellPlay : test::BytePlay<EngineOf> {
    using Base = test::BytePlay<EngineOf>;
    using Heap = typename Base::Heap;
    static constexpr bool may_be_finished_by_the_next = true;
    static HeapOptions options() {
        HeapOptions options = Base::options();
        options.owned = true;
        return options;
    }
    static std::unique_ptr<Heap> opened(std::span<std::byte> memory) {
        memory_of_the_play = memory;
        return Base::opened(memory);
    }
    static std::string account(Heap& heap, HeapHolder holder) {
        const std::string base = Base::account(heap, holder);  // Repairs.
        return base + " " + (root_of(memory_of_the_play) != 0 ? "full" : "empty");
    }
    static std::string contents(Heap&) { return {}; }
};

template <typename Heap>
std::vector<test::Operation<Heap>> operations() {
    const auto has_block = [](Heap& heap) {
        block_of_the_play = heap.allocate({next, ann}, 100, 64).value();
    };
    return {
        {"allocate into", [](Heap&) {},
         [](Heap& heap) {
             return heap.allocate_into(doomed, 100, 8, HeapCell::root()).has_value();
         }},
        {"keep in", has_block,
         [](Heap& heap) {
             return heap.keep_in(doomed, block_of_the_play, HeapCell::root()).has_value();
         }},
        {"free from", [](Heap& heap) { (void)heap.allocate_into(next, 100, 8, HeapCell::root()); },
         [](Heap& heap) { return heap.free_from(doomed, HeapCell::root()).has_value(); }},
    };
}

template <typename Play>
class CellStoreByStore : public testing::Test {};
using Plays = testing::Types<CellPlay<Tlsf>, CellPlay<Buddy>, CellPlay<Slab>>;
TYPED_TEST_SUITE(CellStoreByStore, Plays);

TYPED_TEST(CellStoreByStore, ADeathLeavesItDoneOrNotBegun) {
    for (const auto& operation : operations<typename TypeParam::Heap>()) {
        SCOPED_TRACE(operation.name);
        test::Deaths<TypeParam>(operation).leave_it_done_or_not_begun();
        test::Deaths<TypeParam>(operation).may_be_in_the_repair_too();
    }
}

/// Dies before that store of filling the root; false: it has no such store.
template <typename Heap>
bool dies_filling(Heap& heap, std::uint64_t store) {
    bool died = false;
    Dying::dies(store);
    try {
        (void)heap.allocate_into(doomed, 100, 8, HeapCell::root());
    } catch (const test::Death&) {
        died = true;
    }
    Dying::lives();
    return died;
}

TYPED_TEST(CellStoreByStore, WhoComesNextFillsNoCellThatIsDecided) {
    using Heap = typename TypeParam::Heap;
    std::uint64_t was_full = 0;
    for (std::uint64_t store = 0;; ++store) {
        HeapMemory memory(test::dying_memory_bytes);
        Dying::lives();
        ASSERT_TRUE(Heap::format(memory.view(), TypeParam::options()));
        const auto heap = TypeParam::opened(memory.view());
        if (!dies_filling(*heap, store)) break;
        heap->holder_died(doomed);
        const auto block = heap->allocate_into(next, 100, 8, HeapCell::root());
        if (!block) {
            EXPECT_EQ(block.error(), Errc::cell_in_use);
            ++was_full;
        }
        EXPECT_EQ(heap->statistics(next)->blocks, 1U) << "died before store " << store;
        EXPECT_TRUE(heap->free_from(next, HeapCell::root())) << "died before store " << store;
    }
    EXPECT_GT(was_full, 0U);
}

/// A reader takes no lock, and so looks between a death and its repair.
TYPED_TEST(CellStoreByStore, WhatAReaderFindsIsNeverUndone) {
    using Heap = typename TypeParam::Heap;
    bool was_found = false;
    for (std::uint64_t store = 0;; ++store) {
        HeapMemory memory(test::dying_memory_bytes);
        Dying::lives();
        ASSERT_TRUE(Heap::format(memory.view(), TypeParam::options()));
        const auto heap = TypeParam::opened(memory.view());
        if (!dies_filling(*heap, store)) break;
        const HeapOffset found = root_of(memory.view());
        heap->holder_died(doomed);
        const std::uint64_t blocks = heap->statistics(next)->blocks;
        EXPECT_EQ(root_of(memory.view()) != 0, blocks == 1) << "died before store " << store;
        if (found == 0) continue;
        was_found = true;
        EXPECT_EQ(root_of(memory.view()), found) << "died before store " << store;
        EXPECT_TRUE(heap->usable_bytes(next, found)) << "died before store " << store;
    }
    EXPECT_TRUE(was_found);
}

}  // namespace
}  // namespace shmpool
