// SPDX-License-Identifier: Apache-2.0
/// Goal: a process that has no memory for its containers is told so by an error; what it was
/// changing is as it was, and nobody finds the heap locked. Method: every allocation of every verb
/// that needs containers fails, one after the other; behind each, the heap is looked through by
/// somebody else.
#include "shmpool/heap/heap_file.hpp"
#include "shmpool/heap/id_heap.hpp"
#include "shmpool/heap/object_heap.hpp"
#include "shmpool/heap/page_heap.hpp"
#include "tests/shmpool/heap/failing_new.hpp"
#include "tests/shmpool/heap/heap_folder.hpp"
#include "tests/shmpool/heap/own_stack.hpp"

namespace shmpool {
namespace {

using test::at_each_allocation;
using test::HeapMemory;
using test::stack_kinds;
using test::WithoutMemory;

constexpr HeapHolder me = 1;
constexpr HeapHolder rival = 2;
constexpr std::size_t bytes = 256 << 10;

template <typename T>
Errc code_of(const Outcome<T>& outcome) {
    return outcome ? Errc::internal_fault : outcome.error();
}
template <typename T>
Errc code_of(const Result<T>& result) {
    return result ? Errc::internal_fault : result.error().code;
}

/// `act`: of who has no memory. `go_on`: of another one, who has.
template <typename Heap, typename Act, typename GoOn>
void expect_told(Heap& others, Act act, GoOn go_on) {
    const WithoutMemory told = at_each_allocation(act, [&](const auto& result) {
        EXPECT_EQ(code_of(result), Errc::out_of_memory);
        go_on();
        EXPECT_EQ(test::broken(others, rival), "");
    });
    EXPECT_GT(told.failures, 0U);
    EXPECT_EQ(told.thrown, 0U);
}

/// A second opening of it is the rival's, who waits for nobody.
template <typename Heap, auto Open>
struct Two {
    explicit Two(HeapKind kind, HeapOptions options = {}) {
        options.block_bytes = 64;
        EXPECT_TRUE(format_heap(memory.view(), kind, options));
        mine = open_it();
        its = open_it();
    }
    [[nodiscard]] std::unique_ptr<Heap> open_it() {
        if constexpr (requires {
                          Open(memory.view(), std::chrono::nanoseconds(0), HeapOrigin());
                      }) {
            return Open(memory.view(), std::chrono::nanoseconds(0), HeapOrigin()).value();
        } else {
            return Open(memory.view(), std::chrono::nanoseconds(0)).value();
        }
    }

    HeapMemory memory{bytes};
    std::unique_ptr<Heap> mine;
    std::unique_ptr<Heap> its;
};
using TwoByteHeaps = Two<ByteHeap, open_byte_heap>;
using TwoStacks = Two<StackHeap, open_stack_heap>;

HeapOptions owned() {
    HeapOptions options;
    options.owned = true;
    return options;
}
bool everybody_is_gone(HeapOwner) {
    return true;
}

TEST(NoMemory, OfWhoAuditsAHeapOfBytesLocksNobodyOut) {
    for (const auto kind : {HeapKind::tlsf, HeapKind::buddy, HeapKind::slab}) {
        SCOPED_TRACE(name_of(kind));
        TwoByteHeaps two(kind);
        std::vector<HeapOffset> blocks;
        for (int i = 0; i < 20; ++i) blocks.push_back(two.mine->allocate(me, 100, 8).value());
        for (std::size_t i = 0; i < 20; i += 2) ASSERT_TRUE(two.mine->free(me, blocks[i]));
        const auto go_on = [&] {
            const auto block = two.its->allocate(rival, 100, 8);
            EXPECT_TRUE(block && two.its->free(rival, *block));
        };
        expect_told(
            *two.its, [&] { return two.mine->audit(me); }, go_on);
    }
}

TEST(NoMemory, OfWhoReclaimsLocksNobodyOut) {
    TwoByteHeaps two(HeapKind::tlsf, owned());
    std::uint64_t live = 0;
    for (; live < 5; ++live) ASSERT_TRUE(two.mine->allocate({me, 7}, 100, 8));
    const auto go_on = [&] { EXPECT_EQ(two.its->statistics(rival)->blocks, live); };
    expect_told(
        *two.its, [&] { return two.mine->reclaim(me, everybody_is_gone); }, go_on);
    EXPECT_EQ(two.its->statistics(rival)->blocks, 0U) << "the last time there was enough";
}

TEST(NoMemory, OfWhoLooksThroughPagesIdsAndObjectsLocksNobodyOut) {
    Two<PageHeap, open_page_heap> pages(HeapKind::bitmap_pages, owned());
    ASSERT_TRUE(pages.mine->allocate_pages({me, 7}, 3, page_bytes));
    const auto go_on_with_pages = [&] { EXPECT_TRUE(pages.its->statistics(rival)); };
    expect_told(
        *pages.its, [&] { return pages.mine->reclaim(me, everybody_is_gone); }, go_on_with_pages);

    HeapOptions options = owned();
    options.id_count = 1000;
    Two<IdHeap, open_id_heap> ids(HeapKind::ids, options);
    ASSERT_TRUE(ids.mine->allocate_id({me, 7}, 3, 1));
    const auto go_on_with_ids = [&] { EXPECT_TRUE(ids.its->statistics(rival)); };
    expect_told(
        *ids.its, [&] { return ids.mine->reclaim(me, everybody_is_gone); }, go_on_with_ids);

    Two<ObjectHeap, open_object_heap> objects(HeapKind::slab_cache);
    std::vector<HeapOffset> live;
    for (int i = 0; i < 200; ++i) live.push_back(objects.mine->allocate(me).value());
    for (int i = 0; i < 200; i += 3) ASSERT_TRUE(objects.mine->free(me, live[std::size_t(i)]));
    const auto go_on_with_objects = [&] {
        const auto one = objects.its->allocate(rival);
        EXPECT_TRUE(one && objects.its->free(rival, *one));
    };
    expect_told(
        *objects.its, [&] { return objects.mine->audit(me); }, go_on_with_objects);
}

TEST(NoMemory, OfWhoTakesASnapshotOfAChainLocksNobodyOut) {
    Two<PageChain, open_page_chain> two(HeapKind::page_chain);
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(two.mine->allocate(HeapUser(me)));
    ASSERT_TRUE(two.mine->free(me, 5));
    const auto go_on = [&] {
        const auto page = two.its->allocate(HeapUser(rival));
        EXPECT_TRUE(page && two.its->free(rival, *page));
    };
    expect_told(
        *two.its, [&] { return two.mine->snapshot(me); }, go_on);
    expect_told(
        *two.its, [&] { return two.mine->audit(me); }, go_on);
}

/// Twenty blocks, of which every other one is free.
std::vector<StackHandle> fill(StackHeap& heap) {
    std::vector<StackHandle> kept;
    std::vector<StackHandle> all;
    for (int i = 0; i < 20; ++i) all.push_back(heap.alloc(me, 100).value());
    for (std::size_t i = 0; i < 20; ++i) {
        if (i % 2 == 1) kept.push_back(all[i]);
        if (i % 2 == 1 || heap.kind() == HeapKind::linear) continue;
        EXPECT_TRUE(heap.dealloc(me, all[i]));
    }
    return kept;
}

TEST(NoMemory, OfWhoChangesAStackLocksNobodyOut) {
    for (const auto kind : stack_kinds) {
        SCOPED_TRACE(name_of(kind));
        TwoStacks two(kind);
        const auto kept = fill(*two.mine);
        auto before = two.its->statistics(rival).value();
        const auto& header = *reinterpret_cast<const HeapHeader*>(two.memory.view().data());
        const auto go_on = [&] {
            EXPECT_EQ(header.journal_count.load(), 0U) << "left to be undone";
            const auto now = two.its->statistics(rival);
            ASSERT_TRUE(now) << "locked";
            EXPECT_EQ(now->used_bytes, before.used_bytes);
            EXPECT_EQ(now->blocks, before.blocks);
            const auto block = two.its->alloc(rival, 100);
            EXPECT_TRUE(block && two.its->dealloc(rival, *block));
        };
        if (kind != HeapKind::first_fit) {
            const std::vector<std::uint64_t> lengths{100, 0, 200, 300};
            std::vector<StackHandle> handles;
            const auto take = [&] {
                return two.mine->alloc_bulk(me, lengths).map([&](std::vector<StackHandle> all) {
                    handles.swap(all);
                });
            };
            expect_told(*two.its, take, go_on);
            ASSERT_EQ(handles.size(), 4U);
            before = two.its->statistics(rival).value();
            expect_told(
                *two.its, [&] { return two.mine->dealloc_bulk(me, handles); }, go_on);
            before = two.its->statistics(rival).value();
        }
        if (kind == HeapKind::linear) continue;  // Keeps nothing that could be looked for.
        expect_told(
            *two.its, [&] { return two.mine->audit(me); }, go_on);
        expect_told(
            *two.its, [&] { return two.mine->recover(me); }, go_on);
        for (const StackHandle& one : kept) EXPECT_TRUE(two.its->dealloc(rival, one));
        EXPECT_EQ(two.its->statistics(rival)->blocks, 0U);
    }
}

/// More than the heap can hold is refused before anything is kept for it.
TEST(NoMemory, IsNotNeededForMoreBlocksThanAHeapCanHold) {
    for (const auto kind : stack_kinds) {
        if (kind == HeapKind::first_fit) continue;
        SCOPED_TRACE(name_of(kind));
        TwoStacks two(kind);
        ASSERT_TRUE(two.mine->alloc(me, 1));
        const std::vector<std::uint64_t> lengths(bytes + 1, 1);
        const test::NoMemoryBehind none(0);
        EXPECT_EQ(code_of(two.mine->alloc_bulk(me, lengths)), Errc::no_memory);
        EXPECT_FALSE(none.was_met());
    }
}

TEST(NoMemory, OfWhoChangesAHeapOnAFileLocksNobodyOut) {
    const test::HeapFolder folder;
    for (const auto kind : {HeapKind::ghost_tree, HeapKind::linear, HeapKind::checked_slab}) {
        SCOPED_TRACE(name_of(kind));
        const std::string path = folder.path() + "/" + std::string(name_of(kind));
        HeapOptions options;
        options.block_bytes = 64;
        auto file = HeapFile::create(path, kind, bytes, options).value();
        StackHeap& heap = *file.stack_heap().value();
        (void)fill(heap);
        auto before = heap.statistics(rival).value();
        const auto go_on = [&] { EXPECT_EQ(heap.statistics(rival)->blocks, before.blocks); };
        const std::vector<std::uint64_t> lengths{100, 0, 200, 300};
        std::vector<StackHandle> handles;
        const auto take = [&] {
            return heap.alloc_bulk(me, lengths).map([&](std::vector<StackHandle> all) {
                handles.swap(all);
            });
        };
        expect_told(heap, take, go_on);
        before = heap.statistics(rival).value();
        expect_told(
            heap, [&] { return heap.dealloc_bulk(me, handles); }, go_on);
        before = heap.statistics(rival).value();
        if (kind == HeapKind::linear) continue;
        expect_told(
            heap, [&] { return file.audit(); }, go_on);
    }
}

/// What has been changed is synced, although nobody could note where it lies.
TEST(NoMemory, OfWhoNotesWhatToSyncMeansAllOfTheFile) {
    static std::uint64_t first = 0;
    static std::uint64_t end = 0;
    static const std::byte* begin = nullptr;
    const HeapMemory memory(bytes);
    begin = memory.view().data();
    FileChanges changes(memory.view(), HeapSync::each_change,
                        [](std::span<const std::byte> part) noexcept {
                            first = static_cast<std::uint64_t>(part.data() - begin);
                            end = first + part.size();
                            return 0;
                        });
    {
        const test::NoMemoryBehind none(0);
        for (const std::uint64_t page : {40U, 3U, 20U}) {
            changes.wrote(memory.view().subspan(page * page_bytes, 8));
        }
        EXPECT_TRUE(none.was_met());
    }
    changes.sync();
    EXPECT_EQ(first, 0U);
    EXPECT_EQ(end, bytes);
    EXPECT_FALSE(changes.failed());
}

}  // namespace
}  // namespace shmpool
