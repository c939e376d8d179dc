// SPDX-License-Identifier: Apache-2.0
/// Threads that fight over one 16-byte word, and the two-thread litmus test of the barrier.
#include "shmpool/platform/atomics.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/shmpool/platform/store_load_litmus.hpp"

namespace shmpool {
namespace {

constexpr std::uint64_t mixed(std::uint64_t value) {
    return value * 0x9E3779B97F4A7C15U;
}

TEST(CompareExchange128, ReplacesBothHalvesOrNone) {
    Word128 word{1, 2};
    EXPECT_FALSE(compare_exchange_128(word, {1, 3}, {7, 8}));
    EXPECT_FALSE(compare_exchange_128(word, {3, 2}, {7, 8}));
    EXPECT_EQ(load_halves(word), (Word128{1, 2}));
    EXPECT_TRUE(compare_exchange_128(word, {1, 2}, {7, 8}));
    EXPECT_EQ(load_halves(word), (Word128{7, 8}));
}

TEST(CompareExchange128, KeepsTheHalvesTogetherUnderFire) {
    // Goes on until the threads have really met, which takes longer on a busy machine.
    constexpr std::uint64_t threads = 4;
    constexpr std::uint64_t meetings_wanted = 20'000;
    constexpr std::uint64_t increments_max = 3'000'000;
    Word128 word{0, mixed(0)};
    std::atomic<std::uint64_t> torn{0};
    std::atomic<std::uint64_t> meetings{0};
    std::atomic<std::uint64_t> increments{0};
    const auto hammer = [&] {
        std::uint64_t done = 0;
        while (done < increments_max &&
               meetings.load(std::memory_order_relaxed) < meetings_wanted) {
            const Word128 seen = load_halves(word);
            if (!compare_exchange_128(word, seen, {seen.low + 1, mixed(seen.low + 1)})) {
                meetings.fetch_add(1, std::memory_order_relaxed);
                continue;
            }
            if (seen.high != mixed(seen.low)) torn.fetch_add(1, std::memory_order_relaxed);
            ++done;
        }
        increments.fetch_add(done, std::memory_order_relaxed);
    };
    std::vector<std::thread> workers;
    for (std::uint64_t i = 0; i < threads; ++i) workers.emplace_back(hammer);
    for (std::thread& worker : workers) worker.join();
    const std::uint64_t sum = increments.load(std::memory_order_relaxed);
    EXPECT_EQ(torn.load(std::memory_order_relaxed), 0U) << "an exchange accepted a mixture";
    EXPECT_EQ(load_halves(word), (Word128{sum, mixed(sum)}));
}

/// As a lease is given up beside others: the second word is also changed alone.
TEST(CompareExchange128, LosesNoChangeOfEightBytesBesideIt) {
    constexpr std::uint64_t increments = 200'000;
    struct alignas(16) {
        Atomic<std::uint64_t> life{7};
        Atomic<std::uint64_t> count{0};
    } both;
    std::thread together([&] {
        for (std::uint64_t i = 0; i < increments; ++i) {
            std::uint64_t seen = 0;
            do {
                seen = both.count.load(std::memory_order_acquire);  // [A-count]
            } while (!compare_exchange_128(both.life, {7, seen}, {7, seen + 1}));
        }
    });
    std::thread alone([&] {
        for (std::uint64_t i = 0; i < increments; ++i) {
            both.count.fetch_add(1, std::memory_order_acq_rel);  // [AR-count]
        }
    });
    together.join();
    alone.join();
    EXPECT_EQ(both.count.load(std::memory_order_relaxed), 2 * increments);
    EXPECT_FALSE(compare_exchange_128(both.life, {8, 2 * increments}, {8, 0}))
        << "changed in a life that is not the one meant";
}

TEST(CompareExchange128, HandsOverWhatWasWrittenBefore) {
    // Plain memory passes from thread to thread with the word; the thread sanitizer is the judge.
    constexpr std::uint64_t threads = 4;
    constexpr std::uint64_t rounds = 500;
    Word128 turn{0, 0};
    std::uint64_t baton = 0;
    const auto run = [&](std::uint64_t me) {
        for (std::uint64_t round = 0; round < rounds; ++round) {
            const Word128 mine{me, round};
            while (load_halves(turn) != mine) std::this_thread::yield();
            ++baton;
            const Word128 next = me + 1 < threads ? Word128{me + 1, round} : Word128{0, round + 1};
            ASSERT_TRUE(compare_exchange_128(turn, mine, next));
        }
    };
    std::vector<std::thread> workers;
    for (std::uint64_t me = 0; me < threads; ++me) workers.emplace_back(run, me);
    for (std::thread& worker : workers) worker.join();
    EXPECT_EQ(baton, threads * rounds);
}

TEST(StoreLoadBarrier, LetsNoTwoThreadsBothMissTheOther) {
    if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "one core can not show it";
    constexpr std::uint64_t steps = 1'000'000;
    std::vector<std::uint64_t> first_saw(steps);
    std::vector<std::uint64_t> second_saw(steps);
    std::uint64_t meetings = 0;
    for (int round = 0; round < 100 && meetings < steps / 4; ++round) {
        test::StoreLoadLitmus litmus;
        std::thread first([&] { litmus.run(0, first_saw, [] { store_load_barrier(); }); });
        std::thread second([&] { litmus.run(1, second_saw, [] { store_load_barrier(); }); });
        first.join();
        second.join();
        ASSERT_EQ(test::StoreLoadLitmus::missed(first_saw, second_saw), 0U);
        meetings += test::StoreLoadLitmus::meetings(second_saw);
    }
}

}  // namespace
}  // namespace shmpool
