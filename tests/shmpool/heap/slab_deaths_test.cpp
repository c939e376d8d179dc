// SPDX-License-Identifier: Apache-2.0
/// Goal: whoever dies in an operation of a slab heap, before any of its stores, leaves it done or
/// not begun (dying_heap.hpp); and the journal has room for the longest of them.
#include "shmpool/heap/slab.hpp"
#include "tests/shmpool/heap/dying_bytes.hpp"

namespace shmpool {
namespace {

using test::doomed;
using test::HeapMemory;
using test::next;

using Play = test::BytePlay<Slab>;
using Mortal = Play::Heap;
using Operation = test::Operation<Mortal>;

constexpr std::uint64_t kib = 1024;

std::vector<HeapOffset> blocks;  // Of the play; the doomed one knows them.

HeapOffset take(Mortal& heap, std::uint64_t bytes) {
    return heap.allocate(next, bytes, 8).value();
}

void take_all(Mortal& heap, std::uint64_t bytes) {
    while (heap.allocate(next, bytes, 8)) {
    }
}

/// Nothing is free but one block of 16 KiB, and the one that is returned, of 8 KiB, is live.
HeapOffset leave_16_kib(Mortal& heap) {
    const HeapOffset small = take(heap, 8 * kib);
    const HeapOffset large = take(heap, 16 * kib);
    for (const std::uint64_t bytes : {16 * kib, 8 * kib, kib / 16}) take_all(heap, bytes);
    EXPECT_TRUE(heap.free(next, large));
    return small;
}

/// Of the block of 16 KiB three quarters are slabs that are kept. The third quarter is free, and
/// not the last of its list: when all four are given back, joined and cut anew at the third, the
/// links that lay there before are needed if it never happened.
void keep_three_around_a_free_one(Mortal& heap) {
    const HeapOffset small = leave_16_kib(heap);
    std::vector<HeapOffset> ends{take(heap, 64), take(heap, 128)};
    std::vector<HeapOffset> third;
    for (int i = 0; i < 16; ++i) third.push_back(take(heap, 256));
    ends.push_back(take(heap, 512));
    EXPECT_TRUE(heap.free(next, small));
    const HeapOffset elsewhere = take(heap, 256);
    EXPECT_TRUE(heap.free(next, elsewhere));
    for (const HeapOffset block : third) EXPECT_TRUE(heap.free(next, block));
    EXPECT_EQ(take(heap, 256), elsewhere) << "so it is not kept";
    for (const HeapOffset block : ends) EXPECT_TRUE(heap.free(next, block));
}

const std::vector<Operation>& operations() {
    static const std::vector<Operation> all{
        {"allocate from a new slab", [](Mortal&) {},
         [](Mortal& heap) { return heap.allocate(doomed, 64, 8).has_value(); }},
        {"allocate the last of a slab",
         [](Mortal& heap) {
             for (int i = 0; i < 7; ++i) take(heap, 512);
         },
         [](Mortal& heap) { return heap.allocate(doomed, 512, 8).has_value(); }},
        {"allocate from a kept slab",
         [](Mortal& heap) { (void)heap.free(next, take(heap, 4 * kib)); },
         [](Mortal& heap) { return heap.allocate(doomed, 64, 4 * kib).has_value(); }},
        {"allocate where no slab has room",
         [](Mortal& heap) {
             leave_16_kib(heap);
             take(heap, 8 * kib);
         },
         [](Mortal& heap) { return heap.allocate(doomed, 4 * kib, 8).has_value(); }},
        {"allocate when all that is kept is given back", keep_three_around_a_free_one,
         [](Mortal& heap) { return heap.allocate(doomed, 8 * kib, 8).has_value(); }},
        {"allocate what does not fit", keep_three_around_a_free_one,
         [](Mortal& heap) { return !heap.allocate(doomed, 32 * kib, 8); }},
        {"free into a full slab beside another one",
         [](Mortal& heap) {
             blocks.clear();
             for (int i = 0; i < 9; ++i) blocks.push_back(take(heap, 512));
         },
         [](Mortal& heap) { return heap.free(doomed, blocks[3]).has_value(); }},
        {"free the last live one", [](Mortal& heap) { blocks = {take(heap, 64)}; },
         [](Mortal& heap) { return heap.free(doomed, blocks[0]).has_value(); }},
        {"free when another empty one is kept",
         [](Mortal& heap) {
             blocks.clear();
             for (int i = 0; i < 17; ++i) blocks.push_back(take(heap, 512));
             for (std::size_t i = 8; i > 0; --i) (void)heap.free(next, blocks[i + 7]);
             for (std::size_t i = 1; i < 8; ++i) (void)heap.free(next, blocks[i]);
         },
         [](Mortal& heap) { return heap.free(doomed, blocks[0]).has_value(); }},
        {"free twice",
         [](Mortal& heap) {
             blocks = {take(heap, 64), take(heap, 64)};
             (void)heap.free(next, blocks[0]);
         },
         [](Mortal& heap) { return !heap.free(doomed, blocks[0]); }},
        {"free a large one", [](Mortal& heap) { blocks = {take(heap, 5 * kib)}; },
         [](Mortal& heap) { return heap.free(doomed, blocks[0]).has_value(); }},
        {"add memory", [](Mortal&) {},
         [](Mortal& heap) {
             return heap.add_memory(doomed, {(192 << 10) + 8, (63 << 10) + 24}).has_value();
         }},
    };
    return all;
}

class SlabDeaths : public testing::TestWithParam<std::size_t> {
protected:
    test::Deaths<Play> deaths{operations()[GetParam()]};
};

TEST_P(SlabDeaths, LeaveItDoneOrNotBegun) {
    deaths.leave_it_done_or_not_begun();
}

TEST_P(SlabDeaths, MayBeInTheRepairToo) {
    deaths.may_be_in_the_repair_too();
}

INSTANTIATE_TEST_SUITE_P(Of, SlabDeaths, testing::Range(std::size_t{0}, operations().size()),
                         [](const auto& tested) {
                             return test::name_of_play(operations(), tested.param);
                         });

/// Seven kept slabs far apart in blocks that are free but for them; all are given back at once.
TEST(SlabJournal, HasRoomForGivingBackEveryKeptSlabOfAMemory) {
    HeapMemory memory(std::size_t{32} << 20);
    test::Dying::lives();
    ASSERT_TRUE(Mortal::format(memory.view(), {}));
    Mortal heap(memory.view(), std::chrono::nanoseconds::zero());
    std::vector<HeapOffset> between;
    std::vector<HeapOffset> ends;
    for (std::uint32_t size_class = 0; size_class < slab::classes; ++size_class) {
        ends.push_back(take(heap, slab::block_bytes_of(size_class)));
        for (std::uint64_t bytes = 8 * kib; bytes <= 2048 * kib; bytes *= 2) {
            between.push_back(take(heap, bytes));
        }
    }
    for (const HeapOffset block : between) ASSERT_TRUE(heap.free(next, block));
    for (const HeapOffset block : ends) ASSERT_TRUE(heap.free(next, block));
    EXPECT_FALSE(heap.allocate(next, std::uint64_t{32} << 20, 8)) << "all were given back for it";
    EXPECT_EQ(test::broken(heap, next), "");
    const std::uint64_t used = test::used_entries(memory.view());
    EXPECT_LT(used, Mortal::Engine::journal_limit);
    EXPECT_GT(used, 100U) << "it is there at all";
}

}  // namespace
}  // namespace shmpool
