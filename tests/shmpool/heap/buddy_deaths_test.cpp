// SPDX-License-Identifier: Apache-2.0
/// Goal: whoever dies in an operation of a buddy heap, before any of its stores, leaves it done or
/// not begun (dying_heap.hpp); and the journal has room for the longest of them.
#include "shmpool/heap/buddy.hpp"
#include "tests/shmpool/heap/dying_bytes.hpp"

namespace shmpool {
namespace {

using test::doomed;
using test::HeapMemory;
using test::next;

using Play = test::BytePlay<Buddy>;
using Mortal = Play::Heap;
using Operation = test::Operation<Mortal>;

constexpr std::uint64_t large = 64 << 10;

std::vector<HeapOffset> blocks;  // Of the play; the doomed one knows them.

/// All that is smaller than a large block is taken, so the next small one is cut out of a large.
void take_small_ones(Mortal& heap) {
    std::vector<HeapOffset> held;
    while (const auto block = heap.allocate(next, large, 8)) held.push_back(*block);
    for (std::uint64_t bytes = large / 2; bytes >= 32; bytes /= 2) {
        while (heap.allocate(next, bytes, 8)) {
        }
    }
    for (const HeapOffset block : held) (void)heap.free(next, block);
}

const std::vector<Operation>& operations() {
    static const std::vector<Operation> all{
        {"allocate by halving eleven times", take_small_ones,
         [](Mortal& heap) { return heap.allocate(doomed, 32, 8).has_value(); }},
        {"free by joining eleven times",
         [](Mortal& heap) {
             take_small_ones(heap);
             blocks = {heap.allocate(next, 32, 8).value()};
         },
         [](Mortal& heap) { return heap.free(doomed, blocks[0]).has_value(); }},
        {"free beside a live half",
         [](Mortal& heap) {
             take_small_ones(heap);
             blocks = {heap.allocate(next, 32, 8).value(), heap.allocate(next, 32, 8).value()};
         },
         [](Mortal& heap) { return heap.free(doomed, blocks[0]).has_value(); }},
        {"free twice",
         [](Mortal& heap) {
             blocks = {heap.allocate(next, 32, 8).value()};
             (void)heap.free(next, blocks[0]);
         },
         [](Mortal& heap) { return !heap.free(doomed, blocks[0]); }},
        {"add memory of many sizes", [](Mortal&) {},
         [](Mortal& heap) {
             return heap.add_memory(doomed, {(192 << 10) + 8, (63 << 10) + 24}).has_value();
         }},
    };
    return all;
}

class BuddyDeaths : public testing::TestWithParam<std::size_t> {
protected:
    test::Deaths<Play> deaths{operations()[GetParam()]};
};

TEST_P(BuddyDeaths, LeaveItDoneOrNotBegun) {
    deaths.leave_it_done_or_not_begun();
}

TEST_P(BuddyDeaths, MayBeInTheRepairToo) {
    deaths.may_be_in_the_repair_too();
}

INSTANTIATE_TEST_SUITE_P(Of, BuddyDeaths, testing::Range(std::size_t{0}, operations().size()),
                         [](const auto& tested) {
                             return test::name_of_play(operations(), tested.param);
                         });

TEST(BuddyJournal, HasRoomForHalvingAndJoiningByEveryOrderOfAMemory) {
    HeapMemory memory(std::size_t{64} << 20);
    test::Dying::lives();
    ASSERT_TRUE(Mortal::format(memory.view(), {}));
    Mortal heap(memory.view(), std::chrono::nanoseconds::zero());
    std::vector<HeapOffset> held;
    while (const auto block = heap.allocate(next, 32, 8)) held.push_back(*block);
    for (const HeapOffset block : held) ASSERT_TRUE(heap.free(next, block));
    EXPECT_EQ(heap.statistics(next)->used_bytes, 0U);
    const std::uint64_t used = test::used_entries(memory.view());
    EXPECT_LT(used, Mortal::Engine::journal_limit);
    EXPECT_GT(used, 50U) << "it is there at all";
}

}  // namespace
}  // namespace shmpool
