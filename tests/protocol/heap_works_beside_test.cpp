// SPDX-License-Identifier: Apache-2.0
/// Works on heaps beside each other and beside users of the heaps: memory that several want, memory
/// that users have touched, locks that are held, and places that were another heap's.
#include <optional>
#include <set>

#include "heap_works_rig.hpp"
#include "shmpool/heap/heap_origin.hpp"

namespace shmpool::testing_protocol {
namespace {

/// By a lane of a living peer: the host passes on no lock of his.
constexpr HeapHolder somebody = 5;

class HeapWorksBeside : public HeapWorks {
protected:
    HeapWorksBeside() { host.pool().view().lanes[somebody - 1].owner = owner_of_peer(3, 1); }
};

IsGone nobody_is() {
    return [](HeapOwner) { return false; };
}

TEST_F(HeapWorksBeside, EachOtherTakeNoMoreThanThereIs) {
    available_bytes = 500'000;
    std::vector<HeapWorkId> works;
    for (const char* name : {"a", "b", "c", "d"}) {
        works.push_back(heaps.create(asked(name, 200'000)).value());
    }
    std::uint64_t most_bytes = 0;
    while (heaps.has_work()) {
        do_pieces(1);
        most_bytes = std::max(most_bytes, taken_bytes() - taken_at_first);
    }
    EXPECT_FALSE(took_what_is_not_there);
    EXPECT_LE(most_bytes, 500'000U);
    unsigned made = 0;
    for (const HeapWorkId work : works) {
        made += over.at(work) ? 1U : 0U;
        EXPECT_TRUE(over.at(work) || error_of_work(work) == Errc::out_of_memory);
    }
    EXPECT_LE(made, 2U);
}

/// Who reads a page of memory that is not there has it from then on.
TEST_F(HeapWorksBeside, UsersGiveBackWhatTheyHaveTouchedBehindWhatAHeapHas) {
    const HeapId heap = create_growing();
    const auto its = heap_memory(memory, host.view().heaps.at(heap.index));
    std::uint64_t sum = 0;
    for (std::size_t at = 0; at < its.size(); at += page_bytes) {
        sum += static_cast<std::uint64_t>(*const_cast<const volatile std::byte*>(&its[at]));
    }
    EXPECT_GT(taken_bytes(), taken_at_first + 800'000) << sum;
    ASSERT_TRUE(destroy(heap));
    expect_nothing_taken();
}

TEST_F(HeapWorksBeside, SomebodyInAHeapThatHasItsMemoryLetItGrowAsSoonAsHeLeaves) {
    const HeapId heap = create_growing();
    const HeapWorkId work = heaps.grow(heap, 900'000).value();
    do_pieces(12);
    HeapLock lock = lock_of(heap);
    ASSERT_TRUE(lock.lock(somebody, std::chrono::seconds(1)));
    const std::uint64_t taken = [&] {
        do_pieces(20);
        return taken_bytes();
    }();
    EXPECT_FALSE(is_over(work));
    do_pieces(20);
    EXPECT_EQ(taken_bytes(), taken) << "nothing is given back meanwhile";
    lock.unlock();
    do_pieces(1);
    EXPECT_TRUE(is_over(work));
    EXPECT_EQ(has_bytes(heap), 901'120U);
}

TEST_F(HeapWorksBeside, SomebodyWhoStaysGiveBackWhenHeHasLeft) {
    const HeapId heap = create_growing();
    const std::uint64_t before = taken_bytes();
    const HeapWorkId work = heaps.grow(heap, 900'000).value();
    do_pieces(6);
    HeapLock lock = lock_of(heap);
    ASSERT_TRUE(lock.lock(somebody, std::chrono::seconds(1)));
    heaps.give_up(work);
    do_all();
    EXPECT_GT(taken_bytes(), before) << "nobody knows what the heap has";
    EXPECT_TRUE(heaps.has_to_reclaim());
    (void)heaps.reclaim(nobody_is());
    EXPECT_TRUE(heaps.has_to_reclaim());
    lock.unlock();
    (void)heaps.reclaim(nobody_is());
    EXPECT_FALSE(heaps.has_to_reclaim());
    do_all();
    EXPECT_EQ(taken_bytes(), before);
}

TEST_F(HeapWorksBeside, SomebodyGiveBackWhatAHostThatHasDiedHadTakenWhenHeHasLeft) {
    const HeapId heap = create_growing();
    const std::uint64_t before = taken_bytes();
    (void)heaps.grow(heap, 900'000).value();
    do_pieces(6);
    HeapLock lock = lock_of(heap);
    ASSERT_TRUE(lock.lock(somebody, std::chrono::seconds(1)));
    HeapDirectory next = make_directory();
    next.take_over();
    finish_all(next);
    lock.unlock();
    EXPECT_TRUE(next.has_to_reclaim());
    (void)next.reclaim(nobody_is());
    finish_all(next);
    EXPECT_EQ(taken_bytes(), before);
}

TEST_F(HeapWorksBeside, WhoWritesIntoTheTableGiveAllBackThatTheyHadTaken) {
    const HeapId heap = create_growing();
    pieces_left = 9;
    const HeapWorkId work = heaps.grow(heap, 900'000).value();
    do_pieces(11);
    ASSERT_FALSE(is_over(work)) << "it is giving back";
    host.view().heaps.at(heap.index).committed_bytes = 0;
    do_all();
    (void)heaps.destroy(heap);
    do_all();
    EXPECT_EQ(taken_bytes(), taken_at_first);
}

/// A place that would end behind the memory of heaps.
TEST_F(HeapWorksBeside, WhoWritesIntoTheTableDoNotLeaveTheMemory) {
    const std::uint64_t nonsense[] = {std::uint64_t{1} << 60, ~std::uint64_t{0xFFF}, 1};
    ASSERT_TRUE(create(asked("a", 200'000)));
    const HeapId there = create(asked("b", 200'000)).value();
    auto& row = host.view().heaps.at(there.index);
    const std::uint64_t place = row.offset.load();
    for (const std::uint64_t offset : nonsense) {
        row.offset.store(offset);
        HeapRequest request = asked("c", 100'000);
        request.max_bytes = room_bytes;
        EXPECT_EQ(error_of(request), Errc::no_heap_room) << offset;
        row.offset.store(place);
    }
}

TEST_F(HeapWorksBeside, AHeapThatIsBeingMadeDoNotDestroyIt) {
    const HeapWorkId work = heaps.create(asked("a", 500'000)).value();
    do_pieces(3);
    const HeapId its{0, host.view().heaps.at(0).incarnation};
    EXPECT_EQ(heaps.destroy(its).error().code, Errc::would_block);
    do_all();
    EXPECT_TRUE(over.at(work));
}

/// Whichever of the rows they get.
TEST_F(HeapWorksBeside, GiveNoTwoHeapsOneIncarnation) {
    std::set<std::uint32_t> all;
    std::set<std::uint32_t> rows;
    std::optional<HeapId> before;
    for (int i = 0; i < 50; ++i) {
        const HeapId heap = create(asked(i % 2 == 0 ? "a" : "b", 100'000)).value();
        EXPECT_TRUE(all.insert(heap.incarnation).second);
        rows.insert(heap.index);
        if (before) (void)destroy(*before);
        before = heap;
    }
    EXPECT_GE(rows.size(), 2U);
    HeapDirectory next = make_directory();
    const HeapId heap = finished(next, next.create(asked("c", 100'000))).value();
    EXPECT_TRUE(all.insert(heap.incarnation).second) << "of the next host too";
}

}  // namespace
}  // namespace shmpool::testing_protocol
