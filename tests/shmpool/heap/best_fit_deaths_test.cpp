// SPDX-License-Identifier: Apache-2.0
/// Goal: whoever dies in a change of a best_fit heap, before any of its stores into the heap,
/// leaves it so that the next one finds every word as it was; and who dies in that repair too.
#include "shmpool/heap/guarded_best_fit.hpp"
#include "tests/shmpool/heap/dying_heap.hpp"
#include "tests/shmpool/heap/own_best_fit.hpp"

namespace shmpool {
namespace {

using test::doomed;
using test::Dying;
using test::HeapMemory;
using test::next;

using Heap = GuardedBestFit<Dying>;

struct BestFitPlay {
    using Heap = GuardedBestFit<Dying>;
    static constexpr bool all_is_logged = true;
    static HeapOptions options() {
        HeapOptions options;
        options.backed_bytes = test::dying_memory_bytes - (64 << 10);
        return options;
    }
    static std::unique_ptr<Heap> opened(HeapMemory& memory) {
        auto view = PrivateView::map({memory.object()}, memory.view().size());
        return std::make_unique<Heap>(memory.view(), plan_of_best_fit(memory.view()).value(),
                                      std::move(view).value(), std::chrono::nanoseconds::zero());
    }
    static std::string account(Heap& heap, HeapHolder holder) {
        const HeapStatistics now = heap.statistics(holder).value();
        return std::to_string(now.total_bytes) + " " + std::to_string(now.used_bytes) + " " +
               std::to_string(now.blocks);
    }
};

bool changes(Heap& heap, HeapHolder who, const std::function<void(BestFit&)>& body) {
    return heap.change(who, body).has_value();
}
void put_three(Heap& heap) {
    for (const int key : {1, 2, 3}) {
        ASSERT_TRUE(changes(heap, next, [&](BestFit& buffer) { test::put(buffer, key, "x"); }));
    }
}
void nothing(Heap&) {}

const std::vector<test::Operation<Heap>> operations{
    {"begin", nothing, [](Heap& heap) { return changes(heap, doomed, [](BestFit&) {}); }},
    {"construct with a name", put_three,
     [](Heap& heap) {
         return changes(heap, doomed,
                        [](BestFit& buffer) { (void)buffer.construct<int>("number")(7); });
     }},
    {"insert", put_three,
     [](Heap& heap) {
         return changes(heap, doomed, [](BestFit& buffer) {
             test::put(buffer, 4, "a text that is long enough for a block of its own");
         });
     }},
    {"erase", put_three,
     [](Heap& heap) {
         return changes(heap, doomed, [](BestFit& buffer) { test::map_in(buffer).erase(2); });
     }},
    {"destroy all", put_three,
     [](Heap& heap) {
         return changes(heap, doomed,
                        [](BestFit& buffer) { buffer.destroy<test::BestFitMap>("map"); });
     }},
    {"add memory", put_three,
     [](Heap& heap) {
         return heap.add_memory(doomed, {test::dying_memory_bytes - (64 << 10), 64 << 10})
             .has_value();
     }},
    {"first change with more memory",
     [](Heap& heap) {
         put_three(heap);
         ASSERT_TRUE(heap.add_memory(next, {test::dying_memory_bytes - (64 << 10), 64 << 10}));
     },
     [](Heap& heap) {
         return changes(heap, doomed, [](BestFit& buffer) { test::put(buffer, 4, "x"); });
     }},
};

class BestFitDeaths : public testing::TestWithParam<std::size_t> {};

TEST_P(BestFitDeaths, BeforeEveryStoreLeaveItDoneOrNotBegun) {
    test::Deaths<BestFitPlay>(operations[GetParam()]).leave_it_done_or_not_begun();
}
TEST_P(BestFitDeaths, MayBeInTheRepairToo) {
    test::Deaths<BestFitPlay>(operations[GetParam()]).may_be_in_the_repair_too();
}

INSTANTIATE_TEST_SUITE_P(Operations, BestFitDeaths, testing::Range<std::size_t>(0, 7),
                         [](const auto& index) {
                             return test::name_of_play(operations, index.param);
                         });

}  // namespace
}  // namespace shmpool
