// SPDX-License-Identifier: Apache-2.0
/// Goal: whoever dies in an operation of a page_chain, before any of its stores, leaves it so that
/// the next one finds every word as it was (dying_heap.hpp); what a broken chain costs is not more;
/// processes that are killed leave pages with one owner each. T-PG-28, T-PG-31.
#include <signal.h>
#include <sys/wait.h>

#include <set>
#include <thread>

#include "tests/shmpool/heap/dying_heap.hpp"
#include "tests/shmpool/heap/own_page_chain.hpp"

namespace shmpool {
namespace {

using test::doomed;
using test::Dying;
using test::HeapMemory;
using test::next;
using test::OwnPageChain;

using Pages = GuardedPageChain<Dying>;

constexpr HeapOwner ann = 11;
constexpr HeapOwner bob = 12;
constexpr HeapOwner cid = 13;

bool ann_is_gone(HeapOwner owner) {
    return owner == ann;
}

struct PagesPlay {
    using Heap = Pages;
    static constexpr bool all_is_logged = true;
    static HeapOptions options() {
        HeapOptions options;
        options.owned = true;
        return options;
    }
    static std::unique_ptr<Pages> opened(std::span<std::byte> memory) {
        return std::make_unique<Pages>(memory, plan_of_page_chain(memory).value(),
                                       std::chrono::nanoseconds::zero());
    }
    static std::string account(Pages& heap, HeapHolder holder) {
        const PageChainSnapshot now = heap.snapshot(holder).value();
        std::string text = std::to_string(now.statistics.allocated) + " " +
                           std::to_string(now.statistics.total) + " " +
                           std::to_string(now.free_head) + ":";
        for (const PageState state : now.states) text += std::to_string(static_cast<int>(state));
        return text;
    }
};

void take_five(Pages& heap) {
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(heap.allocate({next, ann}));
}
void free_two_of_five(Pages& heap) {
    take_five(heap);
    ASSERT_TRUE(heap.free(next, 3));
    ASSERT_TRUE(heap.free(next, 5));
}
/// The page that was ann's until she had gone; bob is the last to have pinned it.
void leave_one(Pages& heap) {
    free_two_of_five(heap);
    ASSERT_TRUE(heap.pin({next, bob}, 4));
    ASSERT_TRUE(heap.reclaim(next, ann_is_gone));
}

const std::vector<test::Operation<Pages>>& operations() {
    using Who = HeapUser;
    static const std::vector<test::Operation<Pages>> all{
        {"allocate the first", [](Pages&) {},
         [](Pages& heap) { return heap.allocate(Who(doomed, ann)).value() == 2; }},
        {"allocate the next", take_five,
         [](Pages& heap) { return heap.allocate(Who(doomed, bob)).value() == 7; }},
        {"allocate from the chain", free_two_of_five,
         [](Pages& heap) { return heap.allocate(Who(doomed, bob)).value() == 5; }},
        {"free", take_five, [](Pages& heap) { return heap.free(doomed, 4).has_value(); }},
        {"free onto the chain", free_two_of_five,
         [](Pages& heap) { return heap.free(doomed, 4).has_value(); }},
        {"pin", take_five, [](Pages& heap) { return heap.pin(Who(doomed, bob), 4).has_value(); }},
        {"pin what others have pinned",
         [](Pages& heap) {
             take_five(heap);
             for (const HeapOwner owner : {ann, bob}) ASSERT_TRUE(heap.pin({next, owner}, 4));
             ASSERT_TRUE(heap.pin({next, cid}, 3));
             ASSERT_TRUE(heap.unpin({next, cid}, 3));
         },
         [](Pages& heap) { return heap.pin(Who(doomed, cid), 4).has_value(); }},
        {"unpin the middle one",
         [](Pages& heap) {
             take_five(heap);
             for (const HeapOwner owner : {ann, bob, cid}) ASSERT_TRUE(heap.pin({next, owner}, 4));
             ASSERT_TRUE(heap.unpin({next, ann}, 4));
         },
         [](Pages& heap) { return heap.unpin(Who(doomed, bob), 4).has_value(); }},
        {"unpin the last pin of a page that was left", leave_one,
         [](Pages& heap) { return heap.unpin(Who(doomed, bob), 4).has_value(); }},
        {"set an owner", take_five,
         [](Pages& heap) { return heap.set_owner(doomed, 4, bob).has_value(); }},
        {"set an owner of a page that was left", leave_one,
         [](Pages& heap) { return heap.set_owner(doomed, 4, bob).has_value(); }},
        {"take back one pin",
         [](Pages& heap) {
             ASSERT_TRUE(heap.allocate({next, bob}));
             for (int i = 0; i < 3; ++i) ASSERT_TRUE(heap.pin({next, ann}, 2));
         },
         [](Pages& heap) { return heap.reclaim(doomed, ann_is_gone) == 1U; }},
    };
    return all;
}

class PageChainStoreByStore : public testing::TestWithParam<std::size_t> {
protected:
    test::Deaths<PagesPlay> deaths{operations()[GetParam()]};
};

TEST_P(PageChainStoreByStore, IsDoneOrNotBegun) {  // T-PG-28
    deaths.leave_it_done_or_not_begun();
}

TEST_P(PageChainStoreByStore, MayDieInTheRepairToo) {
    deaths.may_be_in_the_repair_too();
}

INSTANTIATE_TEST_SUITE_P(Of, PageChainStoreByStore,
                         testing::Range(std::size_t{0}, operations().size()),
                         [](const auto& tested) {
                             return test::name_of_play(operations(), tested.param);
                         });

/// Dies in `act` before each of its stores, and lets the next one `look`.
template <typename Prepare, typename Act, typename Look>
void wherever_one_dies(Prepare prepare, Act act, Look look) {
    bool died = true;
    for (std::uint64_t store = 0; died; ++store) {
        SCOPED_TRACE("died before store " + std::to_string(store));
        HeapMemory memory(128 << 10);
        Dying::lives();
        ASSERT_TRUE(Pages::format(memory.view(), PagesPlay::options()));
        const auto heap = PagesPlay::opened(memory.view());
        prepare(*heap, memory.view());
        Dying::dies(store);
        died = false;
        try {
            act(*heap);
        } catch (const test::Death&) {
            died = true;
            heap->holder_died(doomed);
        }
        Dying::lives();
        look(*heap, died);
        ASSERT_EQ(test::broken(*heap, next), "");
        ASSERT_FALSE(testing::Test::HasFailure());
        ASSERT_TRUE(died || store > 8) << "it was counted";
    }
}

TEST(PageChainDeaths, InTheMakingOfANewChainLoseNoPage) {  // T-PG-28, T-PG-29
    wherever_one_dies(
        [](Pages& heap, std::span<std::byte> memory) {
            for (int i = 0; i < 10; ++i) ASSERT_TRUE(heap.allocate({next}));
            for (const PageId page : {3U, 9U, 5U, 7U}) ASSERT_TRUE(heap.free(next, page));
            std::memset(memory.data() + heap.offset_of(7).value(), 0x5A, page_bytes);
        },
        [](Pages& heap) { EXPECT_EQ(heap.allocate({doomed}).value(), 3U); },
        [](Pages& heap, bool died) {
            std::set<PageId> found;
            for (int i = 0; i < (died ? 4 : 3); ++i) found.insert(heap.allocate({next}).value());
            EXPECT_EQ(found, (died ? std::set<PageId>{3, 5, 7, 9} : std::set<PageId>{5, 7, 9}));
            EXPECT_EQ(heap.allocate({next}).value(), 12U);
        });
}

TEST(PageChainDeaths, InReclaimAreFinishedByTheNext) {
    wherever_one_dies(
        [](Pages& heap, std::span<std::byte>) {
            for (int i = 0; i < 10; ++i) ASSERT_TRUE(heap.allocate({next, i % 2 == 0 ? ann : bob}));
            for (const PageId page : {2U, 4U, 5U}) ASSERT_TRUE(heap.pin({next, ann}, page));
            ASSERT_TRUE(heap.pin({next, bob}, 6));
        },
        [](Pages& heap) { ASSERT_TRUE(heap.reclaim(doomed, ann_is_gone)); },
        [](Pages& heap, bool) {
            EXPECT_TRUE(heap.reclaim(next, ann_is_gone));
            EXPECT_EQ(heap.statistics(next).value(), test::counts(8, 4, 12));
            EXPECT_EQ(heap.state(next, 6), PageState::pinned);
            EXPECT_TRUE(heap.unpin({next, bob}, 6));
            EXPECT_EQ(heap.state(next, 6), PageState::free);
        });
}

TEST(PageChainJournal, HoldsTheLongestChange) {
    HeapMemory memory(test::dying_memory_bytes);
    Dying::lives();
    ASSERT_TRUE(Pages::format(memory.view(), PagesPlay::options()));
    const auto heap = PagesPlay::opened(memory.view());
    leave_one(*heap);
    for (const HeapOwner owner : {cid, ann, HeapOwner{14}})
        ASSERT_TRUE(heap->pin({next, owner}, 4));
    for (const HeapOwner owner : {ann, bob, cid, HeapOwner{14}}) {
        ASSERT_TRUE(heap->unpin({next, owner}, 4));
    }
    EXPECT_LE(test::used_entries(memory.view()), PageChainPlan::journal_limit);
    EXPECT_GT(test::used_entries(memory.view()), 8U);
}

// --- processes -----------------------------------------------------------------------------------

/// Allocates, marks, pins, unpins and frees, and dies at any moment.
[[noreturn]] void hammer(std::span<std::byte> memory, HeapHolder holder) {
    const auto heap = open_page_chain(memory).value();
    const HeapUser who(holder, holder);
    std::vector<PageId> mine;
    for (std::uint64_t step = 0;; ++step) {
        if (mine.size() < 12) {
            mine.push_back(heap->allocate(who).value());
            auto& mark = *reinterpret_cast<std::uint64_t*>(
                memory.data() + heap->offset_of(mine.back()).value() + 64);
            mark = holder;
            if (!heap->pin(who, mine.back())) std::abort();
            continue;
        }
        std::swap(mine[step * 7 % mine.size()], mine.back());
        if (*reinterpret_cast<std::uint64_t*>(memory.data() + heap->offset_of(mine.back()).value() +
                                              64) != holder) {
            std::abort();
        }
        if (!heap->unpin(who, mine.back()) || !heap->free(holder, mine.back())) std::abort();
        mine.pop_back();
    }
}

TEST(PageChainProcesses, NeverGetTheSamePageWhoeverIsKilled) {  // T-PG-30, T-PG-31
    OwnPageChain own(1 << 20, true);
    for (HeapHolder round = 0; round < 30; ++round) {
        std::vector<pid_t> children;
        const HeapHolder first = 10 + 4 * round;
        for (HeapHolder i = 0; i < 4; ++i) {
            children.push_back(::fork());
            if (children.back() == 0) hammer(own.memory.map(), first + i);
        }
        while (own.now().allocated < 20) std::this_thread::yield();
        for (std::size_t i = 0; i < children.size(); ++i) {
            int status = 0;
            ::kill(children[i], SIGKILL);
            ::waitpid(children[i], &status, 0);
            EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
            own.heap->holder_died(first + static_cast<HeapHolder>(i));
        }
        ASSERT_EQ(test::broken(*own.heap, OwnPageChain::me), "");
        ASSERT_TRUE(own.heap->reclaim(OwnPageChain::me, [](HeapOwner) { return true; }));
        ASSERT_EQ(own.now().allocated, 2U);
    }
}

}  // namespace
}  // namespace shmpool
