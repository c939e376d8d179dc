// SPDX-License-Identifier: Apache-2.0
/// Threads and processes that use one heap of the stack family at the same time, somebody who
/// recovers beside them, and some that are killed. Ids in brackets are of the list of features.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <set>
#include <thread>

#include "tests/shmpool/heap/own_stack.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::OwnStack;

/// A child has nobody to tell.
template <typename Value>
Value must(const Outcome<Value>& outcome) {
    if (!outcome) std::abort();
    return *outcome;
}

/// Writes its holder's number into all that it has, and looks whether anybody else does.
void hammer(StackHeap& heap, HeapHolder holder, int steps, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<StackHandle> mine;
    const auto bytes = [&](const StackHandle& one) {
        return heap.stack().value().subspan(one.offset, one.len);
    };
    const auto is_mine = [&](std::byte one) { return one == std::byte(holder); };
    for (int step = 0; step < steps; ++step) {
        const std::uint64_t len = 1 + random() % 200;
        if (!mine.empty()) std::swap(mine[random() % mine.size()], mine.back());
        if (mine.size() < 8 || random() % 3 == 0) {
            mine.push_back(must(heap.alloc(holder, len)));
        } else if (random() % 2 == 0) {
            const std::uint64_t kept = std::min(len, mine.back().len);
            mine.back() = must(heap.realloc(holder, mine.back(), len));
            if (!std::ranges::all_of(bytes(mine.back()).first(kept), is_mine)) std::abort();
        } else {
            if (!std::ranges::all_of(bytes(mine.back()), is_mine)) std::abort();
            if (!heap.dealloc(holder, mine.back())) std::abort();
            mine.pop_back();
            continue;
        }
        std::ranges::fill(bytes(mine.back()), std::byte(holder));
    }
    for (const StackHandle& one : mine) {
        if (!heap.dealloc(holder, one)) std::abort();
    }
}

class StackTraffic : public testing::TestWithParam<HeapKind> {
protected:
    /// No runs of slabs, which are not handed out again.
    OwnStack own{GetParam(), 256, 8 << 20};
};

TEST_P(StackTraffic, OfThreadsGivesNothingToTwo) {  // T-BS-65
    std::vector<std::thread> threads;
    for (HeapHolder holder = 2; holder < 10; ++holder) {
        threads.emplace_back([&, holder] { hammer(*own.heap, holder, 2'000, holder); });
    }
    for (std::thread& one : threads) one.join();
    EXPECT_EQ(own.now().used_bytes, 0U);
    EXPECT_EQ(own.heap->recover(OwnStack::me).value(), 0U);  // T-BS-68
}

TEST_P(StackTraffic, OfProcessesGivesNothingToTwo) {  // T-BS-65
    std::vector<pid_t> children;
    for (HeapHolder holder = 2; holder < 10; ++holder) {
        children.push_back(::fork());
        if (children.back() != 0) continue;
        const auto heap = *open_stack_heap(own.memory.map());
        hammer(*heap, holder, 1'000, holder);
        ::_exit(0);
    }
    for (const pid_t child : children) {
        int status = 0;
        ::waitpid(child, &status, 0);
        EXPECT_EQ(status, 0);
    }
    EXPECT_EQ(own.now().used_bytes, 0U);
    EXPECT_EQ(own.heap->recover(OwnStack::me).value(), 0U);
}

TEST_P(StackTraffic, OfFreesTakesEachBlockBackOnce) {  // D-BS-11
    std::vector<StackHandle> blocks;
    for (int i = 0; i < 1'000; ++i) blocks.push_back(own.alloc(100));
    std::atomic<std::size_t> freed{0};
    std::vector<std::thread> threads;
    for (HeapHolder holder = 2; holder < 6; ++holder) {
        threads.emplace_back([&, holder] {
            for (const StackHandle& one : blocks) {
                const auto done = own.heap->dealloc(holder, one);
                if (!done && done.error() != Errc::not_allocated) std::abort();
                freed.fetch_add(done ? 1 : 0, std::memory_order_relaxed);
            }
        });
    }
    for (std::thread& one : threads) one.join();
    EXPECT_EQ(freed.load(std::memory_order_relaxed), blocks.size());
}

TEST_P(StackTraffic, GoesOnBesideWhoRecovers) {  // T-BS-70, D-BS-9
    std::atomic<bool> is_over{false};
    std::thread recovers([&] {
        while (!is_over.load(std::memory_order_relaxed)) {
            if (must(own.heap->recover(30)) != 0) std::abort();
        }
    });
    std::vector<std::thread> threads;
    for (HeapHolder holder = 2; holder < 8; ++holder) {
        threads.emplace_back([&, holder] { hammer(*own.heap, holder, 1'500, holder); });
    }
    for (std::thread& one : threads) one.join();
    is_over.store(true, std::memory_order_relaxed);
    recovers.join();
    EXPECT_EQ(own.now().used_bytes, 0U);
}

/// A child that is killed at some moment leaves no more than the blocks that it had.
TEST_P(StackTraffic, GoesOnWhenSomeAreKilled) {  // T-BS-65
    const StackHandle kept = own.alloc(500);
    own.fill(kept, 0x77);
    std::mt19937 random(90);
    for (HeapHolder holder = 2; holder < 22; ++holder) {
        // Until it has done something, or more.
        const std::uint64_t blocks = own.now().blocks + 1 + random() % 6;
        const pid_t child = ::fork();
        if (child == 0) {
            const auto heap = *open_stack_heap(own.memory.map());
            for (unsigned round = 0;; ++round) hammer(*heap, holder, 200, round);
        }
        while (own.now().blocks < blocks) std::this_thread::yield();
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        own.heap->holder_died(holder);
        ASSERT_EQ(broken(*own.heap, OwnStack::me), "") << holder;
        ASSERT_TRUE(own.holds(kept, 0x77));
        hammer(*own.heap, 40, 100, holder);
    }
}

INSTANTIATE_TEST_SUITE_P(Kinds, StackTraffic,
                         testing::Values(HeapKind::first_fit, HeapKind::ghost_tree,
                                         HeapKind::slab_stack, HeapKind::checked_slab),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

}  // namespace
}  // namespace shmpool
