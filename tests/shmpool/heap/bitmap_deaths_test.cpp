// SPDX-License-Identifier: Apache-2.0
/// Goal: whoever dies in an operation of a heap of pages or of ids, before any of its stores,
/// leaves it so that the next one finds every word as it was (dying_heap.hpp). And no change is too
/// long for the journal.
#include <cstring>

#include "shmpool/heap/guarded_id_heap.hpp"
#include "shmpool/heap/guarded_page_heap.hpp"
#include "tests/shmpool/heap/dying_heap.hpp"

namespace shmpool {
namespace {

using test::doomed;
using test::Dying;
using test::HeapMemory;
using test::next;

using Pages = GuardedPageHeap<Dying>;
using Ids = GuardedIdHeap<Dying>;

constexpr std::uint64_t page = page_bytes;

struct PagesPlay {
    using Heap = Pages;
    static constexpr bool all_is_logged = true;
    static PagePlan plan() {
        return PagePlan::of(test::dying_memory_bytes, page, page, false).value();
    }
    static HeapOptions options() {
        HeapOptions options;
        options.first_region = {2 * page, 40 * page};
        return options;
    }
    static std::unique_ptr<Pages> opened(std::span<std::byte> memory) {
        return std::make_unique<Pages>(memory, plan(), std::chrono::nanoseconds::zero());
    }
    static std::string account(Pages& heap, HeapHolder holder) {
        const PageStatistics now = heap.statistics(holder).value();
        return std::to_string(now.total_pages) + " " + std::to_string(now.used_pages);
    }
};

/// Two levels of the tree and a part of the third.
struct IdsPlay {
    using Heap = Ids;
    static constexpr bool all_is_logged = true;
    static constexpr std::uint64_t count = 10'000;
    static IdPlan plan() {
        return IdPlan::of(test::dying_memory_bytes, 5, 2 * count, false).value();
    }
    static HeapOptions options() {
        HeapOptions options;
        options.first_id = 5;
        options.id_count = count;
        options.id_capacity = 2 * count;
        return options;
    }
    static std::unique_ptr<Ids> opened(std::span<std::byte> memory) {
        return std::make_unique<Ids>(memory, plan(), std::chrono::nanoseconds::zero());
    }
    static std::string account(Ids& heap, HeapHolder holder) {
        const IdStatistics now = heap.statistics(holder).value();
        return std::to_string(now.size) + " " + std::to_string(now.used);
    }
};

void take_all(Pages& heap) {
    ASSERT_TRUE(heap.allocate_pages(next, 40, page));
}

const std::vector<test::Operation<Pages>>& page_operations() {
    static const std::vector<test::Operation<Pages>> all{
        {"allocate one page", [](Pages&) {},
         [](Pages& heap) { return heap.allocate_pages(doomed, 1, page).value() == 2 * page; }},
        {"allocate all pages", [](Pages&) {},
         [](Pages& heap) { return heap.allocate_pages(doomed, 40, page).has_value(); }},
        {"allocate at", [](Pages&) {},
         [](Pages& heap) { return heap.allocate_pages_at(doomed, 9 * page, 7, page).has_value(); }},
        {"allocate what is not there", take_all,
         [](Pages& heap) { return !heap.allocate_pages(doomed, 1, page); }},
        {"free one of all", take_all,
         [](Pages& heap) { return heap.free_pages(doomed, 20 * page, 1).has_value(); }},
        {"free what is free", [](Pages&) {},
         [](Pages& heap) { return !heap.free_pages(doomed, 20 * page, 1); }},
        {"add memory", take_all,
         [](Pages& heap) {
             return heap.add_memory(doomed, {50 * page, 8 * page}).has_value();
         }},
    };
    return all;
}

const std::vector<test::Operation<Ids>>& id_operations() {
    static const std::vector<test::Operation<Ids>> all{
        {"allocate one id", [](Ids&) {},
         [](Ids& heap) { return heap.allocate_id(doomed, 1, 1).value() == 5; }},
        {"allocate the last of a word",
         [](Ids& heap) { ASSERT_TRUE(heap.allocate_id(next, 63, 1)); },
         [](Ids& heap) { return heap.allocate_id(doomed, 1, 1).value() == 68; }},
        {"allocate a long run", [](Ids&) {},
         [](Ids& heap) { return heap.allocate_id(doomed, 9000, 8).value() == 8; }},
        {"allocate a fixed id", [](Ids&) {},
         [](Ids& heap) { return heap.allocate_fixed_id(doomed, 5000).has_value(); }},
        {"allocate the last fixed id",
         [](Ids& heap) { ASSERT_TRUE(heap.allocate_id(next, IdsPlay::count - 1, 1)); },
         [](Ids& heap) { return heap.allocate_fixed_id(doomed, IdsPlay::count + 4).has_value(); }},
        {"free a long run",
         [](Ids& heap) { ASSERT_TRUE(heap.allocate_id(next, IdsPlay::count, 1)); },
         [](Ids& heap) { return heap.free_id(doomed, 105, 5000).has_value(); }},
        {"free a run with a fixed id",
         [](Ids& heap) {
             ASSERT_TRUE(heap.allocate_fixed_id(next, 6));
             ASSERT_TRUE(heap.allocate_id(next, 1, 1));
         },
         [](Ids& heap) { return !heap.free_id(doomed, 5, 2); }},
        {"add ids", [](Ids&) {},
         [](Ids& heap) { return heap.add_ids(doomed, IdsPlay::count / 2).has_value(); }},
    };
    return all;
}

class PagesStoreByStore : public testing::TestWithParam<std::size_t> {
protected:
    test::Deaths<PagesPlay> deaths{page_operations()[GetParam()]};
};

TEST_P(PagesStoreByStore, IsDoneOrNotBegun) {
    deaths.leave_it_done_or_not_begun();
}

TEST_P(PagesStoreByStore, MayDieInTheRepairToo) {
    deaths.may_be_in_the_repair_too();
}

INSTANTIATE_TEST_SUITE_P(Of, PagesStoreByStore,
                         testing::Range(std::size_t{0}, page_operations().size()),
                         [](const auto& tested) {
                             return test::name_of_play(page_operations(), tested.param);
                         });

/// Pages of somebody and a cell. What the cell says, and whose pages are, belongs to the account:
/// all of it changes, or nothing.
struct CellPlay : PagesPlay {
    static constexpr bool all_is_logged = false;
    static constexpr bool may_be_finished_by_the_next = true;
    static constexpr HeapOwner ann = 3;
    static constexpr HeapOffset run = 4 * page;
    static constexpr std::uint64_t count = 30;
    static inline std::span<const std::byte> memory;

    static PagePlan plan() {
        return PagePlan::of(test::dying_memory_bytes, page, page, true).value();
    }
    static HeapOptions options() {
        HeapOptions options = PagesPlay::options();
        options.owned = true;
        return options;
    }
    static std::unique_ptr<Pages> opened(std::span<std::byte> view) {
        memory = view;
        return std::make_unique<Pages>(view, plan(), std::chrono::nanoseconds::zero());
    }
    [[nodiscard]] static std::uint64_t word_at(HeapOffset at) {
        std::uint64_t value = 0;
        std::memcpy(&value, memory.data() + at, sizeof value);
        return value;
    }
    [[nodiscard]] static std::uint64_t root() { return word_at(offsetof(HeapHeader, root)); }
    [[nodiscard]] static std::string owners() {
        const HeapOffset table = plan().heap.engine_offset() + plan().shape.bytes();
        std::string text;
        for (std::uint64_t n = run / page; n < run / page + count; ++n) {
            text += " " + std::to_string(word_at(table + 8 * n));
        }
        return text;
    }
    static std::string account(Pages& heap, HeapHolder holder) {
        const std::string base = PagesPlay::account(heap, holder);  // Repairs.
        return base + " root " + std::to_string(root()) + (root() != 0 ? owners() : "");
    }
    static std::string contents(Pages&) { return owners(); }
};

const std::vector<test::Operation<Pages>>& cell_operations() {
    static const auto take_run = [](Pages& heap) {
        ASSERT_TRUE(
            heap.allocate_pages_at({next, CellPlay::ann}, CellPlay::run, CellPlay::count, page));
    };
    static const std::vector<test::Operation<Pages>> all{
        {"allocate into",
         [](Pages& heap) {
             ASSERT_TRUE(heap.allocate_pages({next, CellPlay::ann}, 2, page));
         },
         [](Pages& heap) {
             return heap.allocate_pages_into(doomed, CellPlay::count, page, HeapCell::root()) ==
                    CellPlay::run;
         }},
        {"keep in", take_run,
         [](Pages& heap) {
             return heap.keep_pages_in(doomed, CellPlay::run, CellPlay::count, HeapCell::root())
                 .has_value();
         }},
        {"keep one in", take_run,
         [](Pages& heap) {
             return heap.keep_pages_in(doomed, CellPlay::run, 1, HeapCell::root()).has_value();
         }},
        {"keep what is not there", take_run,
         [](Pages& heap) {
             return !heap.keep_pages_in(doomed, CellPlay::run, CellPlay::count + 1,
                                        HeapCell::root());
         }},
        {"free from",
         [](Pages& heap) {
             take_run(heap);
             ASSERT_TRUE(
                 heap.keep_pages_in(next, CellPlay::run, CellPlay::count, HeapCell::root()));
         },
         [](Pages& heap) {
             return heap.free_pages_from(doomed, CellPlay::count, HeapCell::root()).has_value();
         }},
    };
    return all;
}

class PageCellsStoreByStore : public testing::TestWithParam<std::size_t> {
protected:
    test::Deaths<CellPlay> deaths{cell_operations()[GetParam()]};
};

TEST_P(PageCellsStoreByStore, IsDoneOrNotBegun) {
    deaths.leave_it_done_or_not_begun();
}

TEST_P(PageCellsStoreByStore, MayDieInTheRepairToo) {
    deaths.may_be_in_the_repair_too();
}

INSTANTIATE_TEST_SUITE_P(Of, PageCellsStoreByStore,
                         testing::Range(std::size_t{0}, cell_operations().size()),
                         [](const auto& tested) {
                             return test::name_of_play(cell_operations(), tested.param);
                         });

/// A reader takes no lock, and so looks between a death and its repair; the host takes back what is
/// still the dead one's.
TEST(PageCells, NameNothingThatIsTakenBack) {
    std::uint64_t found_full = 0;
    for (std::uint64_t store = 0;; ++store) {
        SCOPED_TRACE("died before store " + std::to_string(store));
        HeapMemory memory(test::dying_memory_bytes);
        Dying::lives();
        ASSERT_TRUE(Pages::format(memory.view(), CellPlay::options()));
        const auto heap = CellPlay::opened(memory.view());
        ASSERT_TRUE(
            heap->allocate_pages_at({next, CellPlay::ann}, CellPlay::run, CellPlay::count, page));
        Dying::dies(store);
        bool died = false;
        try {
            (void)heap->keep_pages_in(doomed, CellPlay::run, CellPlay::count, HeapCell::root());
        } catch (const test::Death&) {
            died = true;
        }
        Dying::lives();
        const std::uint64_t seen = CellPlay::root();
        heap->holder_died(doomed);
        const auto freed = heap->reclaim(next, [](HeapOwner) { return true; });
        const std::uint64_t named = CellPlay::root();
        EXPECT_EQ(freed, named == 0 ? CellPlay::count : 0U);
        EXPECT_TRUE(seen == 0 || seen == named);
        found_full += seen != 0 ? 1 : 0;
        EXPECT_EQ(test::broken(*heap, next), "");
        if (!died) break;
    }
    EXPECT_GT(found_full, 1U) << "also by who died";
}

class IdsStoreByStore : public testing::TestWithParam<std::size_t> {
protected:
    test::Deaths<IdsPlay> deaths{id_operations()[GetParam()]};
};

TEST_P(IdsStoreByStore, IsDoneOrNotBegun) {
    deaths.leave_it_done_or_not_begun();
}

TEST_P(IdsStoreByStore, MayDieInTheRepairToo) {
    deaths.may_be_in_the_repair_too();
}

INSTANTIATE_TEST_SUITE_P(Of, IdsStoreByStore,
                         testing::Range(std::size_t{0}, id_operations().size()),
                         [](const auto& tested) {
                             return test::name_of_play(id_operations(), tested.param);
                         });

TEST(BitmapJournal, HoldsTheChangeOfAllWordsOfATree) {
    HeapMemory memory(test::dying_memory_bytes);
    Dying::lives();
    HeapOptions options;
    options.id_count = 300'000;
    ASSERT_TRUE(Ids::format(memory.view(), options));
    const auto plan = IdPlan::of(memory.view().size(), 0, options.id_count, false).value();
    EXPECT_GT(test::used_entries(memory.view()), plan.shape.words()) << "all ids were added";
    Ids heap(memory.view(), plan, std::chrono::seconds(1));
    EXPECT_TRUE(heap.allocate_id(next, options.id_count, 1));
    EXPECT_TRUE(heap.free_id(next, 0, options.id_count));
    EXPECT_TRUE(heap.allocate_id(next, options.id_count - 1, 1));
    EXPECT_TRUE(heap.allocate_fixed_id(next, options.id_count - 1)) << "both trees, to the top";
    EXPECT_LE(test::used_entries(memory.view()), plan.heap.journal_limit);
}

}  // namespace
}  // namespace shmpool
