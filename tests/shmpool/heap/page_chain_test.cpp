// SPDX-License-Identifier: Apache-2.0
/// What a page_chain must do: ids, pins, the chain of free pages and what becomes of one that is
/// broken, whose pages and pins are. Ids in brackets are of the list of features.
#include "shmpool/heap/page_chain.hpp"

#include <random>
#include <set>
#include <thread>

#include "shmpool/heap/heap_audit.hpp"
#include "tests/shmpool/heap/own_page_chain.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::counts;
using test::OwnPageChain;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr HeapHolder me = OwnPageChain::me;
constexpr HeapOwner ann = 11;
constexpr HeapOwner bob = 12;
constexpr HeapOwner cid = 13;

bool ann_is_gone(HeapOwner owner) {
    return owner == ann;
}
bool bob_is_gone(HeapOwner owner) {
    return owner == bob;
}

TEST(PageChain, BeginsWithTheReservedPages) {  // T-PG-1, T-PG-3
    OwnPageChain own;
    EXPECT_EQ(own.now(), counts(2, 0, 0));
    EXPECT_EQ(own.heap->free_list_head(me), 0U);
    EXPECT_EQ(own.state(0), PageState::allocated);
    EXPECT_EQ(own.state(1), PageState::allocated);
    own.expect_error(Errc::invalid_argument, own.heap->state(me, 2));
    EXPECT_THAT(own.allocate_many(2), ElementsAre(2U, 3U));
    EXPECT_EQ(own.now(), counts(4, 0, 4));
}

TEST(PageChain, HandsOutFirstWhatWasFreedLast) {  // T-PG-4, T-PG-9, T-PG-13
    OwnPageChain own;
    EXPECT_THAT(own.allocate_many(5), ElementsAre(2U, 3U, 4U, 5U, 6U));
    for (const PageId page : {3U, 4U, 5U}) {
        own.free(page);
        EXPECT_EQ(own.state(page), PageState::free);
        EXPECT_EQ(own.heap->free_list_head(me), page);
    }
    EXPECT_THAT(own.allocate_many(4), ElementsAre(5U, 4U, 3U, 7U));
    EXPECT_EQ(own.heap->free_list_head(me), 0U);
}

TEST(PageChain, CountsWhatThereIs) {  // T-PG-10, T-PG-27
    OwnPageChain own;
    own.allocate_many(3);
    EXPECT_EQ(own.now(), counts(5, 0, 5));
    own.free(3);
    EXPECT_EQ(own.now(), counts(4, 1, 5));
    own.free(4);
    EXPECT_EQ(own.now(), counts(3, 2, 5));
    const auto glance = glance_at_heap(own.memory.view()).value();
    EXPECT_EQ(glance.kind, HeapKind::page_chain);
    EXPECT_EQ(glance.used, page_bytes);
    EXPECT_EQ(glance.total, own.heap->capacity() * page_bytes);
}

TEST(PageChain, RefusesWhatIsNoPageOfAnybody) {  // T-PG-5, 11, 12, 21, 23; D-PG-3, D-PG-4
    OwnPageChain own(32 << 20);
    own.allocate_many(5'000);
    own.free(4'000);
    const PageChainStatistics before = own.now();
    for (const PageId page : {PageId{0}, PageId{1}, PageId{5'002}, PageId{1} << 40, ~PageId{0}}) {
        own.expect_error(Errc::invalid_argument, own.heap->free(me, page));
        own.expect_error(Errc::invalid_argument, own.heap->pin(me, page));
        own.expect_error(Errc::invalid_argument, own.heap->unpin(me, page));
    }
    own.expect_error(Errc::not_allocated, own.heap->free(me, 4'000));
    own.expect_error(Errc::not_allocated, own.heap->pin(me, 4'000));
    own.expect_error(Errc::unsupported, own.heap->set_owner(me, 2, ann));
    own.expect_error(Errc::invalid_argument, own.heap->offset_of(1));
    EXPECT_EQ(own.now(), before);
}

TEST(PageChain, KeepsAPinnedPageUntilItsLastPinIsGone) {  // T-PG-6, T-PG-22, D-PG-5
    for (const bool owned : {false, true}) {
        OwnPageChain own(1 << 20, owned);
        const PageId page = own.allocate();
        own.expect_error(Errc::not_pinned, own.heap->unpin(me, page));
        for (int i = 0; i < 3; ++i) EXPECT_TRUE(own.heap->pin(me, page));
        for (int i = 0; i < 3; ++i) {
            EXPECT_EQ(own.state(page), PageState::pinned);
            own.expect_error(Errc::pinned, own.heap->free(me, page));
            EXPECT_TRUE(own.heap->unpin(me, page));
        }
        EXPECT_EQ(own.state(page), PageState::allocated);
        own.expect_error(Errc::not_pinned, own.heap->unpin(me, page));
        own.free(page);
        own.expect_error(Errc::not_allocated, own.heap->pin(me, page));
    }
}

TEST(PageChain, LaysPagesOfEverySizeWhereTheyAreAligned) {  // T-PG-24
    for (const std::uint64_t size : {4096U, 8192U, 16384U, 65536U}) {
        OwnPageChain own(2 << 20, true, size);
        EXPECT_GE(own.heap->capacity(), (2U << 20) / size * 98 / 100 - 1);
        PageId last = 0;
        while (const auto page = own.heap->allocate(me)) {
            EXPECT_EQ(own.heap->offset_of(*page).value() % size, 0U);
            std::memset(own.bytes(*page).data(), 0xFF, size);
            last = *page;
        }
        EXPECT_EQ(last - 1, own.heap->capacity());
        EXPECT_LE(own.heap->offset_of(last).value() + size, own.memory.view().size());
    }
    test::HeapMemory memory(1 << 20);
    for (const std::uint64_t wrong : {2048U, 5000U, 8192U}) {
        HeapOptions options;
        options.bytes_per_page = wrong;
        EXPECT_EQ(format_heap(memory.view(), HeapKind::page_chain, options).error().code,
                  Errc::invalid_argument)
            << wrong;
    }
    EXPECT_EQ(format_heap(memory.view().first(4096), HeapKind::page_chain).error().code,
              Errc::region_too_small);
    HeapOptions part;
    part.first_region = {8192, 4096};
    EXPECT_EQ(format_heap(memory.view(), HeapKind::page_chain, part).error().code,
              Errc::invalid_argument);
}

TEST(PageChain, HandsOutAllThatThereIsAndNoMore) {  // T-PG-25
    OwnPageChain own(256 << 10);
    own.allocate_many(own.heap->capacity());
    const PageChainStatistics full = own.now();
    own.expect_error(Errc::no_memory, own.heap->allocate(me));
    EXPECT_EQ(own.now(), full);
    own.free(7);
    EXPECT_EQ(own.allocate(), 7U);
}

TEST(PageChain, IsTheSameForWhoOpensItElsewhere) {  // T-PG-20, D-PG-1, D-PG-2
    OwnPageChain own;
    own.allocate_many(6);
    for (const PageId page : {3U, 5U, 2U}) own.free(page);
    EXPECT_TRUE(own.heap->pin(me, 4));
    const auto other = open_page_chain(own.memory.map()).value();
    EXPECT_EQ(other->free_list_head(2), 2U);
    EXPECT_EQ(other->state(2, 4), PageState::pinned);
    EXPECT_EQ(other->state(2, 5), PageState::free);
    EXPECT_EQ(other->allocate(2), 2U);
    EXPECT_EQ(own.allocate(), 5U);
    EXPECT_EQ(other->allocate(2), 3U);
    EXPECT_EQ(own.allocate(), 8U);
    EXPECT_TRUE(other->free(2, 6));
    own.expect_error(Errc::not_allocated, own.heap->free(me, 6));
}

TEST(PageChain, ASnapshotStaysAsItWas) {  // PG-12, D-PG-10
    OwnPageChain own;
    own.allocate_many(3);
    own.free(3);
    EXPECT_TRUE(own.heap->pin(me, 4));
    const PageChainSnapshot then = own.heap->snapshot(me).value();
    EXPECT_EQ(own.allocate(), 3U);
    EXPECT_EQ(then.statistics, counts(4, 1, 5));
    EXPECT_EQ(then.free_head, 3U);
    EXPECT_EQ(then.state(0), PageState::allocated);
    EXPECT_EQ(then.state(2), PageState::allocated);
    EXPECT_EQ(then.state(3), PageState::free);
    EXPECT_EQ(then.state(4), PageState::pinned);
    EXPECT_EQ(then.state(5).error(), Errc::invalid_argument);
}

// --- a chain that somebody has written into ------------------------------------------------------

class BrokenChain : public testing::Test {
protected:
    void SetUp() override {
        own.allocate_many(10);  // 2 to 11
        for (const PageId page : {3U, 5U, 7U, 9U}) own.free(page);
    }
    /// Every free page comes back once, then new ones; a finding said so before.
    void expect_all_free_pages_once() {
        EXPECT_THAT(broken(*own.heap, me), HasSubstr("chain of free pages"));
        const std::vector<PageId> some = own.allocate_many(4);
        EXPECT_EQ(std::set<PageId>(some.begin(), some.end()), (std::set<PageId>{3, 5, 7, 9}));
        EXPECT_EQ(own.allocate(), 12U);
        EXPECT_EQ(own.now(), counts(13, 0, 13));
    }
    OwnPageChain own;
};

TEST_F(BrokenChain, OfPagesThatTheirUserWroteIntoIsMadeAnew) {  // T-PG-29
    std::memset(own.bytes(7).data(), 0xAB, page_bytes);
    expect_all_free_pages_once();
}
TEST_F(BrokenChain, ThatBeginsWithAnOverwrittenPageIsMadeAnew) {  // T-PG-29
    std::memset(own.bytes(9).data(), 0, 64);
    EXPECT_THAT(broken(*own.heap, me), HasSubstr("broken at page 9"));
    EXPECT_THAT(own.allocate_many(4), ElementsAre(3U, 5U, 7U, 9U)) << "the lowest first";
}
TEST_F(BrokenChain, WithACircleAndGoodChecksumsIsMadeAnew) {  // T-PG-29
    own.write_header(5, FreePageHeader::of(5, 9));
    expect_all_free_pages_once();
}
TEST_F(BrokenChain, ThatLeadsToALivePageIsMadeAnew) {  // T-PG-29
    own.write_header(7, FreePageHeader::of(7, 4));
    expect_all_free_pages_once();
}
TEST_F(BrokenChain, ThatLeadsOutOfTheHeapIsMadeAnew) {  // T-PG-29
    own.write_header(9, FreePageHeader::of(9, PageId{1} << 50));
    expect_all_free_pages_once();
}
TEST_F(BrokenChain, ThatIsCutShortIsMadeAnew) {  // T-PG-29
    own.write_header(7, FreePageHeader::of(7, 0));
    expect_all_free_pages_once();
}
TEST_F(BrokenChain, ThatTheHeaderOfAnotherPageLiesInIsMadeAnew) {
    own.write_header(9, FreePageHeader::of(7, 5));
    expect_all_free_pages_once();
}
TEST_F(BrokenChain, WhoseHeadIsNonsenseIsMadeAnew) {
    own.word(own.plan().word(chain_words::free_head)) = 4;
    expect_all_free_pages_once();
}

// --- who is gone ---------------------------------------------------------------------------------

class OwnedPageChain : public testing::Test {
protected:
    Outcome<void> pin(PageId page, HeapOwner owner) { return own.heap->pin({me, owner}, page); }
    Outcome<void> unpin(PageId page, HeapOwner owner) { return own.heap->unpin({me, owner}, page); }

    OwnPageChain own{1 << 20, true};
};

TEST_F(OwnedPageChain, NobodyTakesOffAnothersPin) {
    const PageId page = own.allocate(ann);
    EXPECT_TRUE(pin(page, ann));
    own.expect_error(Errc::not_pinned, unpin(page, bob));
    EXPECT_TRUE(pin(page, bob));
    EXPECT_TRUE(unpin(page, ann));
    own.expect_error(Errc::not_pinned, unpin(page, ann));
    EXPECT_EQ(own.state(page), PageState::pinned);
    EXPECT_TRUE(unpin(page, bob));
    own.free(page);
}

TEST_F(OwnedPageChain, PinsOfTheDeadAreTakenOff) {  // T-PG-30
    const PageId bobs = own.allocate(bob);
    const PageId other = own.allocate(bob);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(pin(bobs, ann));
    EXPECT_TRUE(pin(bobs, cid));
    EXPECT_TRUE(pin(other, ann));
    EXPECT_TRUE(pin(other, nobodys));
    EXPECT_EQ(own.heap->reclaim(me, ann_is_gone), 2U);
    EXPECT_EQ(own.heap->reclaim(me, ann_is_gone), 0U);
    own.expect_error(Errc::pinned, own.heap->free(me, bobs));
    EXPECT_TRUE(unpin(bobs, cid));
    own.free(bobs);
    own.expect_error(Errc::not_pinned, unpin(other, ann));
    EXPECT_TRUE(unpin(other, nobodys));
    EXPECT_EQ(own.state(other), PageState::allocated);
}

TEST_F(OwnedPageChain, PagesOfTheDeadAreFreedUnlessTheyAreKept) {
    const PageId anns = own.allocate(ann);
    const PageId bobs = own.allocate(bob);
    const PageId of_nobody = own.allocate();
    const PageId kept = own.allocate(ann);
    const PageId given = own.allocate(bob);
    EXPECT_TRUE(own.heap->set_owner(me, kept, nobodys));
    EXPECT_TRUE(own.heap->set_owner(me, given, ann));
    EXPECT_TRUE(pin(anns, ann));
    EXPECT_EQ(own.heap->reclaim(me, ann_is_gone), 3U) << "two pages and a pin";
    EXPECT_EQ(own.state(anns), PageState::free);
    EXPECT_EQ(own.state(given), PageState::free);
    for (const PageId page : {bobs, of_nobody, kept}) own.free(page);
}

TEST_F(OwnedPageChain, WhoUnpinsItLastFreesThePageOfTheDead) {
    const PageId one = own.allocate(ann);
    const PageId two = own.allocate(ann);
    const PageId three = own.allocate(ann);
    for (const PageId page : {one, two, three}) EXPECT_TRUE(pin(page, bob));
    EXPECT_TRUE(pin(one, cid));
    EXPECT_EQ(own.heap->reclaim(me, ann_is_gone), 3U);
    EXPECT_EQ(own.heap->reclaim(me, ann_is_gone), 0U);
    EXPECT_EQ(own.now().allocated, 5U);
    EXPECT_TRUE(unpin(one, bob));
    EXPECT_EQ(own.state(one), PageState::pinned);
    EXPECT_TRUE(unpin(one, cid));
    EXPECT_EQ(own.state(one), PageState::free);
    EXPECT_TRUE(own.heap->set_owner(me, two, cid)) << "from now on it is his affair";
    EXPECT_TRUE(unpin(two, bob));
    EXPECT_EQ(own.state(two), PageState::allocated);
    EXPECT_EQ(own.heap->reclaim(me, bob_is_gone), 1U) << "the pin of the third";
    EXPECT_EQ(own.state(three), PageState::free);
}

TEST_F(OwnedPageChain, AFullTableOfPinsIsAnError) {
    const std::uint64_t places = own.plan().places;
    const PageId page = own.allocate();
    for (HeapOwner owner = 1; owner <= places; ++owner) ASSERT_TRUE(pin(page, owner));
    own.expect_error(Errc::no_memory, pin(page, places + 1));
    EXPECT_TRUE(pin(page, 1)) << "who has a place needs no other";
    EXPECT_TRUE(unpin(page, places));
    EXPECT_TRUE(pin(page, places + 1));
    EXPECT_EQ(own.heap->reclaim(me, [](HeapOwner) { return true; }), places);
}

TEST(PageChain, ThreadsNeverGetTheSamePage) {
    OwnPageChain own(8 << 20, true);
    std::vector<std::thread> threads;
    for (HeapHolder holder = 2; holder < 8; ++holder) {
        threads.emplace_back([&, holder] {
            std::mt19937 random(holder);
            std::vector<PageId> mine;
            for (int step = 0; step < 3'000; ++step) {
                if (mine.size() < 20 || random() % 2 == 0) {
                    mine.push_back(own.heap->allocate({holder, holder}).value());
                    std::memset(own.bytes(mine.back()).data(), static_cast<int>(holder), 64);
                    if (!own.heap->pin({holder, holder}, mine.back())) std::abort();
                } else {
                    std::swap(mine[random() % mine.size()], mine.back());
                    for (int i = 0; i < 64; ++i) {
                        if (own.bytes(mine.back())[static_cast<std::size_t>(i)] !=
                            std::byte(holder)) {
                            std::abort();
                        }
                    }
                    if (!own.heap->unpin({holder, holder}, mine.back())) std::abort();
                    if (!own.heap->free(holder, mine.back())) std::abort();
                    mine.pop_back();
                }
                if (mine.size() > 100) mine.resize(100);  // They stay, pinned.
            }
        });
    }
    for (std::thread& one : threads) one.join();
    EXPECT_TRUE(own.heap->reclaim(me, [](HeapOwner) { return true; }));
    EXPECT_EQ(own.now().allocated, 2U);
}

}  // namespace
}  // namespace shmpool
