// SPDX-License-Identifier: Apache-2.0
/// Verbs of the table of heaps whose work is under way: what else may be asked meanwhile, what
/// fails in the middle, and what is given up.
#include "heap_works_rig.hpp"

namespace shmpool::testing_protocol {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// --- pieces --------------------------------------------------------------------------------------

TEST_F(HeapWorks, TakeAndGiveBackNoMoreThanAPieceAtOnce) {
    const HeapWorkId creation = heaps.create(asked("a", 800'000)).value();
    EXPECT_EQ(taken_bytes(), taken_at_first) << "what is asked is only begun";
    EXPECT_GE(do_by_pieces(creation), 13U);
    EXPECT_EQ(committed_bytes(), without_heaps_bytes + 802'816);
    const HeapId heap = over.at(creation).value();
    EXPECT_GE(do_by_pieces(heaps.destroy(heap).value()), 13U);
    expect_nothing_taken();
}

TEST_F(HeapWorks, GrowByNoMoreThanAPieceAtOnce) {
    const HeapId heap = create_growing();
    const HeapWorkId growth = heaps.grow(heap, 900'000).value();
    EXPECT_EQ(committed_bytes(), without_heaps_bytes + 102'400);
    EXPECT_GE(do_by_pieces(growth), 13U);
    EXPECT_EQ(committed_bytes(), without_heaps_bytes + 901'120);
}

TEST_F(HeapWorks, ShowAHeapToNobodyBeforeItIsWhole) {
    const HeapWorkId creation = heaps.create(asked("a", 400'000)).value();
    while (heaps.has_work()) {
        EXPECT_EQ(heaps.open("a", 3).error().code, Errc::no_heap);
        EXPECT_THAT(read_heaps(host.view()), IsEmpty());
        do_pieces(1);
    }
    const HeapId heap = over.at(creation).value();
    (void)heaps.destroy(heap);
    while (heaps.has_work()) {
        EXPECT_EQ(heaps.open("a", 3).error().code, Errc::no_heap) << "it is condemned";
        do_pieces(1);
    }
}

TEST_F(HeapWorks, TakeTurns) {
    const HeapWorkId large = heaps.create(asked("large", 800'000)).value();
    const HeapWorkId small = heaps.create(asked("small", 50'000)).value();
    do_pieces(4);
    EXPECT_TRUE(is_over(small));
    EXPECT_FALSE(is_over(large));
    do_all();
    EXPECT_EQ(read_heaps(host.view()).size(), 2U);
    expect_apart();
}

// --- asked meanwhile -----------------------------------------------------------------------------

TEST_F(HeapWorks, AreWaitedForByWhoAsksAgain) {
    const HeapWorkId work = heaps.create(asked("a", 400'000, 7)).value();
    do_pieces(3);
    EXPECT_EQ(heaps.create(asked("a", 400'000, 7)).value(), work);
    EXPECT_EQ(error_of(asked("a", 400'000, 8)), Errc::name_taken);
    EXPECT_EQ(error_of(asked("a", 400'000)), Errc::name_taken);
    do_all();
    const HeapId heap = over.at(work).value();
    EXPECT_EQ(create(asked("a", 400'000, 7)).value(), heap);

    const HeapWorkId end = heaps.destroy(heap).value();
    do_pieces(3);
    EXPECT_EQ(heaps.destroy(heap).value(), end);
    EXPECT_FALSE(is_over(end));
    expect_nothing_taken();
    EXPECT_TRUE(destroy(heap)) << "it is gone already";
}

TEST_F(HeapWorks, OfAGrowthAreWaitedForByWhoWantsTheSame) {
    const HeapId heap = create_growing();
    const HeapWorkId work = heaps.grow(heap, 800'000).value();
    do_pieces(3);
    EXPECT_EQ(heaps.grow(heap, 799'999).value(), work);
    EXPECT_EQ(heaps.grow(heap, 300'000).error().code, Errc::would_block) << "it may get that";
    EXPECT_TRUE(over.empty());
    const HeapWorkId nothing_more = heaps.grow(heap, 100'000).value();
    do_pieces(1);
    EXPECT_TRUE(over.at(nothing_more)) << "it has that already, whatever becomes of the other";
    const auto more = heaps.grow(heap, 900'000);
    ASSERT_FALSE(more);
    EXPECT_EQ(more.error().code, Errc::would_block);
    EXPECT_THAT(more.error().message, HasSubstr("heap 'growing' is just being given memory"));
    EXPECT_TRUE(heaps.open("growing", 3)) << "it is as good as ever";
    do_all();
    EXPECT_TRUE(over.at(work));
    EXPECT_TRUE(grow(heap, 900'000));
    EXPECT_EQ(has_bytes(heap), 901'120U);
}

TEST_F(HeapWorks, OfAGrowthEndWhenTheHeapIsDestroyed) {
    const HeapId heap = create_growing();
    const HeapWorkId growth = heaps.grow(heap, 800'000).value();
    do_pieces(5);
    ASSERT_TRUE(heaps.open("growing", 3));
    EXPECT_EQ(heaps.destroy(heap).error().code, Errc::heap_in_use);
    heaps.peer_gone(3);
    const HeapWorkId end = heaps.destroy(heap).value();
    do_pieces(1);
    EXPECT_EQ(error_of_work(growth), Errc::no_heap);
    EXPECT_FALSE(is_over(end));
    expect_nothing_taken();
    EXPECT_TRUE(over.at(end));
}

TEST_F(HeapWorks, ThatGiveRoomBackAreWaitedFor) {
    const HeapId old = create(asked("a", 800'000)).value();
    (void)heaps.destroy(old);
    const HeapWorkId next = heaps.create(asked("a", 900'000)).value();
    EXPECT_EQ(error_of(asked("a", 100)), Errc::name_taken) << "of who waits for room";
    do_all();
    EXPECT_EQ(read_heap(host.view(), over.at(next)->index)->bytes, 901'120U);

    (void)heaps.destroy(over.at(next).value());
    const HeapWorkId kept = heaps.create(asked("kept", 100'000)).value();
    const HeapWorkId too_large = heaps.create(asked("larger", room_bytes)).value();
    do_all();
    EXPECT_TRUE(over.at(kept));
    EXPECT_EQ(error_of_work(too_large), Errc::no_heap_room);
    EXPECT_EQ(error_of(asked("larger", room_bytes)), Errc::no_heap_room) << "at once";
}

/// Somebody has written into the table that a place is free.
TEST_F(HeapWorks, HaveTheirPlaceForThemselves) {
    const HeapWorkId first = heaps.create(asked("first", 400'000)).value();
    do_pieces(3);
    host.view().heaps.at(0).state = static_cast<std::uint32_t>(HeapState::empty);
    const HeapWorkId second = heaps.create(asked("second", 100'000)).value();
    do_all();
    EXPECT_NE(over.at(first)->index, over.at(second)->index);
    EXPECT_EQ(read_heaps(host.view()).size(), 2U);
    expect_apart();
}

// --- failed --------------------------------------------------------------------------------------

TEST_F(HeapWorks, ThatFindNoMemoryInTheMiddleGiveAllBack) {
    for (pieces_left = 0; pieces_left < 7;) {
        const int pieces = pieces_left;
        const HeapWorkId work = heaps.create(asked("a", 500'000)).value();
        do_pieces(pieces + 1);
        EXPECT_EQ(heaps.open("a", 3).error().code, Errc::no_heap);
        do_all();
        EXPECT_EQ(error_of_work(work), Errc::out_of_memory);
        EXPECT_THAT(over.at(work).error().message, HasSubstr("heap 'a'"));
        EXPECT_EQ(taken_bytes(), taken_at_first);
        pieces_left = pieces + 1;
    }
    pieces_left = 100;
    expect_nothing_taken();
}

TEST_F(HeapWorks, OfAGrowthThatFindNoMemoryInTheMiddleGiveAllOfItBack) {
    const HeapId heap = create_growing();
    const std::uint64_t before = taken_bytes();
    pieces_left = 5;
    const HeapWorkId work = heaps.grow(heap, 900'000).value();
    do_pieces(7);
    EXPECT_FALSE(is_over(work)) << "who is told so finds the memory there";
    EXPECT_EQ(heaps.grow(heap, 900'000).error().code, Errc::would_block);
    do_all();
    EXPECT_EQ(error_of_work(work), Errc::out_of_memory);
    EXPECT_EQ(taken_bytes(), before);
    EXPECT_EQ(has_bytes(heap), 102'400U);
    pieces_left = 100;
    EXPECT_TRUE(grow(heap, 900'000));
}

TEST_F(HeapWorks, OfAGrowthInWhichSomebodyIsAtItsEndAreAskedForAgain) {
    const HeapId heap = create_growing();
    const HeapWorkId work = heaps.grow(heap, 900'000).value();
    do_pieces(13);
    ASSERT_FALSE(is_over(work));
    HeapLock lock = lock_of(heap);
    ASSERT_TRUE(lock.lock(5, std::chrono::seconds(1)));
    do_all();
    EXPECT_EQ(error_of_work(work), Errc::would_block);
    lock.unlock();
    pieces_left = 13;
    EXPECT_TRUE(grow(heap, 900'000));
    EXPECT_TRUE(destroy(heap));
    EXPECT_EQ(taken_bytes(), taken_at_first) << "also what it never took";
}

TEST_F(HeapWorks, AreNotBegunWithoutMemoryEnough) {
    const HeapId heap = create_growing();
    const std::uint64_t before = taken_bytes();
    available_bytes = 90'000;
    EXPECT_EQ(heaps.create(asked("a", 100'000)).error().code, Errc::out_of_memory);
    EXPECT_EQ(heaps.grow(heap, 800'000).error().code, Errc::out_of_memory);
    EXPECT_FALSE(heaps.has_work());
    EXPECT_EQ(taken_bytes(), before);
}

/// Others take of it too.
TEST_F(HeapWorks, AskAgainOnTheirWayWhetherThereIsMemoryEnough) {
    for (const int pieces_before : {10, 80}) {  // Not asked again yet, and once.
        PieceRules tiny = pieces();
        tiny.bytes = page_bytes;
        HeapDirectory other(host.segment(), host.pool().view(), host.view(), memory, tiny);
        available_bytes = 1ULL << 40U;
        const HeapWorkId work = other.create(asked("a", 200 * page_bytes)).value();
        for (int i = 0; i < pieces_before; ++i) (void)other.do_a_piece();
        available_bytes = page_bytes;
        const auto made = other.finish(work);
        ASSERT_FALSE(made) << pieces_before;
        EXPECT_EQ(made.error().code, Errc::out_of_memory);
        EXPECT_EQ(taken_bytes(), taken_at_first);
    }
}

// --- given up ------------------------------------------------------------------------------------

TEST_F(HeapWorks, ThatAreGivenUpLeaveNothing) {
    for (int pieces = 0; pieces < 9; ++pieces) {
        const HeapWorkId work = heaps.create(asked("a", 500'000, 7)).value();
        do_pieces(pieces);
        ASSERT_FALSE(is_over(work));
        heaps.give_up(work);
        const HeapWorkId again = heaps.create(asked("a", 500'000, 7)).value();
        EXPECT_NE(again, work) << "that one is being taken back";
        heaps.give_up(again);
        do_all();
        EXPECT_EQ(taken_bytes(), taken_at_first) << pieces;
    }
    const HeapWorkId large = heaps.create(asked("large", room_bytes)).value();
    do_pieces(3);
    heaps.give_up(large);
    const HeapWorkId waiting = heaps.create(asked("waiting", room_bytes)).value();
    heaps.give_up(waiting);
    expect_nothing_taken();
}

TEST_F(HeapWorks, OfAGrowthThatAreGivenUpLeaveTheHeapAsItWas) {
    const HeapId heap = create_growing();
    const std::uint64_t before = taken_bytes();
    const HeapWorkId work = heaps.grow(heap, 900'000).value();
    do_pieces(6);
    heaps.give_up(work);
    do_all();
    EXPECT_EQ(taken_bytes(), before);
    EXPECT_EQ(has_bytes(heap), 102'400U);
    EXPECT_TRUE(grow(heap, 900'000));
}

TEST_F(HeapWorks, OfADestructionGoOnThoughNobodyWaits) {
    const HeapId heap = create(asked("a", 500'000)).value();
    const HeapWorkId work = heaps.destroy(heap).value();
    do_pieces(2);
    heaps.give_up(work);
    expect_nothing_taken();
}

// --- another host --------------------------------------------------------------------------------

TEST_F(HeapWorks, OfAHostThatHasDiedAreTakenBackByTheNextOnePieceByPiece) {
    ASSERT_TRUE(create(asked("there", 100'000)));
    const std::uint64_t before = taken_bytes();
    (void)heaps.create(asked("a", 600'000, 7));
    do_pieces(8);
    const std::uint64_t at_death = taken_bytes();
    ASSERT_GT(at_death, before);

    HeapDirectory next = make_directory();
    next.take_over();
    EXPECT_EQ(taken_bytes(), at_death) << "it serves at once";
    EXPECT_TRUE(next.open("there", 3));
    (void)next.do_a_piece();
    EXPECT_GE(taken_bytes() + small_pieces().bytes, at_death);
    const auto again = next.create(asked("a", 600'000, 7));
    ASSERT_TRUE(again) << "the room is being given back";
    EXPECT_EQ(read_heap(host.view(), next.finish(*again)->index)->name, "a");
}

TEST_F(HeapWorks, OfAHostThatHasDiedPassOverWhatWasNeverThere) {
    (void)create_growing();
    HeapDirectory next = make_directory();
    next.take_over();
    ASSERT_TRUE(next.has_work()) << "it can not know";
    (void)next.do_a_piece();
    EXPECT_FALSE(next.has_work());
}

}  // namespace
}  // namespace shmpool::testing_protocol
