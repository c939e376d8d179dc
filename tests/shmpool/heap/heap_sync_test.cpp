// SPDX-License-Identifier: Apache-2.0
/// Goal: what an operation has returned is on the medium by then, and what is on it between the two
/// syncs of an operation is a whole heap. Method: the medium is a second memory, to which nothing
/// comes but by a sync; it is opened and audited after every one. (That the kernel may write pages
/// back of its own accord, between two syncs, is not played: heap_sync.hpp says what that means.)
#include "shmpool/heap/heap_sync.hpp"

#include <errno.h>

#include "shmpool/heap/guarded_page_chain.hpp"
#include "shmpool/heap/heap_audit.hpp"
#include "shmpool/heap/stack_opening.hpp"
#include "tests/shmpool/heap/heap_ledger.hpp"
#include "tests/shmpool/heap/own_heap.hpp"

namespace shmpool {
namespace {

using test::HeapMemory;

constexpr std::size_t bytes = 256 << 10;
constexpr HeapHolder me = 1;

/// What a sync of the memory changes.
class Medium {
public:
    explicit Medium(std::span<const std::byte> memory) : memory_(memory) {
        std::ranges::copy(memory, medium_.view().begin());
        now = this;
        syncs = 0;
        error_number = 0;
        syncs_to_error = never;
    }
    ~Medium() { now = nullptr; }
    Medium(const Medium&) = delete;
    Medium& operator=(const Medium&) = delete;

    static int sync(std::span<const std::byte> part) noexcept {
        if (error_number == 0 && syncs_to_error-- == 0) error_number = EIO;
        if (error_number != 0) return error_number;
        const auto at = static_cast<std::size_t>(part.data() - now->memory_.data());
        EXPECT_EQ(at % page_bytes, 0U);
        std::ranges::copy(part, now->medium_.view().subspan(at).begin());
        ++syncs;
        now->look();
        return 0;
    }

    /// Everything but the lock, which is nobody's business.
    [[nodiscard]] bool is_like_memory() { return is_like(memory_); }
    [[nodiscard]] bool is_like(std::span<const std::byte> other) {
        constexpr std::size_t behind_lock = 72;
        return std::ranges::equal(other.subspan(behind_lock), medium_.view().subspan(behind_lock));
    }
    /// What somebody finds who begins with this medium: he is alone.
    void look() {
        const HeapMemory found(bytes);
        open_on(found);
    }
    /// The same, in memory of the caller's.
    void open_on(const HeapMemory& found) {
        std::ranges::copy(medium_.view(), found.view().begin());
        HeapLock lock(reinterpret_cast<HeapHeader*>(found.view().data())->lock);
        (void)lock.orphan(lock.holder());
        const auto findings = audit_heap(found.view(), 2);
        ASSERT_TRUE(findings) << findings.error().message;
        ASSERT_TRUE(findings->empty()) << findings->front().text;
    }

    static constexpr int never = 1 << 30;
    static inline Medium* now = nullptr;
    static inline int syncs = 0;
    static inline int error_number = 0;
    static inline int syncs_to_error = never;  ///< So many more, and then there is one.

private:
    std::span<const std::byte> memory_;
    HeapMemory medium_{bytes};
};

class HeapSyncTest : public testing::TestWithParam<HeapKind> {
protected:
    void SetUp() override {
        HeapOptions options;
        options.block_bytes = 128;
        ASSERT_TRUE(format_heap(memory.view(), GetParam(), options));
    }
    /// A step of some kind; whatever it did, it is on the medium.
    void step(StackHeap& heap, std::mt19937& random) {
        const bool is_linear = GetParam() == HeapKind::linear;
        const auto choice = blocks.size() < 3 ? 0 : random() % 3;
        if (!blocks.empty() && !is_linear)
            std::swap(blocks[random() % blocks.size()], blocks.back());
        if (choice == 0) {
            if (const auto block = heap.alloc(me, 1 + random() % 6'000)) blocks.push_back(*block);
        } else if (choice == 1) {
            EXPECT_TRUE(heap.dealloc(me, blocks.back()));
            blocks.pop_back();
        } else if (const auto moved = heap.realloc(me, blocks.back(), 1 + random() % 6'000)) {
            blocks.back() = *moved;
        }
    }
    void step(PageChain& heap, std::mt19937& random) {
        const auto choice = pages.size() < 3 ? 0 : random() % 4;
        if (!pages.empty()) std::swap(pages[random() % pages.size()], pages.back());
        if (choice == 0) {
            if (const auto page = heap.allocate(me)) pages.push_back(*page);
        } else if (choice == 1) {
            (void)heap.pin(me, pages.back());
        } else if (choice == 2) {
            (void)heap.unpin(me, pages.back());
        } else if (heap.free(me, pages.back())) {
            pages.pop_back();
        }
    }
    /// What users write is theirs to sync.
    void write(StackHeap& heap, std::uint32_t stamp) {
        if (blocks.empty()) return;
        write(heap.stack().value().subspan(blocks.back().offset, blocks.back().len), stamp);
    }
    void write(PageChain& heap, std::uint32_t stamp) {
        if (!pages.empty()) write(test::content_of(heap, memory.view(), pages.back()), stamp);
    }
    void write(std::span<std::byte> part, std::uint32_t stamp) {
        test::fill(part, stamp);
        const auto begin = static_cast<std::size_t>(part.data() - memory.view().data());
        const std::size_t first = begin / page_bytes * page_bytes;
        (void)Medium::sync(memory.view().subspan(first, begin + part.size() - first));
    }
    template <typename Heap>
    void play(Heap& heap, Medium& medium) {
        std::mt19937 random(4);
        for (int i = 0; i < 100 && !HasFailure(); ++i) {
            step(heap, random);
            ASSERT_TRUE(medium.is_like_memory()) << "step " << i;
            write(heap, static_cast<std::uint32_t>(i));
        }
        EXPECT_GT(Medium::syncs, 120) << "two of each";
    }
    template <typename Heap>
    void lose_the_file(Heap& heap) {
        std::mt19937 random(4);
        step(heap, random);
        Medium::error_number = EIO;
        const auto lost = changes.failed();
        EXPECT_FALSE(lost);
        blocks.clear();
        pages.clear();
        step(heap, random);
        EXPECT_TRUE(blocks.empty() && pages.empty()) << "it was an error";
        EXPECT_EQ(changes.error_number(), EIO);
        Medium::error_number = 0;  // What the next sync says proves nothing.
        step(heap, random);
        EXPECT_TRUE(blocks.empty() && pages.empty());
        EXPECT_EQ(heap.statistics(me).error(), Errc::system);
    }
    /// One operation that is decided by one store: whether it did what it was to do.
    static bool take(StackHeap& heap) { return is_done(heap.alloc(me, 3'000)); }
    static bool take(PageChain& heap) { return is_done(heap.allocate(me)); }
    template <typename Value>
    static bool is_done(const Outcome<Value>& outcome) {
        EXPECT_TRUE(outcome || outcome.error() == Errc::system) << explain(outcome.error());
        return outcome.has_value();
    }
    /// What users have written, of the blocks or pages that they have.
    [[nodiscard]] std::string contents_in(std::span<const std::byte> in) {
        std::string text;
        const auto add = [&](std::span<const std::byte> part) {
            const auto begin = static_cast<std::size_t>(part.data() - memory.view().data());
            text.append(reinterpret_cast<const char*>(in.data() + begin), part.size());
        };
        if (GetParam() == HeapKind::page_chain) {
            const auto heap = *open_page_chain(memory.view());
            for (const PageId page : pages) add(test::content_of(*heap, memory.view(), page));
        } else {
            const auto heap = *open_stack_heap(memory.view());
            for (const StackHandle& one : blocks) add(heap->stack()->subspan(one.offset, one.len));
        }
        return text;
    }
    /// The error comes behind so many syncs of the operation. Whether there were so many.
    bool fails_behind(int syncs) {
        SCOPED_TRACE("the error came behind " + std::to_string(syncs) + " syncs");
        Medium medium(memory.view());
        FileChanges own_changes(memory.view(), HeapSync::each_change, Medium::sync);
        const std::vector<std::byte> right(memory.view().begin(), memory.view().end());
        const std::string before = account_of(memory);
        bool done = false;
        Medium::syncs_to_error = syncs;
        with_heap(own_changes, [&](auto& heap) { done = take(heap); });
        Medium::syncs_to_error = Medium::never;
        const HeapMemory found(bytes);
        medium.open_on(found);
        EXPECT_EQ(account_of(found) == before, !done) << before;
        EXPECT_EQ(contents_in(found.view()), contents_in(right));
        if (syncs == 0) {
            EXPECT_TRUE(medium.is_like(right));
        }
        std::ranges::copy(right, memory.view().begin());
        return !done;
    }
    [[nodiscard]] static std::string account_of(const HeapMemory& in) {
        const auto now = glance_at_heap(in.view());
        return std::to_string(now->used) + " of " + std::to_string(now->total);
    }

    /// Opens it with what syncs to the medium, and calls body(heap).
    template <typename Body>
    void with_heap(Body body) {
        with_heap(changes, body);
    }
    template <typename Body>
    void with_heap(FileChanges& to, Body body) {
        const FileStores hook(to);
        if (GetParam() == HeapKind::page_chain) {
            GuardedPageChain<FileStores> heap(
                memory.view(), plan_of_page_chain(memory.view()).value(), heap_patience, hook);
            body(static_cast<PageChain&>(heap));
        } else {
            const auto heap =
                open_stack_heap_with(memory.view(), heap_patience, HeapOrigin(), hook);
            body(**heap);
        }
    }

    HeapMemory memory{bytes};
    FileChanges changes{memory.view(), HeapSync::each_change, Medium::sync};
    std::vector<StackHandle> blocks;
    std::vector<PageId> pages;
};

TEST_P(HeapSyncTest, EveryOperationIsOnTheMediumWhenItReturns) {
    Medium medium(memory.view());
    with_heap([&](auto& heap) { play(heap, medium); });
}

/// Longer than what lies between two runs of pages and is synced with them.
TEST(FileChanges, AreWhatAnOperationMovesToo) {
    HeapMemory memory(bytes);
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::ghost_tree));
    const auto plain = open_stack_heap(memory.view());
    const StackHandle block = (*plain)->alloc(me, 80'000).value();
    test::fill((*plain)->stack()->subspan(block.offset, block.len), 7);
    ASSERT_TRUE((*plain)->alloc(me, 10)) << "it can not grow where it is";
    Medium medium(memory.view());
    FileChanges changes(memory.view(), HeapSync::each_change, Medium::sync);
    const auto heap =
        open_stack_heap_with(memory.view(), heap_patience, HeapOrigin(), FileStores(changes));
    const StackHandle moved = (*heap)->realloc(me, block, 120'000).value();
    EXPECT_NE(moved.offset, block.offset);
    EXPECT_TRUE(medium.is_like_memory());
}

TEST_P(HeapSyncTest, ASyncThatFailsIsAnErrorOfTheCallAndOfAllThatFollow) {
    const Medium medium(memory.view());
    with_heap([&](auto& heap) { lose_the_file(heap); });
}

/// No store into memory can fail, and no heap here says of itself that it is being changed but by
/// its journal; what can fail is that the journal gets to the medium. Then, as when what it decides
/// does not get there, the operation is an error and has not happened.
TEST_P(HeapSyncTest, ASyncThatFailsLeavesTheMediumAsItWasBeforeTheCall) {  // T-BS-38
    {
        const Medium medium(memory.view());
        with_heap([&](auto& heap) {
            std::mt19937 random(38);
            for (std::uint32_t i = 0; i < 20; ++i) {
                step(heap, random);
                write(heap, i);
            }
        });
    }
    int syncs = 0;
    while (fails_behind(syncs) && !HasFailure()) ++syncs;
    EXPECT_GT(syncs, 1) << "the journal, and the decision";
}

INSTANTIATE_TEST_SUITE_P(Kinds, HeapSyncTest,
                         testing::Values(HeapKind::linear, HeapKind::first_fit,
                                         HeapKind::ghost_tree, HeapKind::slab_stack,
                                         HeapKind::checked_slab, HeapKind::page_chain),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

TEST(FileChanges, AreNotSyncedWhereNobodyAsks) {
    HeapMemory memory(bytes);
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::first_fit));
    const Medium medium(memory.view());
    FileChanges changes(memory.view(), HeapSync::when_asked, Medium::sync);
    const auto heap =
        open_stack_heap_with(memory.view(), heap_patience, HeapOrigin(), FileStores(changes));
    EXPECT_TRUE((*heap)->alloc(me, 100));
    EXPECT_EQ(Medium::syncs, 0);
}

TEST(FileChanges, AreSyncedInRunsOfPages) {
    HeapMemory memory(bytes);
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::linear));
    const Medium medium(memory.view());
    FileChanges changes(memory.view(), HeapSync::each_change, Medium::sync);
    for (const std::size_t page : {40U, 1U, 0U, 3U, 41U, 30U, 1U}) {
        changes.wrote(memory.view().subspan(page * page_bytes + 4'092, 8));
    }
    changes.sync();
    EXPECT_EQ(Medium::syncs, 2) << "0 to 4, with a small gap, and 30 to 42";
    changes.sync();
    EXPECT_EQ(Medium::syncs, 2);
    EXPECT_EQ(sync_to_file(memory.view().subspan(100, 10)), 0);
}

}  // namespace
}  // namespace shmpool
