// SPDX-License-Identifier: Apache-2.0
/// The lock of a heap between threads and processes, and what becomes of it when its holder dies,
/// or whoever was woken for it.
#include "shmpool/heap/heap_lock.hpp"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "tests/protocol/child_process.hpp"

namespace shmpool {
namespace {

using namespace std::chrono_literals;
using testing_protocol::ChildProcess;
using testing_protocol::SharedWithChildren;

struct Shared {
    Atomic<std::uint32_t> word{0};
    Atomic<std::uint32_t> inside{0};
    std::uint64_t plain = 0;  // What the lock protects.
    Atomic<std::uint32_t> ready{0};
};

TEST(HeapLock, LetsOneInAtATime) {
    Shared shared;
    constexpr int rounds = 20'000;
    const auto work = [&](HeapHolder me) {
        HeapLock lock(shared.word);
        for (int i = 0; i < rounds; ++i) {
            ASSERT_TRUE(lock.lock(me, 60s));
            ASSERT_EQ(lock.holder(), me);
            ++shared.plain;
            lock.unlock();
        }
    };
    std::vector<std::thread> threads;
    for (HeapHolder me = 1; me <= 4; ++me) threads.emplace_back(work, me);
    for (auto& one : threads) one.join();
    EXPECT_EQ(shared.plain, 4U * rounds);
    EXPECT_EQ(shared.word, 0U);
}

TEST(HeapLock, IsRefusedWhenTheTimeIsUpAndToWhoHasIt) {
    Shared shared;
    HeapLock lock(shared.word);
    ASSERT_TRUE(lock.lock(1, 0s));
    EXPECT_EQ(lock.lock(2, 1ms).error(), Errc::would_block);
    EXPECT_EQ(lock.lock(2, 0s).error(), Errc::would_block);
    EXPECT_EQ(lock.lock(1, std::chrono::nanoseconds::max()).error(), Errc::would_block);
    lock.unlock();
    EXPECT_TRUE(lock.lock(2, 0s));
}

TEST(HeapLock, IsNobodyElsesWhenAnotherHolderDies) {
    Shared shared;
    HeapLock lock(shared.word);
    ASSERT_TRUE(lock.lock(1, 0s));
    EXPECT_FALSE(lock.orphan(2));
    EXPECT_EQ(lock.lock(2, 0s).error(), Errc::would_block);
    EXPECT_TRUE(lock.orphan(1));
    EXPECT_TRUE(lock.lock(2, 0s));
    EXPECT_FALSE(lock.orphan(1)) << "it is another's by now";
    EXPECT_EQ(lock.holder(), 2U);
}

class DeadHolder : public testing::Test {
protected:
    /// A process that dies with the lock.
    void let_die_inside() {
        ChildProcess holder([&] {
            (void)HeapLock(shared->word).lock(7, std::chrono::nanoseconds::max());
            shared->ready = 1;
            for (;;) ::pause();
            return 0;
        });
        while (shared->ready == 0) std::this_thread::yield();
        holder.kill();
    }
    SharedWithChildren<Shared> shared;
};

TEST_F(DeadHolder, LetsThoseWhoSleepInAsSoonAsItsDeathIsKnown) {
    let_die_inside();
    std::vector<std::thread> waiting;
    for (HeapHolder me = 1; me <= 3; ++me) {
        waiting.emplace_back([&, me] {
            HeapLock lock(shared->word);
            EXPECT_TRUE(lock.lock(me, 60s));
            ++shared->plain;
            lock.unlock();
        });
    }
    while ((shared->word >> 31) == 0) std::this_thread::yield();
    EXPECT_TRUE(HeapLock(shared->word).orphan(7));
    for (auto& one : waiting) one.join();
    EXPECT_EQ(shared->plain, 3U);
}

/// It is woken for the lock, and does not live to take it, or to let anybody else know.
TEST_F(DeadHolder, WhoIsStoppedWhileItWaitsKeepsNobodyOut) {
    HeapLock lock(shared->word);
    ASSERT_TRUE(lock.lock(1, 0s));
    ChildProcess stopped([&] {
        shared->ready = 1;
        (void)HeapLock(shared->word).lock(7, std::chrono::nanoseconds::max());
        return 0;
    });
    while (shared->ready == 0 || (shared->word >> 31) == 0) std::this_thread::yield();
    std::this_thread::sleep_for(20ms);  // Asleep, most likely.
    stopped.send(SIGSTOP);
    EXPECT_EQ(stopped.wait(), ChildProcess::End::stopped);
    std::thread waiting([&] {
        shared->ready = 2;
        HeapLock other(shared->word);
        // Who is not woken, and looks when his time is up, would find it free.
        EXPECT_TRUE(other.lock(2, std::chrono::nanoseconds::max()));
        other.unlock();
    });
    while (shared->ready != 2) std::this_thread::yield();
    std::this_thread::sleep_for(20ms);
    lock.unlock();
    waiting.join();
    stopped.kill();
    lock.orphan(7);
    EXPECT_TRUE(lock.lock(3, 60s));
}

}  // namespace
}  // namespace shmpool
