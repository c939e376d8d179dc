// SPDX-License-Identifier: Apache-2.0
/// Regions that lie beside each other become one: memory that is added where a region ends is a
/// part of it, and blocks lie across the seam. What a death in the middle leaves:
/// joining_deaths_test.cpp.
#include <map>

#include "shmpool/heap/heap_audit.hpp"
#include "shmpool/heap/object_heap.hpp"
#include "shmpool/heap/page_heap.hpp"
#include "shmpool/heap/tlsf_layout.hpp"
#include "tests/shmpool/heap/own_heap.hpp"
#include "tests/shmpool/heap/random_steps.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::HeapMemory;

constexpr HeapHolder me = 1;
constexpr std::uint64_t kib = 1 << 10;
constexpr std::uint64_t mib = 1 << 20;

/// A heap of bytes whose only region is `region`, at first.
class Joined {
public:
    Joined(HeapKind kind, std::uint64_t memory_bytes, const HeapExtent& region)
        : memory(memory_bytes) {
        HeapOptions options;
        options.first_region = region;
        EXPECT_TRUE(format_heap(memory.view(), kind, options));
        heap = *open_byte_heap(memory.view());
    }
    ~Joined() { EXPECT_EQ(broken(*heap, me), ""); }
    Joined(const Joined&) = delete;
    Joined& operator=(const Joined&) = delete;

    void add(const HeapExtent& extent) {
        const auto added = heap->add_memory(me, extent);
        ASSERT_TRUE(added) << name_of(added.error());
        ASSERT_EQ(broken(*heap, me), "");
    }
    [[nodiscard]] std::uint32_t regions() const { return glance_at_heap(memory.view())->regions; }
    [[nodiscard]] std::uint64_t total() const { return heap->statistics(me)->total_bytes; }
    /// All that is left, in blocks of that size, filled with a mark of each.
    void fill(std::uint64_t bytes) {
        while (const auto block = heap->allocate(me, bytes, 8)) {
            const std::uint64_t usable = heap->usable_bytes(me, *block).value();
            std::memset(at(*block), mark_of(*block), usable);
            blocks.emplace(*block, usable);
        }
    }
    /// Nobody has written into them.
    void free_all() {
        for (const auto& [block, bytes] : blocks) {
            for (std::uint64_t i = 0; i < bytes; ++i) {
                ASSERT_EQ(std::to_integer<int>(at(block)[i]), mark_of(block)) << block << "+" << i;
            }
            ASSERT_TRUE(heap->free(me, block));
        }
        blocks.clear();
    }
    [[nodiscard]] std::byte* at(HeapOffset block) const { return memory.view().data() + block; }
    static int mark_of(HeapOffset block) { return static_cast<int>(block / 32 % 251 + 1); }

    HeapMemory memory;
    std::unique_ptr<ByteHeap> heap;
    std::map<HeapOffset, std::uint64_t> blocks;
};

TEST(JoiningBuddies, GivesABlockAsLargeAsBothRegions) {  // T-AR-30, "adjacent regions merge"
    Joined own(HeapKind::buddy, 8 * mib, {2 * mib, mib});
    EXPECT_FALSE(own.heap->allocate(me, mib, 8)) << "the marks lie there";
    own.add({3 * mib, mib + mib / 8});
    EXPECT_EQ(own.regions(), 1U);
    EXPECT_EQ(own.heap->allocate(me, 2 * mib, 8).value(), 2 * mib);
    EXPECT_TRUE(own.heap->free(me, 2 * mib));
}

TEST(JoiningTlsf, GivesABlockAsLargeAsBothRegions) {  // T-AR-50, "append"
    Joined own(HeapKind::tlsf, 4 * mib, {mib, mib});
    own.add({2 * mib, mib});
    EXPECT_EQ(own.regions(), 1U);
    const auto both = tlsf::Region::of({mib, 2 * mib});
    EXPECT_EQ(own.total(), both.end - both.begin) << "as if they had been one from the beginning";
    const auto block = own.heap->allocate(me, 31 * mib / 16, 8);
    ASSERT_TRUE(block);
    EXPECT_TRUE(own.heap->free(me, *block));
}

class JoiningRegions : public testing::TestWithParam<HeapKind> {};

TEST_P(JoiningRegions, KeepsWhatLivesInFrontOfTheSeam) {
    for (const std::uint64_t bytes : {8U, 100U, 700U, 5000U}) {
        SCOPED_TRACE(bytes);
        Joined own(GetParam(), mib, {256 * kib, 128 * kib});
        own.fill(bytes);
        own.fill(1);  // Up to the last one.
        own.add({384 * kib, 128 * kib});
        ASSERT_EQ(own.regions(), 1U);
        own.fill(5000);
        own.fill(1);
        own.free_all();
        ASSERT_EQ(own.heap->statistics(me)->used_bytes, 0U);
    }
}

TEST_P(JoiningRegions, LetsABlockLieAcrossTheSeam) {
    for (const bool last_is_live : {false, true}) {
        SCOPED_TRACE(last_is_live);
        Joined own(GetParam(), 2 * mib, {512 * kib, 512 * kib});
        if (last_is_live) {
            own.fill(100);
            own.fill(1);
        }
        own.add({mib, 512 * kib});
        own.fill(last_is_live ? 2 * kib : 40 * kib);
        const bool any = std::ranges::any_of(own.blocks, [](const auto& one) {
            return one.first < mib && one.first + one.second > mib;
        });
        // With buddies it may not be: blocks lie at multiples of their size, as the seam does.
        EXPECT_TRUE(any || GetParam() != HeapKind::tlsf);
        const bool in_the_old_table = std::ranges::any_of(
            own.blocks, [](const auto& one) { return one.first + one.second == mib; });
        EXPECT_TRUE(any || in_the_old_table) << "what the heap knew lies elsewhere by now";
        own.free_all();
    }
}

TEST_P(JoiningRegions, GivesAsMuchAsOneRegionHasFromTheBeginning) {
    Joined whole(GetParam(), 2 * mib, {512 * kib, mib});
    Joined steps(GetParam(), 2 * mib, {512 * kib, 128 * kib});
    for (std::uint64_t i = 1; i < 8; ++i) steps.add({(512 + i * 128) * kib, 128 * kib});
    EXPECT_EQ(steps.regions(), 1U);
    EXPECT_EQ(steps.total(), whole.total());
    whole.fill(100'000);
    steps.fill(100'000);
    EXPECT_EQ(steps.blocks, whole.blocks) << "free blocks are as large";
    whole.free_all();
    steps.free_all();
}

TEST_P(JoiningRegions, IsOfWhatBeginsWhereARegionEnds) {
    Joined own(GetParam(), 4 * mib, {mib, 256 * kib});
    own.add({2 * mib, 256 * kib});
    EXPECT_EQ(own.regions(), 2U) << "far away";
    own.add({mib + 256 * kib + 8, 64 * kib});
    EXPECT_EQ(own.regions(), 3U) << "8 bytes behind";
    own.add({mib - 64 * kib, 64 * kib});
    EXPECT_EQ(own.regions(), 4U) << "in front of one";
    own.add({2 * mib + 256 * kib, 256 * kib});
    EXPECT_EQ(own.regions(), 4U) << "the second one is larger";
    own.fill(3000);
    own.fill(1);
    own.free_all();
}

TEST_P(JoiningRegions, NeedsRoomForWhatTheHeapKnowsOfBoth) {
    Joined own(GetParam(), 4 * mib, {mib, mib});
    own.add({2 * mib, 2 * kib});
    EXPECT_EQ(own.regions(), 2U) << "4 KiB of bits, or 32 KiB of marks";
    own.add({2 * mib + 2 * kib, 256 * kib});
    EXPECT_EQ(own.regions(), 2U) << "but with the small one it is one";
    EXPECT_EQ(own.heap->add_memory(me, {2 * mib + 258 * kib, 8}).error(), Errc::region_too_small);
    own.fill(3000);
    own.fill(1);
    own.free_all();
}

TEST_P(JoiningRegions, NeedsNoRoomInTheTable) {
    Joined own(GetParam(), 4 * mib, {mib, 64 * kib});
    for (std::uint64_t i = 1; i < heap_regions_max; ++i) {
        own.add({2 * mib + i * 64 * kib, 32 * kib});
    }
    EXPECT_EQ(own.heap->add_memory(me, {2 * mib, 32 * kib}).error(), Errc::no_memory);
    own.add({mib + 64 * kib, 64 * kib});
    EXPECT_EQ(own.regions(), heap_regions_max);
    own.fill(3000);
    own.free_all();
}

TEST_P(JoiningRegions, GrowsAsOftenAsOneLikes) {
    HeapMemory memory(41 * mib);
    HeapOptions options;
    options.backed_bytes = mib;
    ASSERT_TRUE(format_heap(memory.view(), GetParam(), options));
    const auto heap = *open_byte_heap(memory.view());
    const HeapOffset first = heap->allocate(me, 100'000, 8).value();
    for (std::uint64_t step = 2; step <= 30; ++step) {
        const std::uint64_t before = heap->statistics(me)->total_bytes;
        ASSERT_TRUE(grow_heap(memory.view(), me, step * mib)) << step;
        ASSERT_GE(heap->statistics(me)->total_bytes, before + mib / 32 * 31);
        ASSERT_EQ(broken(*heap, me), "");
    }
    EXPECT_EQ(glance_at_heap(memory.view())->regions, 1U);
    const auto block = heap->allocate(me, 8 * mib, 8);
    ASSERT_TRUE(block);
    for (std::uint64_t step = 31; step <= 41; ++step) {
        ASSERT_TRUE(grow_heap(memory.view(), me, step * mib)) << step;
    }
    EXPECT_LE(glance_at_heap(memory.view())->regions, 2U) << "with buddies: 1 MiB of marks";
    EXPECT_TRUE(heap->free(me, *block));
    EXPECT_TRUE(heap->free(me, first));
    EXPECT_EQ(broken(*heap, me), "");
}

/// Slabs of one class lie in two regions, in one list, when the records of one of them move.
TEST_P(JoiningRegions, KeepsSlabsOfManyRegionsInTheirLists) {
    Joined own(GetParam(), 2 * mib, {256 * kib, 64 * kib});
    own.add({mib, 64 * kib});
    for (const std::uint64_t bytes : {64U, 128U, 256U, 512U, 1024U, 2048U, 64U, 4096U}) {
        for (int i = 0; i < 20; ++i) {
            const auto block = own.heap->allocate(me, bytes, 8);
            if (!block) break;
            const std::uint64_t usable = own.heap->usable_bytes(me, *block).value();
            std::memset(own.at(*block), Joined::mark_of(*block), usable);
            own.blocks.emplace(*block, usable);
        }
    }
    for (auto one = own.blocks.begin(); one != own.blocks.end();) {  // Every third: part of each.
        ASSERT_TRUE(own.heap->free(me, one->first));
        for (int i = 0; i < 3 && one != own.blocks.end(); ++i) {
            one = i == 0 ? own.blocks.erase(one) : std::next(one);
        }
    }
    own.add({320 * kib, 64 * kib});
    own.add({mib + 64 * kib, 64 * kib});
    own.add({384 * kib, 64 * kib});
    EXPECT_EQ(own.regions(), 2U);
    for (const std::uint64_t bytes : {64U, 512U, 4096U}) own.fill(bytes);
    own.free_all();
    EXPECT_EQ(own.heap->statistics(me)->used_bytes, 0U);
}

TEST_P(JoiningRegions, KeepsContentsThroughRandomStepsInWhichTheHeapGrows) {
    struct Block {
        std::uint64_t bytes;
        std::byte mark;
    };
    constexpr std::uint64_t memory_bytes = 64 * mib;
    test::RandomSteps random(20'000);
    Joined own(GetParam(), memory_bytes, {64 * kib, 16 * kib});
    HeapOffset end = 80 * kib;
    std::map<HeapOffset, Block> model;
    const auto check_and_free = [&](auto one) {
        for (std::uint64_t i = 0; i < one->second.bytes; ++i) {
            ASSERT_EQ(own.at(one->first)[i], one->second.mark);
        }
        random.note("heap->free", one->first);
        ASSERT_TRUE(own.heap->free(me, one->first));
        model.erase(one);
    };
    const auto grow = [&] {
        if (random() % 50 == 0) end += 64;  // And a region of its own.
        const std::uint64_t bytes = 8 * (1 + random() % (random() % 4 == 0 ? 16'000 : 800));
        if (end + bytes > memory_bytes) return;
        random.note("heap->add_memory", end, bytes);
        const auto added = own.heap->add_memory(me, {end, bytes});
        if (added) end += bytes;
        ASSERT_TRUE(added || added.error() == Errc::region_too_small ||
                    added.error() == Errc::no_memory);
    };
    while (random.go_on()) {
        if (random() % 100 < 55) {
            const std::uint64_t bytes = random() % (random() % 8 == 0 ? 20'000 : 600);
            const std::uint64_t alignment = std::uint64_t{1} << (random() % 8);
            random.note("heap->allocate", bytes, alignment);
            const auto block = own.heap->allocate(me, bytes, alignment);
            if (!block && random() % 8 == 0) grow();
            if (!block) continue;
            const std::byte mark{static_cast<unsigned char>(random())};
            std::memset(own.at(*block), static_cast<int>(mark), bytes);
            ASSERT_TRUE(model.emplace(*block, Block{bytes, mark}).second);
        } else if (!model.empty()) {
            auto one = model.lower_bound(random() % end);
            check_and_free(one == model.end() ? model.begin() : one);
        }
        if (random.is_every(5000)) {
            grow();
            ASSERT_EQ(broken(*own.heap, me), "");
            ASSERT_EQ(own.heap->statistics(me)->blocks, model.size());
        }
    }
    while (!model.empty()) check_and_free(model.begin());
    EXPECT_EQ(own.heap->statistics(me)->used_bytes, 0U);
}

INSTANTIATE_TEST_SUITE_P(Of, JoiningRegions,
                         testing::Values(HeapKind::tlsf, HeapKind::buddy, HeapKind::slab),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

/// Memory that nobody touches takes no room.
TEST(JoiningTlsf, MakesNoRegionLargerThanABlockCanBe) {
    constexpr std::uint64_t gib = std::uint64_t{1} << 30;
    Joined own(HeapKind::tlsf, 20 * gib, {gib, 7 * gib});
    own.add({8 * gib, gib});
    EXPECT_EQ(own.regions(), 1U);
    own.add({9 * gib, gib});
    EXPECT_EQ(own.regions(), 2U);
    own.add({10 * gib, 7 * gib});
    EXPECT_EQ(own.regions(), 2U);
    const auto block = own.heap->allocate(me, 7 * gib, 8);
    ASSERT_TRUE(block);
    EXPECT_TRUE(own.heap->free(me, *block));
}

TEST(JoiningTlsf, LeavesARegionAloneWhoseEndSomebodyHasOverrun) {
    Joined own(HeapKind::tlsf, mib, {256 * kib, 128 * kib});
    const auto region = tlsf::Region::of({256 * kib, 128 * kib});
    std::memset(own.at(region.end), 'x', 8);
    ASSERT_TRUE(own.heap->add_memory(me, {384 * kib, 128 * kib}));
    EXPECT_EQ(own.regions(), 2U) << "all the rest goes on";
    EXPECT_NE(broken(*own.heap, me), "");
    std::memset(own.at(region.end), 0, 8);
    *own.at(region.end) = std::byte{1};
}

TEST(JoiningPages, TakesNoRoomInTheTable) {
    HeapMemory memory(2 * mib);
    HeapOptions options;
    options.backed_bytes = 64 * kib;
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::bitmap_pages, options));
    for (std::uint64_t bytes = 68 * kib; bytes <= mib; bytes += 4 * kib) {
        ASSERT_TRUE(grow_heap(memory.view(), me, bytes)) << bytes;
    }
    EXPECT_EQ(glance_at_heap(memory.view())->regions, 1U);
    const auto heap = *open_page_heap(memory.view());
    EXPECT_EQ(heap->add_memory(me, {mib - 8 * kib, 16 * kib}).error(), Errc::memory_overlap);
    const std::uint64_t all = heap->statistics(me)->total_pages;
    const auto run = heap->allocate_pages({me, nobodys}, all, page_bytes);
    ASSERT_TRUE(run);
    EXPECT_TRUE(heap->free_pages(me, *run, all));
    EXPECT_EQ(broken(*heap, me), "");
}

TEST(JoiningObjects, TakesNoRoomInTheTable) {
    HeapMemory memory(2 * mib);
    HeapOptions options;
    options.backed_bytes = 64 * kib;
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::slab_cache, options));
    const auto heap = *open_object_heap(memory.view());
    std::vector<HeapOffset> objects;
    for (std::uint64_t bytes = 64 * kib; bytes <= mib; bytes += 20 * kib) {
        ASSERT_TRUE(grow_heap(memory.view(), me, bytes)) << bytes;
        while (const auto object = heap->allocate(me)) objects.push_back(*object);
        ASSERT_EQ(objects.size(), heap->statistics(me)->total_objects);
    }
    EXPECT_EQ(glance_at_heap(memory.view())->regions, 1U);
    EXPECT_EQ(broken(*heap, me), "");
    for (const HeapOffset object : objects) ASSERT_TRUE(heap->free(me, object));
    EXPECT_EQ(broken(*heap, me), "");
}

}  // namespace
}  // namespace shmpool
