// SPDX-License-Identifier: Apache-2.0
/// The table of heaps: who gets which room; and hosts that die in every verb, behind whom the next
/// one finds nothing half done.
#include "protocol/heap_directory.hpp"

#include <gmock/gmock.h>

#include "crash_rig.hpp"
#include "heap_directory_rig.hpp"
#include "shmpool/heap/byte_heap.hpp"
#include "shmpool/heap/heap_audit.hpp"
#include "shmpool/platform/memory_object.hpp"

namespace shmpool::testing_protocol {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(HeapDirectoryTest, GivesEachHeapRoomOfItsOwnAndUsesAGapAgain) {
    const HeapId first = create(asked("first", 400'000)).value();
    const HeapId second = create(asked("second", 400'000)).value();
    EXPECT_EQ(error_of(asked("third", 400'000)), Errc::no_heap_room);
    expect_apart();
    const std::uint64_t two = without_heaps_bytes + 2 * 401'408;
    EXPECT_EQ(committed_bytes(), two) << "whole pages";
    ASSERT_TRUE(destroy(first));
    EXPECT_EQ(committed_bytes(), two - 401'408);
    EXPECT_TRUE(create(asked("third", 300'000)));
    EXPECT_TRUE(create(asked("fourth", 100'000)));
    expect_apart();
    EXPECT_EQ(read_heap(host.view(), second.index)->name, "second");
    EXPECT_TRUE(destroy(first)) << "it is gone already";
    EXPECT_EQ(read_heaps(host.view()).size(), 3U) << "the next one at its place is not it";
}

TEST_F(HeapDirectoryTest, GivesWhoAsksAgainWhatHeHasGotAlready) {
    const HeapId heap = create(asked("a", 100'000, 7)).value();
    EXPECT_EQ(create(asked("a", 100'000, 7)).value(), heap);
    EXPECT_EQ(error_of(asked("a", 100'000, 8)), Errc::name_taken);
    EXPECT_EQ(error_of(asked("a", 100'000)), Errc::name_taken);
}

TEST_F(HeapDirectoryTest, SaysWhyThereIsNoHeapAndKeepsNothingOfIt) {
    EXPECT_EQ(error_of(asked("a", 0)), Errc::invalid_argument);
    EXPECT_EQ(error_of(asked("a", 100)), Errc::region_too_small);
    HeapRequest odd = asked("a", 100'000);
    odd.options.map_alignment = 3 * page_bytes;
    EXPECT_EQ(error_of(odd), Errc::invalid_argument);
    odd.options.map_alignment = 2 * large_page_bytes;
    EXPECT_EQ(error_of(odd), Errc::invalid_argument);
    EXPECT_EQ(heaps.open("a", 0).error().code, Errc::no_heap);
    EXPECT_EQ(destroy({77, 1}).error().code, Errc::no_heap);
    EXPECT_THAT(read_heaps(host.view()), IsEmpty());
    EXPECT_EQ(committed_bytes(), without_heaps_bytes);
    for (const char* const name : {"a", "b", "c", "d"}) {
        EXPECT_TRUE(create(asked(name, 100'000)));
    }
    EXPECT_EQ(error_of(asked("e", 100'000)), Errc::too_many_heaps);
}

TEST_F(HeapDirectoryTest, KnowsWhoHasAHeapOpen) {
    const HeapId heap = create(asked("a", 100'000)).value();
    ASSERT_TRUE(heaps.open("a", 3));
    ASSERT_TRUE(heaps.open("a", 3)) << "twice is once";
    ASSERT_TRUE(heaps.open("a", 15));
    const auto refused = destroy(heap);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("in use by peer 3, peer 15"));
    EXPECT_TRUE(heaps.close(heap.index, 3));
    EXPECT_FALSE(heaps.close(heap.index, 3));
    EXPECT_FALSE(heaps.close(77, 3));
    heaps.peer_gone(15);
    EXPECT_TRUE(destroy(heap));
}

TEST_F(HeapDirectoryTest, BelievesNoPlaceThatLiesOutside) {
    const HeapId heap = create(asked("a", 100'000)).value();
    HeapImage& image = host.view().heaps.at(heap.index);
    for (const std::uint64_t offset :
         {room_bytes, room_bytes - page_bytes, ~std::uint64_t{0}, std::uint64_t{5}}) {
        image.offset = offset;
        EXPECT_THAT(heap_memory(memory, image), IsEmpty()) << offset;
        heaps.peer_gone(3);
        take_over();
    }
    image.offset = 0;
    image.bytes = ~std::uint64_t{0} - page_bytes + 1;
    EXPECT_THAT(heap_memory(memory, image), IsEmpty());
    (void)create(asked("b", 100'000));
    EXPECT_TRUE(destroy(heap));
}

TEST_F(HeapDirectoryTest, TouchesNothingWhereAHeapHasBeen) {
    const HeapId first = create(asked("first", 100'000)).value();
    const HeapId second = create(asked("second", 100'000)).value();
    const std::uint64_t place = host.view().heaps.at(second.index).offset.load();
    ASSERT_TRUE(destroy(first));
    ASSERT_TRUE(destroy(second));
    const HeapId large = create(asked("large", 400'000)).value();
    ASSERT_NE(large.index, second.index);
    const auto its = heap_memory(memory, host.view().heaps.at(large.index));
    auto& word = reinterpret_cast<HeapHeader*>(its.data() + place)->lock;
    word = host_lane + 1;  // A user's own, in the middle of a block.
    take_over();
    heaps.peer_gone(3);
    EXPECT_EQ(word.load(), host_lane + 1);
}

// --- locks that name nobody ----------------------------------------------------------------------

constexpr std::uint32_t lane_of_nobody = 2;
constexpr HeapHolder holder_of_nobody = lane_of_nobody + 1;
bool nobody_is_gone(HeapOwner) {
    return false;
}

class LocksOfHeaps : public HeapDirectoryTest {
protected:
    [[nodiscard]] HeapHeader& header() const { return *reinterpret_cast<HeapHeader*>(its_.data()); }
    [[nodiscard]] Atomic<std::uint64_t>& owner_of_lane() {
        return host.pool().view().lanes[lane_of_nobody].owner;
    }
    void write_lock(std::uint32_t word) { header().lock = word; }
    /// Somebody, who waits for nobody.
    [[nodiscard]] bool can_be_locked() {
        auto heap = open_byte_heap(its_, std::chrono::nanoseconds(0)).value();
        const auto block = heap->allocate(9, 100, 8);
        return block && heap->free(9, *block);
    }
    void expect_passed_on(const IsGone& is_gone = nobody_is_gone) {
        EXPECT_FALSE(can_be_locked()) << "that word locks it";
        (void)heaps.reclaim(is_gone);
        EXPECT_TRUE(can_be_locked());
        EXPECT_EQ(header().damaged.load(), 1U) << "somebody wrote over it";
    }
    void expect_left_alone() {
        const std::uint32_t before = header().lock.load();
        const std::uint64_t owner = owner_of_lane().load();
        (void)heaps.reclaim(nobody_is_gone);
        EXPECT_EQ(header().lock.load(), before);
        EXPECT_EQ(owner_of_lane().load(), owner);
        EXPECT_EQ(header().damaged.load(), 0U);
    }

    HeapId id_ = create(asked("heap", 100'000)).value();
    std::span<std::byte> its_ = heap_memory(memory, host.view().heaps.at(id_.index));
};

TEST_F(LocksOfHeaps, ArePassedOnWhenThereIsNoSuchLane) {
    write_lock(0x2ABCDEF0);
    expect_passed_on();
}
TEST_F(LocksOfHeaps, ArePassedOnFromTheLastLaneThatThereCouldBe) {
    write_lock(host.pool().view().lane_count + 1);
    expect_passed_on();
}
TEST_F(LocksOfHeaps, ArePassedOnWhenNobodyHasTheLane) {
    write_lock(holder_of_nobody | 1U << 31);  // Somebody waits, or waited.
    expect_passed_on();
    EXPECT_EQ(owner_of_lane().load(), 0U) << "who wants the lane can have it";
}
TEST_F(LocksOfHeaps, ArePassedOnWhenWhoHasTheLaneIsGone) {
    owner_of_lane() = owner_of_peer(3, 1);
    write_lock(holder_of_nobody);
    expect_passed_on([](HeapOwner owner) { return owner == owner_of_peer(3, 1); });
    EXPECT_EQ(owner_of_lane().load(), owner_of_peer(3, 1)) << "its lane is not yet swept";
}
TEST_F(LocksOfHeaps, AreLeftToTheLivingAndToTheHost) {
    expect_left_alone();
    owner_of_lane() = owner_of_peer(3, 1);
    write_lock(holder_of_nobody);
    expect_left_alone();
    write_lock(host_lane + 1);
    expect_left_alone();
}
TEST_F(LocksOfHeaps, ThatADeadOneHadSayNothingOfDamage) {
    write_lock(holder_of_nobody);
    EXPECT_TRUE(HeapLock(header().lock).orphan(holder_of_nobody));  // And its lane is retired.
    expect_left_alone();
    EXPECT_TRUE(can_be_locked());
}
/// Who claims the lane at the worst moment does not get it: he could lock with it, and the host
/// would take that lock from him.
TEST_F(LocksOfHeaps, ArePassedOnWhileNobodyCanClaimTheLane) {
    static const PoolView* pool = nullptr;
    static int claims = 0;
    pool = &host.pool().view();
    claims = 0;
    write_lock(holder_of_nobody);
    crash_hook = [](const char*) {
        const auto claimed = claim_lane(*pool, owner_of_peer(3, 1), 0, {lane_of_nobody, 1});
        EXPECT_EQ(claimed, no_lane_index);
        ++claims;
    };
    (void)heaps.reclaim(nobody_is_gone);
    crash_hook = nullptr;
    EXPECT_EQ(claims, 2) << "before the lock is passed on, and behind that";
    EXPECT_EQ(claim_lane(*pool, owner_of_peer(3, 1), 0, {lane_of_nobody, 1}), lane_of_nobody);
}
TEST_F(LocksOfHeaps, ThatAHostWasPassingOnAreFinishedByTheNextHost) {
    owner_of_lane() = taken_by_host;
    write_lock(holder_of_nobody);
    take_over();
    EXPECT_EQ(owner_of_lane().load(), 0U);
    expect_passed_on();
}

// --- the host dies -------------------------------------------------------------------------------

/// All verbs; the memory is written to in between.
void host_script(HeapDirectory& heaps, const Segment::Region& memory, const ProtocolView& view) {
    const auto create = [&](const HeapRequest& request) {
        return finished(heaps, heaps.create(request));
    };
    const auto kept = create(asked("kept", 100'000, 1));
    HeapRequest growing = asked("gone", 200'000, 2);
    growing.max_bytes = 350'000;
    const auto gone = create(growing);
    (void)heaps.open("gone", 3);
    const auto opened = open_byte_heap(heap_memory(memory, view.heaps.at(gone->index)));
    (void)(*opened)->allocate(5, 1000, 8);
    (void)finished(heaps, heaps.grow(*gone, 250'000));
    const auto given_up = heaps.grow(*gone, 350'000);
    for (int i = 0; i < 2; ++i) (void)heaps.do_a_piece();
    heaps.give_up(*given_up);
    finish_all(heaps);
    heaps.peer_gone(3);
    reinterpret_cast<HeapHeader*>(heap_memory(memory, view.heaps.at(kept->index)).data())->lock =
        holder_of_nobody;
    (void)heaps.reclaim(nobody_is_gone);
    (void)finished(heaps, heaps.destroy(*gone));
    (void)create(asked("again", 300'000, 3));
}

/// A host over a segment of its own, in a process of its own.
struct HostProcess {
    TestHost other{shape_with_heaps()};
    Segment::Region memory = other.segment().region(RegionKind::heap_memory).value();

    [[nodiscard]] HeapDirectory directory() {
        return {other.segment(), other.pool().view(), other.view(), memory, small_pieces()};
    }
    [[nodiscard]] std::uint64_t committed_bytes() {
        return other.segment().header().committed_bytes.load();
    }
    [[nodiscard]] std::uint64_t taken_bytes() { return backed_bytes(other.segment().payload()); }
    ChildProcess::End run(const std::function<void()>& prepare) {
        ChildProcess child([&] {
            prepare();
            const auto mapped = open_segment(other.segment());
            const auto its = mapped->segment.region(RegionKind::heap_memory).value();
            HeapDirectory heaps(mapped->segment, mapped->pool.view(), mapped->view, its,
                                small_pieces());
            host_script(heaps, its, mapped->view);
            return 0;
        });
        return child.wait();
    }
};

std::vector<std::pair<std::string, unsigned>> points_of_script() {
    SharedWithChildren<PointCounts> counts;
    HostProcess host;
    EXPECT_EQ(host.run([&] { count_points(*counts); }), ChildProcess::End::exited);
    return counts->all();
}

/// Every heap is whole or not there, and all room can be had again.
void expect_nothing_half_done(HostProcess& host, std::uint64_t committed_bytes,
                              std::uint64_t taken_bytes) {
    HeapDirectory next = host.directory();
    next.take_over();
    finish_all(next);
    const PoolView& pool = host.other.pool().view();
    for (std::uint32_t i = 0; i < pool.lane_count; ++i) EXPECT_EQ(pool.lanes[i].owner.load(), 0U);
    (void)next.reclaim(nobody_is_gone);
    for (std::uint32_t i = 0; i < host.other.view().heaps.count; ++i) {
        const auto state = static_cast<HeapState>(host.other.view().heaps.at(i).state.load());
        EXPECT_TRUE(state == HeapState::empty || state == HeapState::open);
    }
    next.peer_gone(3);
    for (const HeapEntry& one : read_heaps(host.other.view())) {
        const HeapImage& image = host.other.view().heaps.at(one.id.index);
        const auto heap = open_byte_heap(heap_memory(host.memory, image), {});
        ASSERT_TRUE(heap);
        EXPECT_TRUE((*heap)->allocate(9, 100, 8)) << "nobody has locked it";
        EXPECT_TRUE(finished(next, next.destroy(one.id))) << one.name;
    }
    EXPECT_EQ(host.committed_bytes(), committed_bytes);
    EXPECT_EQ(host.taken_bytes(), taken_bytes) << "by the kernel's word";
    EXPECT_TRUE(finished(next, next.create(asked("all", room_bytes)))) << "no room is lost";
}

TEST(HeapDirectoryDeath, InAnyVerbLeavesNothingHalfDone) {
    unsigned deaths = 0;
    for (const auto& [name, count] : points_of_script()) {
        for (unsigned nth = 1; nth <= count; ++nth, ++deaths) {
            SCOPED_TRACE(name + " " + std::to_string(nth));
            HostProcess host;
            const std::uint64_t before = host.committed_bytes();
            const std::uint64_t taken_before = host.taken_bytes();
            ASSERT_EQ(host.run([&, &point = name] { signal_at_point(point, nth, SIGKILL); }),
                      ChildProcess::End::killed);
            expect_nothing_half_done(host, before, taken_before);
        }
    }
    EXPECT_GE(deaths, 35U);
}

}  // namespace

std::vector<std::string> points_met_by_heap_hosts() {
    std::vector<std::string> names;
    for (const auto& [name, count] : points_of_script()) names.push_back(name);
    return names;
}

}  // namespace shmpool::testing_protocol
