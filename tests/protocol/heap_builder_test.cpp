// SPDX-License-Identifier: Apache-2.0
/// What happens to a heap while a builder has it in hand. Method: a builder that does nothing until
/// the test says so, and looks at what it then does it to.
#include <algorithm>
#include <deque>
#include <utility>

#include "heap_works_rig.hpp"
#include "shmpool/heap/heap_audit.hpp"

namespace shmpool::testing_protocol {
namespace {

class SlowBuilder final : public HeapBuilder {
public:
    void begin(HeapWorkId work, Task task) override { begun_.emplace_back(work, std::move(task)); }
    bool withdraw(HeapWorkId work) override {
        const auto is_it = [&](const auto& one) { return one.first == work; };
        const auto found = std::ranges::find_if(begun_, is_it);
        if (found == begun_.end() || found == begun_.begin()) return false;  // That is under way.
        begun_.erase(found);
        return true;
    }
    std::vector<Built> collect() override { return std::exchange(built_, {}); }

    /// The oldest of those that were begun.
    void build_one() {
        built_.push_back({begun_.front().first, begun_.front().second()});
        begun_.pop_front();
    }
    /// As if its memory were not a heap's.
    void fail_one() {
        built_.push_back({begun_.front().first, fail(Errc::heap_damaged, "by a test")});
        begun_.pop_front();
    }
    [[nodiscard]] std::size_t in_hand() const { return begun_.size(); }

private:
    std::deque<std::pair<HeapWorkId, Task>> begun_;
    std::vector<Built> built_;
};

class HeapInHand : public HeapWorks {
protected:
    /// All that can be done without the builder.
    HeapWorkId have_in_hand(const Result<HeapWorkId>& work) {
        heaps.build_with(builder);
        do_all();
        EXPECT_FALSE(is_over(work.value()));
        EXPECT_EQ(builder.in_hand(), 1U);
        return work.value();
    }
    HeapWorkId create_in_hand() { return have_in_hand(heaps.create(asked("a", 200'000))); }
    HeapWorkId grow_in_hand(HeapId heap) { return have_in_hand(heaps.grow(heap, 900'000)); }
    void build() {
        builder.build_one();
        do_pieces(1);
        do_all();
    }

    SlowBuilder builder;
};

TEST_F(HeapInHand, KeepsNothingElseWaiting) {
    const HeapWorkId first = create_in_hand();
    EXPECT_FALSE(heaps.has_work()) << "there is nothing to be done but by the builder";
    const HeapWorkId second = heaps.create(asked("b", 200'000)).value();
    EXPECT_TRUE(heaps.has_work());
    do_all();
    EXPECT_EQ(builder.in_hand(), 2U);
    EXPECT_THAT(read_heaps(host.view()), ::testing::IsEmpty()) << "none is open yet";
    build();
    EXPECT_TRUE(is_over(first));
    EXPECT_FALSE(is_over(second));
    build();
    EXPECT_TRUE(is_over(second));
    EXPECT_EQ(read_heaps(host.view()).size(), 2U);
}

TEST_F(HeapInHand, IsWaitedForByWhoAsksAgain) {
    const HeapWorkId work = have_in_hand(heaps.create(asked("a", 200'000, 77)));
    EXPECT_EQ(heaps.create(asked("a", 200'000, 77)).value(), work);
    EXPECT_EQ(heaps.making("a"), work);
    EXPECT_EQ(heaps.create(asked("a", 200'000, 78)).error().code, Errc::name_taken);
}

TEST_F(HeapInHand, ThatNobodyWantsAnyMoreIsTakenBackWhenItIsLetGo) {
    const HeapWorkId work = create_in_hand();
    const std::uint64_t taken = taken_bytes();
    heaps.give_up(work);
    do_pieces(5);
    EXPECT_EQ(taken_bytes(), taken) << "somebody writes there";
    const HeapWorkId other = heaps.create(asked("b", room_bytes)).value();
    do_all();
    EXPECT_EQ(builder.in_hand(), 1U) << "nor does somebody else get the room";
    build();
    EXPECT_THAT(read_heaps(host.view()), ::testing::IsEmpty());
    EXPECT_EQ(builder.in_hand(), 1U) << "but then";
    build();
    EXPECT_TRUE(is_over(other));
    ASSERT_EQ(read_heaps(host.view()).size(), 1U);
    EXPECT_EQ(read_heaps(host.view())[0].name, "b");
}

TEST_F(HeapInHand, ThatCanNotBeMadeIsTakenBack) {
    const HeapWorkId work = create_in_hand();
    builder.fail_one();
    do_pieces(1);
    do_all();
    EXPECT_EQ(error_of_work(work), Errc::heap_damaged);
    EXPECT_THAT(read_heaps(host.view()), ::testing::IsEmpty());
    EXPECT_EQ(taken_bytes(), taken_at_first);
}

TEST_F(HeapInHand, IsDestroyedWhenItIsLetGo) {
    const HeapId heap = create_growing();
    const HeapWorkId growth = grow_in_hand(heap);
    const std::uint64_t taken = taken_bytes();
    const HeapWorkId destruction = heaps.destroy(heap).value();
    EXPECT_EQ(heaps.destroy(heap).value(), destruction);
    do_pieces(5);
    EXPECT_EQ(error_of_work(growth), Errc::no_heap);
    EXPECT_FALSE(is_over(destruction));
    EXPECT_EQ(taken_bytes(), taken) << "somebody writes there";
    build();
    EXPECT_TRUE(is_over(destruction));
    EXPECT_EQ(taken_bytes(), taken_at_first);
    EXPECT_THAT(read_heaps(host.view()), ::testing::IsEmpty());
}

TEST_F(HeapInHand, GrowsThoughNobodyWaitsForThatAnyMore) {
    const HeapId heap = create_growing();
    const HeapWorkId growth = grow_in_hand(heap);
    heaps.give_up(growth);
    do_pieces(5);
    EXPECT_FALSE(is_over(growth));
    build();
    EXPECT_TRUE(is_over(growth));
    EXPECT_EQ(has_bytes(heap), 901'120U);
    const auto its = heap_memory(memory, host.view().heaps.at(heap.index));
    EXPECT_THAT(audit_heap(its, 5).value(), ::testing::IsEmpty());
}

TEST_F(HeapInHand, ThatCanNotGrowGivesBackWhatItWasToHave) {
    const HeapId heap = create_growing();
    const std::uint64_t taken = taken_bytes();
    const HeapWorkId growth = grow_in_hand(heap);
    EXPECT_GT(taken_bytes(), taken);
    builder.fail_one();
    do_pieces(1);
    do_all();
    EXPECT_EQ(error_of_work(growth), Errc::heap_damaged);
    EXPECT_EQ(taken_bytes(), taken);
    EXPECT_EQ(has_bytes(heap), 102'400U);
}

TEST_F(HeapInHand, InWhichSomebodyIsIsBegunAgain) {
    const HeapId heap = create_growing();
    const HeapWorkId growth = grow_in_hand(heap);
    HeapLock lock = lock_of(heap);
    ASSERT_TRUE(lock.lock(5, std::chrono::seconds(1)));
    build();
    EXPECT_FALSE(is_over(growth));
    EXPECT_EQ(builder.in_hand(), 1U);
    lock.unlock();
    build();
    EXPECT_TRUE(is_over(growth));
    EXPECT_EQ(has_bytes(heap), 901'120U);
}

TEST_F(HeapInHand, InWhichSomebodyIsIsNotBegunAgainForNobody) {
    const HeapId heap = create_growing();
    const std::uint64_t taken = taken_bytes();
    const HeapWorkId growth = grow_in_hand(heap);
    HeapLock lock = lock_of(heap);
    ASSERT_TRUE(lock.lock(5, std::chrono::seconds(1)));
    heaps.give_up(growth);
    build();
    EXPECT_TRUE(is_over(growth));
    EXPECT_EQ(builder.in_hand(), 0U);
    lock.unlock();
    (void)heaps.reclaim([](HeapOwner) { return false; });
    do_all();
    EXPECT_EQ(has_bytes(heap), 102'400U);
    EXPECT_EQ(taken_bytes(), taken);
}

TEST_F(HeapInHand, ThatIsNotYetBegunIsTakenFromTheBuilderWhenNobodyWantsIt) {
    HeapRequest request = asked("growing", 100'000);
    request.max_bytes = 400'000;
    const HeapId growing = create(request).value();
    (void)create_in_hand();
    const HeapWorkId other = heaps.create(asked("b", 200'000)).value();
    const HeapWorkId growth = heaps.grow(growing, 300'000).value();
    do_all();
    EXPECT_EQ(builder.in_hand(), 3U);
    heaps.give_up(other);
    const HeapWorkId destruction = heaps.destroy(growing).value();
    do_all();
    EXPECT_EQ(builder.in_hand(), 1U) << "the one that is under way";
    EXPECT_TRUE(is_over(other));
    EXPECT_TRUE(is_over(destruction));
    EXPECT_EQ(error_of_work(growth), Errc::no_heap);
    build();
    EXPECT_EQ(read_heaps(host.view()).size(), 1U);
}

TEST_F(HeapInHand, IsNotLookedForInTheTable) {
    const HeapId heap = create_growing();
    const std::uint64_t place = host.view().heaps.at(heap.index).offset.load();
    (void)grow_in_hand(heap);
    host.view().heaps.at(heap.index).offset.store(1 << 20);
    ASSERT_TRUE(heaps.destroy(heap));
    const HeapWorkId other = heaps.create(asked("b", 200'000)).value();
    do_all();
    EXPECT_EQ(builder.in_hand(), 1U) << "somebody writes where it could be";
    build();
    build();
    EXPECT_TRUE(is_over(other));
    EXPECT_EQ(host.view().heaps.at(read_heaps(host.view()).at(0).id.index).offset.load(), place);
}

TEST_F(HeapInHand, IsTakenBackByTheNextHost) {
    (void)create_in_hand();
    HeapDirectory next = make_directory();
    next.take_over();
    finish_all(next);
    EXPECT_EQ(taken_bytes(), taken_at_first);
    EXPECT_THAT(read_heaps(host.view()), ::testing::IsEmpty());
}

}  // namespace
}  // namespace shmpool::testing_protocol
