// SPDX-License-Identifier: Apache-2.0
/// What a heap of pages must do. Ids in brackets are of the list of features. The memory of the
/// larger ones is mapped and never written.
#include "shmpool/heap/page_heap.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/shmpool/heap/own_heap.hpp"
#include "tests/shmpool/heap/random_steps.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::HeapMemory;

constexpr HeapHolder me = 1;
constexpr std::uint64_t page = 4096;
constexpr std::uint64_t mega = 1 << 20;
constexpr std::uint64_t giga = 1 << 30;

/// A heap whose only region is `region`.
class PagesOf {
public:
    PagesOf(std::uint64_t memory_bytes, const HeapExtent& region, std::uint64_t alignment = mega,
            std::uint64_t bytes_per_page = page)
        : memory(memory_bytes, alignment) {
        HeapOptions options;
        options.map_alignment = alignment;
        options.first_region = region;
        options.bytes_per_page = bytes_per_page;
        EXPECT_TRUE(format_heap(memory.view(), HeapKind::bitmap_pages, options));
        heap = *open_page_heap(memory.view());
    }
    ~PagesOf() { EXPECT_EQ(broken(*heap, me), ""); }
    PagesOf(const PagesOf&) = delete;
    PagesOf& operator=(const PagesOf&) = delete;

    HeapOffset allocate(std::uint64_t count, std::uint64_t alignment = page) {
        return heap->allocate_pages(me, count, alignment).value();
    }
    void free(HeapOffset offset, std::uint64_t count) {
        EXPECT_TRUE(heap->free_pages(me, offset, count)) << offset << " " << count;
    }
    /// Total, used, available.
    void expect_pages(std::uint64_t total, std::uint64_t used, std::uint64_t available) {
        const PageStatistics now = heap->statistics(me).value();
        EXPECT_EQ(now.total_pages, total);
        EXPECT_EQ(now.used_pages, used);
        EXPECT_EQ(now.available_pages, available);
    }
    template <typename Outcome>
    void expect_error(Errc code, const Outcome& outcome) {
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error(), code) << name_of(outcome.error());
    }
    void expect_free_fails(Errc code, HeapOffset offset, std::uint64_t count) {
        const PageStatistics before = heap->statistics(me).value();
        expect_error(code, heap->free_pages(me, offset, count));
        expect_pages(before.total_pages, before.used_pages, before.available_pages);
    }

    HeapMemory memory;
    std::unique_ptr<PageHeap> heap;
};

TEST(PageHeap, HandsOutItsOnlyPageAgainAndAgain) {  // T-AR-1
    PagesOf one(mega, {16 * page, page});
    for (int round = 0; round < 2; ++round) {
        one.expect_pages(1, 0, 1);
        EXPECT_EQ(one.allocate(1), 16 * page);
        one.expect_pages(1, 1, 0);
        one.expect_error(Errc::no_memory, one.heap->allocate_pages(me, 1, page));
        one.free(16 * page, 1);
    }
    one.expect_pages(1, 0, 1);
}

TEST(PageHeap, BeginsWithTheLowestRun) {  // T-AR-2
    const std::uint64_t begin = giga + page;
    PagesOf large(3 * giga + page, {begin, 2 * giga});
    const std::uint64_t total = 2 * giga / page;
    for (const std::uint64_t count : {1U, 10U, 100U, 1000U}) {
        EXPECT_EQ(large.allocate(count), begin);
        large.expect_pages(total, count, total - count);
        large.free(begin, count);
        large.expect_pages(total, 0, total);
    }
}

TEST(PageHeap, AlignsUpToAGiga) {  // T-AR-3, T-AR-4
    const std::uint64_t begin = giga + page;
    PagesOf large(4 * giga, {begin, 2 * giga}, giga);
    struct Request {
        std::uint64_t count;
        std::uint64_t alignment;
        HeapOffset expected;
    };
    const Request requests[] = {
        {1, page, begin}, {10, 2 * mega, giga + 2 * mega}, {100, giga, 2 * giga}};
    for (const Request& one : requests) {
        EXPECT_EQ(large.allocate(one.count, one.alignment), one.expected);
        large.free(one.expected, one.count);
    }
    for (const Request& one : requests) {
        EXPECT_EQ(large.allocate(one.count, one.alignment), one.expected);
    }
    const std::uint64_t total = 2 * giga / page;
    large.expect_pages(total, 111, total - 111);
    large.free(begin, 1);
    large.expect_pages(total, 110, total - 110);
    large.free(2 * giga, 100);
    large.expect_pages(total, 10, total - 10);
    large.free(giga + 2 * mega, 10);
    large.expect_pages(total, 0, total);
}

TEST(PageHeap, GivesThePagesThatAreAskedForOrNone) {  // T-AR-5
    PagesOf some(4 * mega, {mega, 2 * mega});
    const auto at = [&](HeapOffset base, std::uint64_t count, std::uint64_t alignment) {
        return some.heap->allocate_pages_at(me, base, count, alignment);
    };
    EXPECT_EQ(at(mega, 1, page).value(), mega);
    EXPECT_EQ(at(mega + 64 * page, 10, 64 * page).value(), mega + 64 * page);
    EXPECT_EQ(at(2 * mega, 100, mega).value(), 2 * mega);
    some.expect_error(Errc::no_memory, at(mega, 1, page));
    some.expect_error(Errc::no_memory, at(mega + 60 * page, 5, page));
    some.expect_error(Errc::no_memory, at(mega + 73 * page, 2, page));
    some.expect_error(Errc::no_memory, at(0, 1, page));
    some.expect_error(Errc::no_memory, at(3 * mega - page, 2, page));
    some.expect_error(Errc::no_memory, at(~std::uint64_t{0} - page + 1, 1, page));
    some.expect_error(Errc::no_memory, at(mega + page, ~std::uint64_t{0}, page));
    some.expect_error(Errc::invalid_argument, at(mega + page, 1, 2 * page));
    some.expect_error(Errc::invalid_argument, at(mega + 8, 1, page));
    some.expect_pages(512, 111, 401);
    EXPECT_EQ(at(mega + 60 * page, 4, page).value(), mega + 60 * page) << "nothing was taken";
}

TEST(PageHeap, TakesMemoryThatLiesElsewhere) {  // T-AR-6
    PagesOf parts(mega, {16 * page, page});
    ASSERT_TRUE(parts.heap->add_memory(me, {17 * page, page}));
    parts.expect_pages(2, 0, 2);
    EXPECT_EQ(parts.allocate(2), 16 * page) << "nothing is between them";
    ASSERT_TRUE(parts.heap->add_memory(me, {32 * page - 8, 2 * page + 16}));
    parts.expect_pages(4, 2, 2);
    parts.expect_error(Errc::no_memory, parts.heap->allocate_pages(me, 3, page));
    parts.free(17 * page, 1);
    parts.expect_error(Errc::no_memory, parts.heap->allocate_pages(me, 3, page));
    EXPECT_EQ(parts.allocate(2), 32 * page) << "not across the hole";
    EXPECT_EQ(parts.allocate(1), 17 * page);
    parts.expect_free_fails(Errc::not_allocated, 17 * page, 16);
    parts.free(16 * page, 2);
    parts.expect_pages(4, 2, 2);
}

TEST(PageHeap, RefusesMemoryThatIsNoneOrItsOwn) {  // T-AR-6, D-AR-13
    PagesOf parts(mega, {32 * page, 4 * page});
    EXPECT_EQ(parts.allocate(1), 32 * page);
    const auto add = [&](HeapOffset offset, std::uint64_t bytes) {
        return parts.heap->add_memory(me, {offset, bytes});
    };
    parts.expect_error(Errc::memory_overlap, add(32 * page, page));
    parts.expect_error(Errc::memory_overlap, add(30 * page, 10 * page));
    parts.expect_error(Errc::memory_overlap, add(35 * page, 2 * page));
    parts.expect_error(Errc::invalid_argument, add(0, 40 * page));
    parts.expect_error(Errc::invalid_argument, add(64 * page + 1, 4 * page));
    parts.expect_error(Errc::invalid_argument, add(mega - page, 2 * page));
    parts.expect_error(Errc::invalid_argument, add(~std::uint64_t{7}, page));
    parts.expect_error(Errc::invalid_argument, add(64 * page, ~std::uint64_t{0}));
    parts.expect_error(Errc::region_too_small, add(64 * page, page - 8));
    parts.expect_error(Errc::region_too_small, add(64 * page + 8, 2 * page - 16));
    parts.expect_pages(4, 1, 3);
    for (std::uint64_t i = 1; i < heap_regions_max; ++i) {
        ASSERT_TRUE(add((64 + 2 * i) * page, page));
    }
    parts.expect_error(Errc::no_memory, add(128 * page, page));
    parts.expect_pages(3 + heap_regions_max, 1, 2 + heap_regions_max);
}

TEST(PageHeap, RefusesNonsense) {  // T-AR-7
    PagesOf some(2 * mega, {mega, mega}, mega);
    EXPECT_EQ(some.allocate(1), mega);
    for (const std::uint64_t alignment : {std::uint64_t{0}, std::uint64_t{1}, page / 2, 3 * page,
                                          page + 1, 2 * mega, std::uint64_t{1} << 63}) {
        some.expect_error(Errc::invalid_argument, some.heap->allocate_pages(me, 1, alignment));
        some.expect_error(Errc::invalid_argument, some.heap->allocate_pages(me, 1000, alignment));
        some.expect_error(Errc::invalid_argument,
                          some.heap->allocate_pages_at(me, 0, 1, alignment));
    }
    some.expect_error(Errc::invalid_argument, some.heap->allocate_pages(me, 0, page));
    some.expect_error(Errc::invalid_argument, some.heap->allocate_pages_at(me, mega, 0, page));
    some.expect_error(Errc::no_memory, some.heap->allocate_pages(me, 256, page));
    some.expect_error(Errc::no_memory, some.heap->allocate_pages(me, ~std::uint64_t{0}, page));
    some.expect_error(Errc::no_memory, some.heap->allocate_pages(me, 1, mega));
    some.expect_pages(256, 1, 255);
}

TEST(PageHeap, AlignsOnePageToo) {  // T-AR-8, D-AR-7
    PagesOf some(2 * mega, {16 * page + mega, 100 * page});
    EXPECT_EQ(some.allocate(1, 32 * page), mega + 32 * page);
    EXPECT_EQ(some.allocate(1, 64 * page), mega + 64 * page);
    EXPECT_EQ(some.allocate(1, 32 * page), mega + 96 * page);
    some.expect_error(Errc::no_memory, some.heap->allocate_pages(me, 1, 32 * page));
    EXPECT_EQ(some.allocate(1), mega + 16 * page);
}

TEST(PageHeap, FindsEveryFreeThatIsNotRight) {  // T-AR-9, D-AR-8
    PagesOf some(4 * mega, {mega, mega});
    EXPECT_EQ(some.allocate(200), mega);
    some.expect_free_fails(Errc::invalid_argument, mega, 0);
    some.expect_free_fails(Errc::invalid_argument, mega + 8, 1);
    for (const HeapOffset foreign :
         {HeapOffset{0}, mega - page, 2 * mega, 3 * mega, 4 * mega, ~(page - 1)}) {
        some.expect_free_fails(Errc::not_allocated, foreign, 1);
    }
    some.expect_free_fails(Errc::not_allocated, mega - page, 2);
    some.expect_free_fails(Errc::not_allocated, mega, 201);
    some.expect_free_fails(Errc::not_allocated, mega, ~std::uint64_t{0});
    some.free(mega + 130 * page, 1);
    some.expect_free_fails(Errc::not_allocated, mega + 130 * page, 1);
    some.expect_free_fails(Errc::not_allocated, mega, 200);
    some.expect_free_fails(Errc::not_allocated, mega + 100 * page, 31);
    EXPECT_EQ(some.allocate(2), mega + 200 * page) << "only one is free there";
    some.free(mega, 130);
    some.free(mega + 131 * page, 71);
    some.expect_pages(256, 0, 256);
}

TEST(PageHeap, HasAMillionPagesOfWhichTheLastIsFoundLikeTheFirst) {  // T-AR-10
    const std::uint64_t count = mega;
    const HeapOffset begin = 64 * mega;
    PagesOf large(begin + count * page, {begin, count * page});
    EXPECT_EQ(large.allocate(count), begin) << "one change of all words";
    large.expect_pages(count, count, 0);
    for (const std::uint64_t number : {count - 1, count / 2 + 77, std::uint64_t{4095},
                                       std::uint64_t{4096}, std::uint64_t{63}, std::uint64_t{0}}) {
        large.free(begin + number * page, 1);
        EXPECT_EQ(large.allocate(1), begin + number * page);
    }
    large.free(begin + (count - 100) * page, 100);
    EXPECT_EQ(large.allocate(64), begin + (count - 100) * page);
    large.expect_error(Errc::no_memory, large.heap->allocate_pages(me, 37, page));
    EXPECT_EQ(large.allocate(36), begin + (count - 36) * page);
    large.free(begin, count);
    large.expect_pages(count, 0, count);
    EXPECT_EQ(large.allocate(5000, mega), begin);
}

TEST(PageHeap, HasLargerPages) {
    PagesOf huge(64 * mega, {3 * mega, 10 * mega}, 16 * mega, 2 * mega);
    EXPECT_EQ(huge.heap->bytes_per_page(), 2 * mega);
    huge.expect_pages(4, 0, 4);
    EXPECT_EQ(huge.allocate(1, 2 * mega), 4 * mega);
    EXPECT_EQ(huge.allocate(1, 8 * mega), 8 * mega);
    huge.expect_error(Errc::invalid_argument, huge.heap->allocate_pages(me, 1, mega));
    huge.expect_free_fails(Errc::invalid_argument, 5 * mega, 1);
}

TEST(PageHeap, RefusesPagesThatAreNone) {
    HeapMemory memory(mega);
    for (const std::uint64_t bytes : {0U, 48U, 2048U, 4097U, 8192U}) {
        HeapOptions options;
        options.bytes_per_page = bytes;
        const auto formatted = format_heap(memory.view(), HeapKind::bitmap_pages, options);
        ASSERT_FALSE(formatted);
        EXPECT_EQ(formatted.error().code, Errc::invalid_argument);
        EXPECT_THAT(formatted.error().message, testing::HasSubstr(std::to_string(bytes)));
    }
    EXPECT_EQ(format_heap(memory.view().first(page), HeapKind::bitmap_pages).error().code,
              Errc::region_too_small);
}

TEST(PageHeap, DoesAsTheModelThroughRandomSteps) {
    test::RandomSteps random(6000);
    const std::uint64_t count = 9000;
    PagesOf some(10'000 * page, {500 * page, count * page});
    std::vector<bool> free_pages(10'000, false);
    for (std::uint64_t i = 500; i < 500 + count; ++i) free_pages[i] = true;
    const auto is_all = [&](std::uint64_t first, std::uint64_t length, bool free) {
        for (std::uint64_t i = first; i < first + length; ++i) {
            if (i < 500 || i >= 500 + count || free_pages[i] != free) return false;
        }
        return true;
    };
    const auto mark = [&](std::uint64_t first, std::uint64_t length, bool free) {
        for (std::uint64_t i = first; i < first + length; ++i) free_pages[i] = free;
    };
    const auto lowest = [&](std::uint64_t length, std::uint64_t alignment) {
        for (std::uint64_t i = 0; i < 10'000; i += alignment) {
            if (is_all(i, length, true)) return i;
        }
        return std::uint64_t{0};
    };
    while (random.go_on()) {
        const std::uint64_t length = 1 + random() % (random() % 8 == 0 ? 700 : 20);
        const std::uint64_t first = random() % 10'000;
        switch (random() % 4) {
            case 0:
            case 1: {
                const std::uint64_t alignment = std::uint64_t{1} << (random() % 8);
                const std::uint64_t expected = lowest(length, alignment);
                random.note("heap->allocate_pages", length, alignment * page);
                const auto got = some.heap->allocate_pages(me, length, alignment * page);
                ASSERT_EQ(got.value_or(0), expected * page);
                if (got) mark(expected, length, false);
                break;
            }
            case 2: {
                random.note("heap->allocate_pages_at", first * page, length, page);
                const auto got = some.heap->allocate_pages_at(me, first * page, length, page);
                ASSERT_EQ(got.has_value(), is_all(first, length, true));
                if (got) mark(first, length, false);
                break;
            }
            default: {
                random.note("heap->free_pages", first * page, length);
                const auto freed = some.heap->free_pages(me, first * page, length);
                ASSERT_EQ(freed.has_value(), is_all(first, length, false));
                if (freed) mark(first, length, true);
            }
        }
        if (random.is_every(500)) {
            ASSERT_EQ(broken(*some.heap, me), "");
        }
    }
    const auto available = static_cast<std::uint64_t>(std::ranges::count(free_pages, true));
    some.expect_pages(count, count - available, available);
}

/// The pool, the sizes and the steps of the byte engines: 128 MiB, up to twice 64 KiB; what is 1 to
/// 128 bytes there are pages here, for nothing smaller is aligned. Who has a run writes his name
/// into all of it.
TEST(PageHeap, GivesRunsThatAreAlignedAndLieApart) {  // T-AR-20
    constexpr std::uint64_t alignment_max = 128 * page;
    PagesOf pool(128 * mega, {}, alignment_max);
    const auto words_of = [&](HeapOffset run, std::uint64_t pages) {
        auto* const begin = reinterpret_cast<std::uint64_t*>(pool.memory.view().data() + run);
        return std::span(begin, pages * page / 8);
    };
    std::minstd_rand random(20);
    std::map<HeapOffset, std::uint64_t> live;  // How many pages.
    const auto free_one = [&](auto one) {
        const auto& [run, pages] = *one;
        const auto is_its = [run = run](std::uint64_t word) { return word == run; };
        ASSERT_TRUE(std::ranges::all_of(words_of(run, pages), is_its)) << "somebody else's too";
        ASSERT_TRUE(pool.heap->free_pages(me, run, pages));
        live.erase(one);
    };
    std::uint64_t used = 0;
    for (int step = 0; step < 8'000 && !testing::Test::HasFatalFailure(); ++step) {
        if (live.size() > 500 || (!live.empty() && random() % 3 == 0)) {
            const auto from = live.lower_bound(random() % pool.memory.view().size());
            free_one(from == live.end() ? live.begin() : from);
            continue;
        }
        const std::uint64_t pages = 1 + random() % (2 * 65'536 / page);
        const std::uint64_t alignment = page << (random() % 8);
        const HeapOffset run = pool.allocate(pages, alignment);
        const auto words = words_of(run, pages);
        ASSERT_EQ(reinterpret_cast<std::uintptr_t>(words.data()) % alignment, 0U);
        ASSERT_LE(run + pages * page, pool.memory.view().size());
        const auto next = live.lower_bound(run);
        ASSERT_TRUE(next == live.end() || run + pages * page <= next->first);
        if (next != live.begin()) {
            const auto before = std::prev(next);
            ASSERT_LE(before->first + before->second * page, run);
        }
        std::ranges::fill(words, run);
        live[run] = pages;
        used = std::max(used, pool.heap->statistics(me)->used_pages);
    }
    EXPECT_GT(used, 5'000U);
    while (!live.empty() && !testing::Test::HasFatalFailure()) free_one(live.begin());
    EXPECT_EQ(pool.heap->statistics(me)->used_pages, 0U);
}

TEST(PageHeap, IsOneHeapAtTwoAddresses) {
    PagesOf some(2 * mega, {mega, mega});
    const auto other = *open_page_heap(some.memory.map());
    const HeapOffset first = some.allocate(3);
    EXPECT_EQ(other->allocate_pages(me, 1, page).value(), first + 3 * page);
    EXPECT_TRUE(other->free_pages(me, first, 4));
    some.expect_free_fails(Errc::not_allocated, first, 1);
    some.expect_pages(256, 0, 256);
}

}  // namespace
}  // namespace shmpool
