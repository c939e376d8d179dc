// SPDX-License-Identifier: Apache-2.0
/// T-AR-80. Goal: whoever dies in an operation of a heap of bytes, before any of its stores, leaves
/// it so that the next one finds the operation done or not begun, and nothing else
/// (dying_heap.hpp).
#include <random>

#include "shmpool/heap/tlsf.hpp"
#include "tests/shmpool/heap/dying_bytes.hpp"

namespace shmpool {
namespace {

using test::doomed;
using test::Dying;
using test::HeapMemory;
using test::next;

using Mortal = GuardedHeap<Tlsf, Dying>;
using Operation = test::Operation<Mortal>;
constexpr std::size_t memory_bytes = test::dying_memory_bytes;

using TlsfPlay = test::BytePlay<Tlsf>;

/// Blocks a, b, c, ... of 200 bytes lie one behind the other.
std::vector<HeapOffset> row(Mortal& heap, std::size_t count) {
    std::vector<HeapOffset> blocks;
    for (std::size_t i = 0; i < count; ++i) blocks.push_back(heap.allocate(next, 200, 8).value());
    return blocks;
}

std::vector<HeapOffset> blocks;  // Of the play; the doomed one knows them.

const std::vector<Operation>& operations() {
    static const std::vector<Operation> all{
        {"allocate from one block", [](Mortal&) {},
         [](Mortal& heap) { return heap.allocate(doomed, 200, 8).has_value(); }},
        {"allocate with an alignment", [](Mortal&) {},
         [](Mortal& heap) { return heap.allocate(doomed, 200, 4096).has_value(); }},
        {"allocate all of a block",
         [](Mortal& heap) {
             blocks = row(heap, 3);
             (void)heap.free(next, blocks[1]);
         },
         [](Mortal& heap) { return heap.allocate(doomed, 200, 8).value() == blocks[1]; }},
        {"allocate what does not fit", [](Mortal&) {},
         [](Mortal& heap) { return !heap.allocate(doomed, memory_bytes, 8); }},
        {"free between live ones", [](Mortal& heap) { blocks = row(heap, 3); },
         [](Mortal& heap) { return heap.free(doomed, blocks[1]).has_value(); }},
        {"free before a free one",
         [](Mortal& heap) {
             blocks = row(heap, 4);
             (void)heap.free(next, blocks[2]);
         },
         [](Mortal& heap) { return heap.free(doomed, blocks[1]).has_value(); }},
        {"free behind a free one",
         [](Mortal& heap) {
             blocks = row(heap, 4);
             (void)heap.free(next, blocks[1]);
         },
         [](Mortal& heap) { return heap.free(doomed, blocks[2]).has_value(); }},
        {"free between free ones of one list",
         [](Mortal& heap) {
             blocks = row(heap, 7);
             for (const std::size_t i : {5U, 1U, 3U}) (void)heap.free(next, blocks[i]);
         },
         [](Mortal& heap) { return heap.free(doomed, blocks[2]).has_value(); }},
        {"free twice",
         [](Mortal& heap) {
             blocks = row(heap, 2);
             (void)heap.free(next, blocks[0]);
         },
         [](Mortal& heap) { return !heap.free(doomed, blocks[0]); }},
        {"add memory", [](Mortal&) {},
         [](Mortal& heap) {
             return heap.add_memory(doomed, {192 << 10, 64 << 10}).has_value();
         }},
    };
    return all;
}

class StoreByStore : public testing::TestWithParam<std::size_t> {
protected:
    test::Deaths<TlsfPlay> deaths{operations()[GetParam()]};
};

TEST_P(StoreByStore, IsDoneOrNotBegun) {
    deaths.leave_it_done_or_not_begun();
}

TEST_P(StoreByStore, MayDieInTheRepairToo) {
    deaths.may_be_in_the_repair_too();
}

INSTANTIATE_TEST_SUITE_P(Of, StoreByStore, testing::Range(std::size_t{0}, operations().size()),
                         [](const auto& tested) {
                             return test::name_of_play(operations(), tested.param);
                         });

TEST(Journal, HasRoomForTheLongestChange) {
    HeapMemory memory(1 << 20);
    Dying::lives();
    ASSERT_TRUE(Mortal::format(memory.view(), {}));
    Mortal heap(memory.view(), std::chrono::seconds(1));
    std::mt19937 random(3);
    std::vector<HeapOffset> live;
    for (int step = 0; step < 100'000; ++step) {
        if (random() % 2 == 0) {
            const auto block =
                heap.allocate(next, random() % 3000, std::uint64_t{1} << (random() % 13));
            if (block) live.push_back(*block);
        } else if (!live.empty()) {
            std::swap(live[random() % live.size()], live.back());
            ASSERT_TRUE(heap.free(next, live.back()));
            live.pop_back();
        }
    }
    const std::uint64_t used = test::used_entries(memory.view());
    EXPECT_LT(used, Mortal::Engine::journal_limit - 4) << "some are left";
    EXPECT_GT(used, 10U) << "it is there at all";
}

}  // namespace
}  // namespace shmpool
