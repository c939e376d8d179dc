// SPDX-License-Identifier: Apache-2.0
/// The table of heaps: who gets which room; and hosts that die in every verb, behind whom the next
/// one finds nothing half done.
#include "protocol/heap_directory.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <set>

#include "crash_rig.hpp"
#include "scenarios.hpp"
#include "shmpool/heap/byte_heap.hpp"
#include "shmpool/heap/heap_audit.hpp"
#include "shmpool/platform/memory_object.hpp"
#include "test_host.hpp"

namespace shmpool::testing_protocol {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint64_t room_bytes = 1 << 20;

SegmentShape shape_with_heaps() {
    SegmentShape shape = small_shape();
    shape.heaps = 4;
    shape.heap_bytes = room_bytes;
    return shape;
}

HeapRequest asked(const char* name, std::uint64_t bytes, std::uint64_t ticket = 0) {
    HeapRequest request;
    request.name = name;
    request.kind = HeapKind::tlsf;
    request.bytes = bytes;
    request.ticket = ticket;
    return request;
}

class HeapDirectoryTest : public ::testing::Test {
protected:
    [[nodiscard]] HeapDirectory make_directory() {
        return {host.segment(), host.pool().view(), host.view(), memory};
    }
    [[nodiscard]] std::uint64_t committed_bytes() {
        return host.segment().header().committed_bytes.load();
    }
    /// By the kernel's word.
    [[nodiscard]] std::uint64_t taken_bytes() {
        struct stat status {};
        EXPECT_EQ(::fstat(host.segment().payload().get(), &status), 0);
        return static_cast<std::uint64_t>(status.st_blocks) * 512;
    }
    [[nodiscard]] Errc error_of(const HeapRequest& request) {
        const auto created = heaps.create(request);
        return created ? Errc::internal_fault : created.error().code;
    }
    /// Extents of all heaps; a failure if two overlap.
    void expect_apart() {
        std::uint64_t end = 0;
        std::set<std::pair<std::uint64_t, std::uint64_t>> extents;
        for (const HeapEntry& one : read_heaps(host.view())) {
            extents.emplace(host.view().heaps.at(one.id.index).offset.load(), one.bytes);
        }
        for (const auto& [offset, bytes] : extents) {
            EXPECT_GE(offset, end);
            end = offset + bytes;
        }
        EXPECT_LE(end, room_bytes);
    }

    TestHost host{shape_with_heaps()};
    Segment::Region memory = host.segment().region(RegionKind::heap_memory).value();
    HeapDirectory heaps = make_directory();
    std::uint64_t without_heaps_bytes = committed_bytes();
};

TEST_F(HeapDirectoryTest, GivesEachHeapRoomOfItsOwnAndUsesAGapAgain) {
    const HeapId first = heaps.create(asked("first", 400'000)).value();
    const HeapId second = heaps.create(asked("second", 400'000)).value();
    EXPECT_EQ(error_of(asked("third", 400'000)), Errc::no_heap_room);
    expect_apart();
    const std::uint64_t two = without_heaps_bytes + 2 * 401'408;
    EXPECT_EQ(committed_bytes(), two) << "whole pages";
    ASSERT_TRUE(heaps.destroy(first));
    EXPECT_EQ(committed_bytes(), two - 401'408);
    EXPECT_TRUE(heaps.create(asked("third", 300'000)));
    EXPECT_TRUE(heaps.create(asked("fourth", 100'000)));
    expect_apart();
    EXPECT_EQ(read_heap(host.view(), second.index)->name, "second");
    EXPECT_TRUE(heaps.destroy(first)) << "it is gone already";
    EXPECT_EQ(read_heaps(host.view()).size(), 3U) << "the next one at its place is not it";
}

TEST_F(HeapDirectoryTest, GivesWhoAsksAgainWhatHeHasGotAlready) {
    const HeapId heap = heaps.create(asked("a", 100'000, 7)).value();
    EXPECT_EQ(heaps.create(asked("a", 100'000, 7)).value(), heap);
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
    EXPECT_EQ(heaps.destroy({77, 1}).error().code, Errc::no_heap);
    EXPECT_THAT(read_heaps(host.view()), IsEmpty());
    EXPECT_EQ(committed_bytes(), without_heaps_bytes);
    for (const char* const name : {"a", "b", "c", "d"}) {
        EXPECT_TRUE(heaps.create(asked(name, 100'000)));
    }
    EXPECT_EQ(error_of(asked("e", 100'000)), Errc::too_many_heaps);
}

TEST_F(HeapDirectoryTest, KnowsWhoHasAHeapOpen) {
    const HeapId heap = heaps.create(asked("a", 100'000)).value();
    ASSERT_TRUE(heaps.open("a", 3));
    ASSERT_TRUE(heaps.open("a", 3)) << "twice is once";
    ASSERT_TRUE(heaps.open("a", 15));
    const auto refused = heaps.destroy(heap);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("in use by peer 3, peer 15"));
    EXPECT_TRUE(heaps.close(heap.index, 3));
    EXPECT_FALSE(heaps.close(heap.index, 3));
    EXPECT_FALSE(heaps.close(77, 3));
    heaps.peer_gone(15);
    EXPECT_TRUE(heaps.destroy(heap));
}

TEST_F(HeapDirectoryTest, BelievesNoPlaceThatLiesOutside) {
    const HeapId heap = heaps.create(asked("a", 100'000)).value();
    HeapImage& image = host.view().heaps.at(heap.index);
    for (const std::uint64_t offset :
         {room_bytes, room_bytes - page_bytes, ~std::uint64_t{0}, std::uint64_t{5}}) {
        image.offset = offset;
        EXPECT_THAT(heap_memory(memory, image), IsEmpty()) << offset;
        heaps.peer_gone(3);
        heaps.take_over();
    }
    image.offset = 0;
    image.bytes = ~std::uint64_t{0} - page_bytes + 1;
    EXPECT_THAT(heap_memory(memory, image), IsEmpty());
    (void)heaps.create(asked("b", 100'000));
    EXPECT_TRUE(heaps.destroy(heap));
}

TEST_F(HeapDirectoryTest, GivesAHeapMoreMemoryUpToWhatItMayHave) {
    HeapRequest request = asked("a", 100'000);
    request.max_bytes = 300'000;
    const HeapId heap = heaps.create(request).value();
    EXPECT_EQ(committed_bytes(), without_heaps_bytes + 102'400) << "whole pages, and no more";
    EXPECT_EQ(error_of(asked("b", 800'000)), Errc::no_heap_room) << "its room is its own";
    const auto opened = open_byte_heap(heap_memory(memory, host.view().heaps.at(heap.index)));
    EXPECT_FALSE((*opened)->allocate(5, 150'000, 8));

    ASSERT_TRUE(heaps.grow(heap, 300'000));
    EXPECT_EQ(committed_bytes(), without_heaps_bytes + 303'104);
    const auto block = (*opened)->allocate(5, 150'000, 8);
    ASSERT_TRUE(block) << "of who had it open before too";
    const auto whole = (*opened)->audit(5);
    EXPECT_THAT(*whole, IsEmpty());

    ASSERT_TRUE(heaps.grow(heap, 300'000)) << "asked again";
    ASSERT_TRUE(heaps.grow(heap, 1)) << "it has more";
    EXPECT_EQ(glance_at_heap(heap_memory(memory, host.view().heaps.at(heap.index)))->regions, 1U);
    const auto too_much = heaps.grow(heap, 303'105);
    ASSERT_FALSE(too_much);
    EXPECT_EQ(too_much.error().code, Errc::no_heap_room);
    EXPECT_THAT(too_much.error().message, HasSubstr("may have 303104 bytes, not 303105"));
    ASSERT_TRUE(heaps.destroy(heap));
    EXPECT_EQ(committed_bytes(), without_heaps_bytes);
    EXPECT_EQ(heaps.grow(heap, 300'000).error().code, Errc::no_heap);
}

TEST_F(HeapDirectoryTest, TakesTheMemoryThatAHeapGrowsBy) {
    HeapRequest request = asked("a", 100'000);
    request.max_bytes = 900'000;
    const HeapId heap = heaps.create(request).value();
    const std::uint64_t before = taken_bytes();
    ASSERT_TRUE(heaps.grow(heap, 800'000));
    EXPECT_EQ(taken_bytes(), before + 802'816 - 102'400) << "so that nobody dies of a lack of it";
}

TEST_F(HeapDirectoryTest, GivesBackTheMemoryThatAHeapDoesNotTake) {
    const std::uint64_t bytes = 256 << 10;
    HeapRequest request = asked("a", bytes);
    request.kind = HeapKind::bitmap_pages;
    request.options.bytes_per_page = 64 << 10;
    request.options.map_alignment = 64 << 10;
    request.max_bytes = 900'000;
    const HeapId heap = heaps.create(request).value();
    const std::uint64_t before = taken_bytes();
    EXPECT_EQ(heaps.grow(heap, bytes + page_bytes).error().code, Errc::region_too_small);
    EXPECT_EQ(taken_bytes(), before);
    EXPECT_EQ(committed_bytes(), without_heaps_bytes + bytes);
}

TEST_F(HeapDirectoryTest, TakesNoMemoryForAHeapThatSomebodyDoesNotLeave) {
    HeapRequest request = asked("a", 100'000);
    request.max_bytes = 900'000;
    const HeapId heap = heaps.create(request).value();
    const auto its = heap_memory(memory, host.view().heaps.at(heap.index));
    HeapLock lock(reinterpret_cast<HeapHeader*>(its.data())->lock);
    ASSERT_TRUE(lock.lock(5, std::chrono::seconds(1)));
    const std::uint64_t before = taken_bytes();
    const auto refused = heaps.grow(heap, 800'000);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::would_block);
    EXPECT_THAT(refused.error().message, HasSubstr("heap 'a'"));
    EXPECT_EQ(taken_bytes(), before);
}

TEST_F(HeapDirectoryTest, GivesBackWhatADeadHostHadCommittedForAHeap) {
    HeapRequest request = asked("a", 100'000);
    request.max_bytes = 900'000;
    const HeapId heap = heaps.create(request).value();
    const std::uint64_t before = taken_bytes();
    const std::uint64_t place = host.view().heaps.at(heap.index).offset.load();
    const std::uint64_t behind = memory.image.offset_bytes + place + 102'400;
    ASSERT_TRUE(commit(host.segment().payload(), behind, 409'600));  // And it died.
    ASSERT_NE(taken_bytes(), before);
    heaps.take_over();
    EXPECT_EQ(taken_bytes(), before);
    EXPECT_TRUE(heaps.grow(heap, 800'000));
}

TEST_F(HeapDirectoryTest, SeesThatAnotherHostHasLetAHeapGrow) {
    HeapRequest request = asked("a", 100'000);
    request.max_bytes = 300'000;
    const HeapId heap = heaps.create(request).value();
    const auto its = heap_memory(memory, host.view().heaps.at(heap.index));
    ASSERT_TRUE(grow_heap(its, host_lane + 1, 204'800));  // And it died.
    EXPECT_EQ(read_heap(host.view(), heap.index)->committed_bytes, 102'400U);
    heaps.take_over();
    EXPECT_EQ(read_heap(host.view(), heap.index)->committed_bytes, 204'800U);
    EXPECT_EQ(committed_bytes(), without_heaps_bytes + 204'800);
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
    const HeapId heap = heaps.create(request).value();
    const auto its = heap_memory(memory, host.view().heaps.at(heap.index));
    HeapLock lock(reinterpret_cast<HeapHeader*>(its.data())->lock);
    ASSERT_TRUE(lock.lock(5, std::chrono::seconds(1)));
    EXPECT_EQ(heaps.grow(heap, 200'000).error().code, Errc::would_block) << "the host waits not";
    lock.unlock();
    EXPECT_TRUE(heaps.grow(heap, 200'000));
}

TEST_F(HeapDirectoryTest, TouchesNothingWhereAHeapHasBeen) {
    const HeapId first = heaps.create(asked("first", 100'000)).value();
    const HeapId second = heaps.create(asked("second", 100'000)).value();
    const std::uint64_t place = host.view().heaps.at(second.index).offset.load();
    ASSERT_TRUE(heaps.destroy(first));
    ASSERT_TRUE(heaps.destroy(second));
    const HeapId large = heaps.create(asked("large", 400'000)).value();
    ASSERT_NE(large.index, second.index);
    const auto its = heap_memory(memory, host.view().heaps.at(large.index));
    auto& word = reinterpret_cast<HeapHeader*>(its.data() + place)->lock;
    word = host_lane + 1;  // A user's own, in the middle of a block.
    heaps.take_over();
    heaps.peer_gone(3);
    EXPECT_EQ(word.load(), host_lane + 1);
}

// --- the host dies -------------------------------------------------------------------------------

/// All verbs; the memory is written to in between.
void host_script(HeapDirectory& heaps, const Segment::Region& memory, const ProtocolView& view) {
    const auto kept = heaps.create(asked("kept", 100'000, 1));
    HeapRequest growing = asked("gone", 200'000, 2);
    growing.max_bytes = 250'000;
    const auto gone = heaps.create(growing);
    (void)heaps.open("gone", 3);
    const auto opened = open_byte_heap(heap_memory(memory, view.heaps.at(gone->index)));
    (void)(*opened)->allocate(5, 1000, 8);
    (void)heaps.grow(*gone, 250'000);
    heaps.peer_gone(3);
    (void)heaps.destroy(*gone);
    (void)heaps.create(asked("again", 300'000, 3));
    (void)kept;
}

/// A host over a segment of its own, in a process of its own.
struct HostProcess {
    TestHost other{shape_with_heaps()};
    Segment::Region memory = other.segment().region(RegionKind::heap_memory).value();

    [[nodiscard]] HeapDirectory directory() {
        return {other.segment(), other.pool().view(), other.view(), memory};
    }
    [[nodiscard]] std::uint64_t committed_bytes() {
        return other.segment().header().committed_bytes.load();
    }
    ChildProcess::End run(const std::function<void()>& prepare) {
        ChildProcess child([&] {
            prepare();
            const auto mapped = open_segment(other.segment());
            const auto its = mapped->segment.region(RegionKind::heap_memory).value();
            HeapDirectory heaps(mapped->segment, mapped->pool.view(), mapped->view, its);
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
void expect_nothing_half_done(HostProcess& host, std::uint64_t committed_bytes) {
    HeapDirectory next = host.directory();
    next.take_over();
    for (std::uint32_t i = 0; i < host.other.view().heaps.count; ++i) {
        const auto state = static_cast<HeapState>(host.other.view().heaps.at(i).state.load());
        EXPECT_TRUE(state == HeapState::empty || state == HeapState::open);
    }
    next.peer_gone(3);
    for (const HeapEntry& one : read_heaps(host.other.view())) {
        const HeapImage& image = host.other.view().heaps.at(one.id.index);
        EXPECT_TRUE(open_byte_heap(heap_memory(host.memory, image)));
        EXPECT_TRUE(next.destroy(one.id)) << one.name;
    }
    EXPECT_EQ(host.committed_bytes(), committed_bytes);
    EXPECT_TRUE(next.create(asked("all", room_bytes))) << "no room is lost";
}

TEST(HeapDirectoryDeath, InAnyVerbLeavesNothingHalfDone) {
    unsigned deaths = 0;
    for (const auto& [name, count] : points_of_script()) {
        for (unsigned nth = 1; nth <= count; ++nth, ++deaths) {
            SCOPED_TRACE(name + " " + std::to_string(nth));
            HostProcess host;
            const std::uint64_t before = host.committed_bytes();
            ASSERT_EQ(host.run([&, &point = name] { signal_at_point(point, nth, SIGKILL); }),
                      ChildProcess::End::killed);
            expect_nothing_half_done(host, before);
        }
    }
    EXPECT_GE(deaths, 15U);
}

}  // namespace

std::vector<std::string> points_met_by_heap_hosts() {
    std::vector<std::string> names;
    for (const auto& [name, count] : points_of_script()) names.push_back(name);
    return names;
}

}  // namespace shmpool::testing_protocol
