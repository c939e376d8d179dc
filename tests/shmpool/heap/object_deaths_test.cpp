// SPDX-License-Identifier: Apache-2.0
/// Goal: whoever dies in an operation of a slab cache, before any of its stores, leaves it done or
/// not begun (dying_heap.hpp); and the journal has room for the longest of them (T-AS-20, T-AS-21).
#include "shmpool/heap/guarded_object_heap.hpp"
#include "tests/shmpool/heap/dying_heap.hpp"

namespace shmpool {
namespace {

using test::doomed;
using test::HeapMemory;
using test::next;

constexpr HeapOwner ann = 11;
constexpr HeapOwner bob = 12;
bool ann_is_gone(HeapOwner owner) {
    return owner == ann;
}

/// Of 100 bytes, in two parts of two slabs; 4 objects in a slab.
struct Play {
    using Heap = GuardedObjectHeap<test::Dying>;
    static constexpr bool all_is_logged = false;  // Free memory may hold anything.
    static constexpr std::uint64_t slab = 512;
    static ObjectPlan plan() { return ObjectPlan::of(100, slab, page_bytes, true).value(); }
    static HeapOptions options() {
        HeapOptions options;
        options.block_bytes = 100;
        options.bytes_per_page = slab;
        options.owned = true;
        options.first_region = {64 << 10, 2 * slab};
        return options;
    }
    static std::unique_ptr<Heap> opened(std::span<std::byte> memory) {
        return std::make_unique<Heap>(memory, plan(), std::chrono::nanoseconds::zero());
    }
    static std::string account(Heap& heap, HeapHolder holder) {
        const ObjectStatistics now = heap.statistics(holder).value();
        return std::to_string(now.total_objects) + " " + std::to_string(now.used_objects) + " " +
               std::to_string(now.slabs);
    }
};
using Mortal = Play::Heap;
using Operation = test::Operation<Mortal>;

std::vector<HeapOffset> objects;  // Of the play; the doomed one knows them.

std::function<void(Mortal&)> take(std::size_t count) {
    return [count](Mortal& heap) {
        objects.clear();
        for (std::size_t i = 0; i < count; ++i) {
            objects.push_back(heap.allocate({next, i % 2 == 0 ? ann : bob}).value());
        }
    };
}
std::function<void(Mortal&)> take_and_free(std::size_t count, std::vector<std::size_t> freed) {
    return [=](Mortal& heap) {
        take(count)(heap);
        for (const std::size_t i : freed) EXPECT_TRUE(heap.free(next, objects[i]));
    };
}

bool allocates(Mortal& heap) {
    return heap.allocate({doomed, ann}).has_value();
}

const std::vector<Operation>& operations() {
    static const std::vector<Operation> all{
        {"allocate from a new slab", take(0), allocates},
        {"allocate one never handed out", take(1), allocates},
        {"allocate the last of a slab", take(3), allocates},
        {"allocate the last of a slab above another one", take_and_free(8, {0, 5}), allocates},
        {"allocate from a second slab", take(4), allocates},
        {"allocate one that was freed", take_and_free(4, {1, 2}), allocates},
        {"allocate what is not there", take(8),
         [](Mortal& heap) {
             return !heap.allocate({doomed, ann});
         }},
        {"free", take(3), [](Mortal& heap) { return heap.free(doomed, objects[1]).has_value(); }},
        {"free into a full slab", take(8),
         [](Mortal& heap) { return heap.free(doomed, objects[2]).has_value(); }},
        {"free into a full slab beside another one", take_and_free(8, {6}),
         [](Mortal& heap) { return heap.free(doomed, objects[2]).has_value(); }},
        {"free twice", take_and_free(3, {1}),
         [](Mortal& heap) { return !heap.free(doomed, objects[1]); }},
        {"look", take(3), [](Mortal& heap) { return heap.is_live(doomed, objects[1]).value(); }},
        {"give away", take(3),
         [](Mortal& heap) { return heap.set_owner(doomed, objects[1], ann).has_value(); }},
        {"take back", take(2),
         [](Mortal& heap) { return heap.reclaim(doomed, ann_is_gone) == 1U; }},
        {"add memory", take(8),
         [](Mortal& heap) {
             return heap.add_memory(doomed, {(96 << 10) + 8, 3 * Play::slab}).has_value();
         }},
    };
    return all;
}

class ObjectDeaths : public testing::TestWithParam<std::size_t> {
protected:
    test::Deaths<Play> deaths{operations()[GetParam()]};
};

TEST_P(ObjectDeaths, LeaveItDoneOrNotBegun) {
    deaths.leave_it_done_or_not_begun();
}

TEST_P(ObjectDeaths, MayBeInTheRepairToo) {
    deaths.may_be_in_the_repair_too();
}

INSTANTIATE_TEST_SUITE_P(Of, ObjectDeaths, testing::Range(std::size_t{0}, operations().size()),
                         [](const auto& tested) {
                             return test::name_of_play(operations(), tested.param);
                         });

/// Who takes back many dies after some: the next one finds the rest.
TEST(ObjectReclaim, IsGoneOnWithByTheNextOne) {
    HeapMemory memory(test::dying_memory_bytes);
    test::Dying::lives();
    ASSERT_TRUE(Mortal::format(memory.view(), Play::options()));
    const auto heap = Play::opened(memory.view());
    for (std::uint64_t store = 0;; store += 5) {
        take(8)(*heap);
        bool died = false;
        test::Dying::dies(store);
        try {
            (void)heap->reclaim(doomed, ann_is_gone);
        } catch (const test::Death&) {
            died = true;
            heap->holder_died(doomed);
        }
        test::Dying::lives();
        EXPECT_TRUE(heap->reclaim(next, ann_is_gone));
        EXPECT_EQ(heap->statistics(next)->used_objects, 4U) << store;
        ASSERT_EQ(test::broken(*heap, next), "") << store;
        for (const std::size_t i : {1U, 3U, 5U, 7U}) ASSERT_TRUE(heap->free(next, objects[i]));
        if (!died) break;
    }
}

TEST(ObjectJournal, HasRoomForTheLongestChange) {
    HeapMemory memory(test::dying_memory_bytes);
    test::Dying::lives();
    HeapOptions options;
    options.block_bytes = 4000;  // One in a slab: it is cut, and full at once.
    ASSERT_TRUE(Mortal::format(memory.view(), options));
    const auto plan = ObjectPlan::of(4000, options.bytes_per_page, page_bytes, false).value();
    Mortal heap(memory.view(), plan, std::chrono::nanoseconds::zero());
    const HeapOffset first = heap.allocate(next).value();
    const HeapOffset second = heap.allocate(next).value();
    EXPECT_TRUE(heap.free(next, first));
    EXPECT_TRUE(heap.free(next, second));
    EXPECT_EQ(heap.allocate(next).value(), second);
    EXPECT_EQ(test::broken(heap, next), "");
    EXPECT_LT(test::used_entries(memory.view()), ObjectPlan::journal_limit);
    EXPECT_EQ(test::used_entries(memory.view()), 7U);
}

}  // namespace
}  // namespace shmpool
