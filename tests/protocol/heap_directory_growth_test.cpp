// SPDX-License-Identifier: Apache-2.0
/// Heaps that the host gives more memory: what it takes from the machine and gives back, and hosts
/// that die in the middle of a growth.
#include <gmock/gmock.h>

#include "heap_directory_rig.hpp"
#include "shmpool/heap/byte_heap.hpp"
#include "shmpool/heap/guarded_heap.hpp"
#include "shmpool/heap/heap_audit.hpp"
#include "shmpool/heap/tlsf.hpp"
#include "shmpool/platform/memory_object.hpp"
#include "tests/shmpool/heap/dying_heap.hpp"

namespace shmpool::testing_protocol {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(HeapDirectoryTest, GivesAHeapMoreMemoryUpToWhatItMayHave) {
    HeapRequest request = asked("a", 100'000);
    request.max_bytes = 300'000;
    const HeapId heap = create(request).value();
    EXPECT_EQ(committed_bytes(), without_heaps_bytes + 102'400) << "whole pages, and no more";
    EXPECT_EQ(error_of(asked("b", 800'000)), Errc::no_heap_room) << "its room is its own";
    const auto opened = open_byte_heap(heap_memory(memory, host.view().heaps.at(heap.index)));
    EXPECT_FALSE((*opened)->allocate(5, 150'000, 8));

    ASSERT_TRUE(grow(heap, 300'000));
    EXPECT_EQ(committed_bytes(), without_heaps_bytes + 303'104);
    const auto block = (*opened)->allocate(5, 150'000, 8);
    ASSERT_TRUE(block) << "of who had it open before too";
    const auto whole = (*opened)->audit(5);
    EXPECT_THAT(*whole, IsEmpty());

    ASSERT_TRUE(grow(heap, 300'000)) << "asked again";
    ASSERT_TRUE(grow(heap, 1)) << "it has more";
    EXPECT_EQ(glance_at_heap(heap_memory(memory, host.view().heaps.at(heap.index)))->regions, 1U);
    const auto too_much = grow(heap, 303'105);
    ASSERT_FALSE(too_much);
    EXPECT_EQ(too_much.error().code, Errc::no_heap_room);
    EXPECT_THAT(too_much.error().message, HasSubstr("may have 303104 bytes, not 303105"));
    ASSERT_TRUE(destroy(heap));
    EXPECT_EQ(committed_bytes(), without_heaps_bytes);
    EXPECT_EQ(grow(heap, 300'000).error().code, Errc::no_heap);
}

TEST_F(HeapDirectoryTest, TakesTheMemoryThatAHeapGrowsBy) {
    HeapRequest request = asked("a", 100'000);
    request.max_bytes = 900'000;
    const HeapId heap = create(request).value();
    const std::uint64_t before = taken_bytes();
    ASSERT_TRUE(grow(heap, 800'000));
    EXPECT_EQ(taken_bytes(), before + 802'816 - 102'400) << "so that nobody dies of a lack of it";
}

TEST_F(HeapDirectoryTest, GivesBackTheMemoryThatAHeapDoesNotTake) {
    const std::uint64_t bytes = 256 << 10;
    HeapRequest request = asked("a", bytes);
    request.kind = HeapKind::bitmap_pages;
    request.options.bytes_per_page = 64 << 10;
    request.options.map_alignment = 64 << 10;
    request.max_bytes = 900'000;
    const HeapId heap = create(request).value();
    const std::uint64_t before = taken_bytes();
    EXPECT_EQ(grow(heap, bytes + page_bytes).error().code, Errc::region_too_small);
    EXPECT_EQ(taken_bytes(), before);
    EXPECT_EQ(committed_bytes(), without_heaps_bytes + bytes);
}

TEST_F(HeapDirectoryTest, TakesNoMemoryForAHeapThatSomebodyDoesNotLeave) {
    HeapRequest request = asked("a", 100'000);
    request.max_bytes = 900'000;
    const HeapId heap = create(request).value();
    const auto its = heap_memory(memory, host.view().heaps.at(heap.index));
    HeapLock lock(reinterpret_cast<HeapHeader*>(its.data())->lock);
    ASSERT_TRUE(lock.lock(5, std::chrono::seconds(1)));
    const std::uint64_t before = taken_bytes();
    const auto refused = grow(heap, 800'000);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::would_block);
    EXPECT_THAT(refused.error().message, HasSubstr("heap 'a'"));
    EXPECT_EQ(taken_bytes(), before);
}

TEST_F(HeapDirectoryTest, GivesBackWhatADeadHostHadCommittedForAHeap) {
    HeapRequest request = asked("a", 100'000);
    request.max_bytes = 900'000;
    const HeapId heap = create(request).value();
    const std::uint64_t before = taken_bytes();
    const std::uint64_t place = host.view().heaps.at(heap.index).offset.load();
    const std::uint64_t behind = memory.image.offset_bytes + place + 102'400;
    ASSERT_TRUE(commit(host.segment().payload(), behind, 409'600));  // And it died.
    ASSERT_NE(taken_bytes(), before);
    take_over();
    EXPECT_EQ(taken_bytes(), before);
    EXPECT_TRUE(grow(heap, 800'000));
}

TEST_F(HeapDirectoryTest, SeesThatAnotherHostHasLetAHeapGrow) {
    HeapRequest request = asked("a", 100'000);
    request.max_bytes = 300'000;
    const HeapId heap = create(request).value();
    const auto its = heap_memory(memory, host.view().heaps.at(heap.index));
    ASSERT_TRUE(grow_heap(its, host_lane + 1, 204'800));  // And it died.
    EXPECT_EQ(read_heap(host.view(), heap.index)->committed_bytes, 102'400U);
    take_over();
    EXPECT_EQ(read_heap(host.view(), heap.index)->committed_bytes, 204'800U);
    EXPECT_EQ(committed_bytes(), without_heaps_bytes + 204'800);
}

/// The host dies before store number `store` of the growth of a heap that it has committed the
/// memory for: whether it did.
template <template <typename> typename Engine>
bool dies_growing(std::span<std::byte> its, const HeapExtent& more, std::uint64_t store) {
    GuardedHeap<Engine, test::Dying> heap(its, std::chrono::seconds(1));
    test::Dying::dies(store);
    bool died = false;
    try {
        (void)heap.add_memory(host_lane + 1, more);
    } catch (const test::Death&) {
        died = true;
    }
    test::Dying::lives();
    return died;
}

TEST_F(HeapDirectoryTest, GoesOnWithAGrowthInWhichAnotherHostHasDied) {
    constexpr std::uint64_t small_bytes = 102'400;
    constexpr std::uint64_t large_bytes = 802'816;
    HeapRequest request = asked("a", small_bytes);
    request.max_bytes = large_bytes;
    bool died = true;
    std::uint64_t deaths = 0;
    for (; died; ++deaths) {
        const HeapId heap = create(request).value();
        const std::uint64_t place = host.view().heaps.at(heap.index).offset.load();
        const auto its = heap_memory(memory, host.view().heaps.at(heap.index));
        ASSERT_TRUE(commit(host.segment().payload(),
                           memory.image.offset_bytes + place + small_bytes,
                           large_bytes - small_bytes));
        died = dies_growing<Tlsf>(its, {small_bytes, large_bytes - small_bytes}, deaths);

        take_over();
        ASSERT_TRUE(grow(heap, large_bytes)) << "store " << deaths;
        const auto opened = open_byte_heap(its).value();
        ASSERT_GT(opened->statistics(5)->total_bytes, 700'000U) << "store " << deaths;
        ASSERT_THAT(*opened->audit(5), IsEmpty()) << "store " << deaths;
        ASSERT_TRUE(destroy(heap));
    }
    EXPECT_GT(deaths, 50U);
}

TEST_F(HeapDirectoryTest, LeavesAHeapAloneInWhichSomebodyIsWhenItTakesOver) {
    HeapRequest request = asked("a", 100'000);
    request.max_bytes = 300'000;
    const HeapId heap = create(request).value();
    const auto its = heap_memory(memory, host.view().heaps.at(heap.index));
    ASSERT_TRUE(
        commit(host.segment().payload(),
               memory.image.offset_bytes + host.view().heaps.at(heap.index).offset.load() + 102'400,
               102'400));
    ASSERT_TRUE(grow_heap(its, host_lane + 1, 204'800));  // And the host died.
    const std::uint64_t before = taken_bytes();
    HeapLock lock(reinterpret_cast<HeapHeader*>(its.data())->lock);
    ASSERT_TRUE(lock.lock(5, std::chrono::seconds(1)));
    take_over();
    EXPECT_EQ(taken_bytes(), before) << "what it has grown by is in use";
    lock.unlock();
    ASSERT_TRUE(grow(heap, 204'800));
    EXPECT_EQ(read_heap(host.view(), heap.index)->committed_bytes, 204'800U);
}

TEST_F(HeapDirectoryTest, GivesNoMoreMemoryWhereThatCanNotBe) {
    HeapRequest ids = asked("ids", 100'000);
    ids.kind = HeapKind::ids;
    ids.options.id_count = 10;
    ids.max_bytes = 200'000;
    EXPECT_EQ(error_of(ids), Errc::unsupported);
    HeapRequest huge = asked("huge", 100'000);
    huge.max_bytes = room_bytes + 1;
    EXPECT_EQ(error_of(huge), Errc::invalid_argument);

    HeapRequest request = asked("a", 100'000);
    request.max_bytes = 300'000;
    const HeapId heap = create(request).value();
    const auto its = heap_memory(memory, host.view().heaps.at(heap.index));
    HeapLock lock(reinterpret_cast<HeapHeader*>(its.data())->lock);
    ASSERT_TRUE(lock.lock(5, std::chrono::seconds(1)));
    EXPECT_EQ(grow(heap, 200'000).error().code, Errc::would_block) << "the host waits not";
    lock.unlock();
    EXPECT_TRUE(grow(heap, 200'000));
}

}  // namespace
}  // namespace shmpool::testing_protocol
