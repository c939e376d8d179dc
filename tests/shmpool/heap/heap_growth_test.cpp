// SPDX-License-Identifier: Apache-2.0
/// Heaps that have only a part of their memory at first, and get more while they are in use.
#include "shmpool/heap/heap_audit.hpp"
#include "shmpool/heap/page_heap.hpp"
#include "tests/shmpool/heap/own_heap.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::HeapMemory;

constexpr HeapHolder me = 1;
constexpr std::uint64_t mega = 1 << 20;

HeapOptions with_backed(std::uint64_t bytes) {
    HeapOptions options;
    options.backed_bytes = bytes;
    return options;
}

TEST(HeapGrowth, AddsWhatIsNotThereYet) {
    HeapMemory memory(4 * mega);
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::tlsf, with_backed(mega)));
    const auto heap = *open_byte_heap(memory.view());
    EXPECT_EQ(end_of_regions(memory.view()), mega);
    EXPECT_FALSE(heap->allocate(me, 2 * mega, 8));
    ASSERT_TRUE(grow_heap(memory.view(), me, 3 * mega + 100));
    EXPECT_EQ(end_of_regions(memory.view()), 3 * mega + 100);
    EXPECT_TRUE(heap->allocate(me, 3 * mega / 2, 8));
    const std::uint64_t total = heap->statistics(me)->total_bytes;
    ASSERT_TRUE(grow_heap(memory.view(), me, 3 * mega + 100)) << "asked again";
    ASSERT_TRUE(grow_heap(memory.view(), me, mega)) << "less";
    EXPECT_EQ(heap->statistics(me)->total_bytes, total);
    EXPECT_EQ(broken(*heap, me), "");
}

TEST(HeapGrowth, IsOfEveryKindThatCanGrow) {
    for (const HeapKind kind : heap_kinds) {
        if (!can_grow(kind)) continue;
        SCOPED_TRACE(name_of(kind));
        HeapMemory memory(4 * mega);
        ASSERT_TRUE(format_heap(memory.view(), kind, with_backed(mega)));
        const std::uint64_t before = glance_at_heap(memory.view())->total;
        EXPECT_LT(before, mega);
        ASSERT_TRUE(grow_heap(memory.view(), me, 4 * mega));
        EXPECT_GT(glance_at_heap(memory.view())->total, before + 2 * mega);
        EXPECT_TRUE(audit_heap(memory.view(), me)->empty());
    }
}

constexpr std::uint64_t giga = std::uint64_t{1} << 30;

/// Memory that nobody touches takes no room.
TEST(HeapGrowth, MakesRegionsOfWhatIsLargerThanABlockCanBe) {
    HeapMemory memory(22 * giga);
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::tlsf, with_backed(9 * giga)));
    const auto heap = *open_byte_heap(memory.view());
    EXPECT_EQ(glance_at_heap(memory.view())->regions, 2U);
    EXPECT_EQ(end_of_regions(memory.view()), 9 * giga);
    const HeapOffset first = heap->allocate(me, 4 * giga, 8).value();
    const HeapOffset second = heap->allocate(me, 4 * giga, 8).value();
    EXPECT_FALSE(heap->allocate(me, 4 * giga, 8));
    ASSERT_TRUE(grow_heap(memory.view(), me, 22 * giga));
    EXPECT_EQ(glance_at_heap(memory.view())->regions, 4U);
    EXPECT_EQ(end_of_regions(memory.view()), 22 * giga);
    const HeapOffset third = heap->allocate(me, 6 * giga, 8).value();
    for (const HeapOffset block : {first, second, third}) EXPECT_TRUE(heap->free(me, block));
    EXPECT_GT(heap->statistics(me)->total_bytes, 21 * giga);
    EXPECT_EQ(broken(*heap, me), "");
}

TEST(HeapGrowth, HasBuddiesOfMoreThanTwoGiga) {  // T-AR-30
    HeapMemory memory(9 * giga);
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::buddy, with_backed(mega)));
    const auto heap = *open_byte_heap(memory.view());
    EXPECT_EQ(heap->allocate(me, 3 * giga, 8).error(), Errc::no_memory);
    ASSERT_TRUE(grow_heap(memory.view(), me, 9 * giga));
    const HeapOffset block = heap->allocate(me, 3 * giga, 8).value();
    EXPECT_EQ(block % (4 * giga), 0U) << "aligned to its size";
    EXPECT_EQ(heap->usable_bytes(me, block), 4 * giga);
    EXPECT_TRUE(heap->allocate(me, 1 * giga, 8)) << "beside it";
    EXPECT_TRUE(heap->free(me, block));
    EXPECT_EQ(heap->allocate(me, 4 * giga, 8), block);
}

TEST(HeapGrowth, SaysHowLargeAHeapOfItsKindCanBe) {
    HeapMemory memory(129 * giga);
    const auto refused = format_heap(memory.view(), HeapKind::tlsf, with_backed(mega));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::invalid_argument);
    for (const char* const part : {"tlsf", "137438953472", "138512695296"}) {
        EXPECT_THAT(refused.error().message, testing::HasSubstr(part));
    }
}

TEST(HeapGrowth, TakesNoPartOfWhatItsTableHasNoRoomFor) {
    HeapMemory memory(22 * giga);
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::tlsf, with_backed(mega)));
    const auto heap = *open_byte_heap(memory.view());
    for (std::uint64_t regions = 1; regions < heap_regions_max - 1; ++regions) {
        ASSERT_TRUE(heap->add_memory(me, {2 * regions * mega, mega}));
    }
    const HeapOffset end = end_of_regions(memory.view());
    EXPECT_EQ(grow_heap(memory.view(), me, 22 * giga).error().code, Errc::no_memory)
        << "one part is joined, and there is room for one of two others";
    EXPECT_EQ(end_of_regions(memory.view()), end);
    EXPECT_TRUE(grow_heap(memory.view(), me, 15 * giga));
    EXPECT_EQ(glance_at_heap(memory.view())->regions, heap_regions_max);
    EXPECT_EQ(broken(*heap, me), "");
}

TEST(HeapGrowth, IsRefusedWhereItCanNotBe) {
    HeapMemory memory(4 * mega);
    HeapOptions ids;
    ids.id_count = 10;
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::ids, ids));
    EXPECT_EQ(grow_heap(memory.view(), me, 2 * mega).error().code, Errc::unsupported);
    EXPECT_EQ(format_heap(memory.view(), HeapKind::tlsf, with_backed(1000)).error().code,
              Errc::region_too_small);

    ASSERT_TRUE(format_heap(memory.view(), HeapKind::bitmap_pages, with_backed(mega)));
    EXPECT_EQ(grow_heap(memory.view(), me, mega + 100).error().code, Errc::region_too_small)
        << "no whole page";
}

TEST(HeapGrowth, BelievesNoRegionThatLiesOutside) {
    HeapMemory memory(4 * mega);
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::tlsf, with_backed(mega)));
    auto& header = *reinterpret_cast<HeapHeader*>(memory.view().data());
    header.regions[7].offset = 3 * mega;
    header.regions[7].bytes = ~std::uint64_t{0} - mega;
    EXPECT_EQ(end_of_regions(memory.view()), mega);
    const HeapMemory nothing(page_bytes);
    EXPECT_EQ(end_of_regions(nothing.view()), 0U);
}

}  // namespace
}  // namespace shmpool
