// SPDX-License-Identifier: Apache-2.0
/// Goal: whoever dies in an operation of a heap, before any of its stores, leaves it so that the
/// next one finds the operation done or not begun, and nothing else. Method: the production
/// engines with a hook before every store, which throws where the death is to be: nothing behind
/// that place runs, as after a kill. Then the next one comes, and dies in its repair too.
#include <functional>
#include <random>

#include "shmpool/heap/guarded_heap.hpp"
#include "shmpool/heap/tlsf.hpp"
#include "tests/shmpool/heap/own_heap.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::HeapMemory;

struct Death {};

struct Dying {
    static inline std::uint64_t stores = 0;
    static inline std::uint64_t dies_before = ~std::uint64_t{0};
    static void before_store() {
        if (stores++ == dies_before) throw Death{};
    }
    static void lives() { dies_before = ~std::uint64_t{0}; }
    static void dies(std::uint64_t store) {
        stores = 0;
        dies_before = store;
    }
};

using Mortal = GuardedHeap<Tlsf, Dying>;
constexpr HeapHolder doomed = 1;
constexpr HeapHolder next = 2;
constexpr HeapHolder last = 3;
constexpr std::size_t memory_bytes = 256 << 10;

/// Everything but the lock and the journal.
std::vector<std::byte> content(std::span<const std::byte> memory) {
    std::vector<std::byte> all(memory.begin(), memory.end());
    std::ranges::fill(std::span(all).subspan(offsetof(HeapHeader, lock), 4), std::byte{0});
    std::ranges::fill(
        std::span(all).subspan(sizeof(HeapHeader), Mortal::engine_offset - sizeof(HeapHeader)),
        std::byte{0});
    return all;
}

struct Operation {
    const char* name;
    std::function<void(Mortal&)> prepare;
    std::function<bool(Mortal&)> act;
};

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
    /// The heap before the operation, and after it.
    struct Ends {
        std::vector<std::byte> before;
        std::vector<std::byte> after;
        std::uint64_t stores = 0;
    };

    std::unique_ptr<Mortal> prepared(HeapMemory& memory) {
        Dying::lives();
        HeapOptions options;
        options.first_region = {Mortal::first_free, (192 << 10) - Mortal::first_free};
        EXPECT_TRUE(Mortal::format(memory.view(), options));
        auto heap = std::make_unique<Mortal>(memory.view(), std::chrono::nanoseconds::zero());
        operation().prepare(*heap);
        return heap;
    }
    [[nodiscard]] static const Operation& operation() { return operations()[GetParam()]; }

    Ends without_death() {
        HeapMemory memory(memory_bytes);
        const auto heap = prepared(memory);
        Ends ends;
        ends.before = content(memory.view());
        Dying::dies(~std::uint64_t{0});
        EXPECT_TRUE(operation().act(*heap));
        ends.stores = Dying::stores;
        ends.after = content(memory.view());
        EXPECT_EQ(broken(*heap, next), "");
        return ends;
    }
};

TEST_P(StoreByStore, IsDoneOrNotBegun) {
    const Ends ends = without_death();
    ASSERT_LT(ends.stores, 6'000U);
    std::uint64_t not_begun = 0;
    for (std::uint64_t store = 0; store < ends.stores; ++store) {
        HeapMemory memory(memory_bytes);
        const auto heap = prepared(memory);
        Dying::dies(store);
        EXPECT_THROW((void)operation().act(*heap), Death);
        Dying::lives();
        ASSERT_EQ(heap->statistics(last).has_value(), false) << "the lock is the dead one's";
        heap->holder_died(doomed);
        ASSERT_EQ(broken(*heap, next), "") << "died before store " << store;
        const auto found = content(memory.view());
        const bool is_as_before = found == ends.before;
        not_begun += is_as_before ? 1 : 0;
        // Memory that is free before and behind may hold anything.
        const auto now = heap->statistics(next).value();
        HeapMemory undisturbed(memory_bytes);
        const auto other = prepared(undisturbed);
        ASSERT_EQ(now.blocks, other->statistics(next)->blocks);
        ASSERT_EQ(now.used_bytes, other->statistics(next)->used_bytes);
        ASSERT_EQ(now.total_bytes, other->statistics(next)->total_bytes);
    }
    EXPECT_EQ(not_begun == 0, ends.stores == 0) << "dead before the first store";
}

TEST_P(StoreByStore, MayDieInTheRepairToo) {
    const std::uint64_t stores = without_death().stores;
    for (std::uint64_t store = 0; store < stores; store += 1 + stores / 40) {
        for (std::uint64_t second = 0;; ++second) {
            HeapMemory memory(memory_bytes);
            const auto heap = prepared(memory);
            Dying::dies(store);
            EXPECT_THROW((void)operation().act(*heap), Death);
            Dying::lives();
            heap->holder_died(doomed);
            Dying::dies(second);
            bool died = false;
            try {
                (void)heap->statistics(next);
            } catch (const Death&) {
                died = true;
                heap->holder_died(next);
            }
            Dying::lives();
            ASSERT_EQ(broken(*heap, last), "") << store << " and " << second;
            if (!died) break;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Of, StoreByStore, testing::Range(std::size_t{0}, operations().size()),
                         [](const auto& tested) {
                             std::string name = operations()[tested.param].name;
                             std::ranges::replace(name, ' ', '_');
                             return name;
                         });

TEST(Journal, HasRoomForTheLongestChange) {
    HeapMemory memory(1 << 20);
    Dying::lives();
    ASSERT_TRUE(Mortal::format(memory.view(), {}));
    Mortal heap(memory.view(), std::chrono::seconds(1));
    const auto* const entries =
        reinterpret_cast<const JournalEntry*>(memory.view().data() + sizeof(HeapHeader));
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
    std::uint32_t used = 0;
    while (used < Mortal::Engine::journal_limit && entries[used].offset != 0) ++used;
    EXPECT_LT(used, Mortal::Engine::journal_limit - 4) << "some are left";
    EXPECT_GT(used, 10U) << "it is there at all";
}

}  // namespace
}  // namespace shmpool
