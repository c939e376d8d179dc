// SPDX-License-Identifier: Apache-2.0
/// Sleeping and waking between real processes. No test depends on how long anything takes: each
/// waits for what must come, and the test runner's time limit is the only clock.
#include "shmpool/platform/futex.hpp"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <vector>

#include "tests/shmpool/platform/forked_child.hpp"

namespace shmpool {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using test::ForkedChild;
using test::Shared;
using Word = Atomic<std::uint32_t>;

/// Rings until somebody was there to hear it.
void ring_until_heard(Word& word) {
    while (futex_wake(word, 1) == 0) ::usleep(100);
}

TEST(Futex, DoesNotSleepWhenTheWordHasChanged) {
    const Word word{1};
    EXPECT_EQ(futex_wait(word, 0, nanoseconds::max()), WaitOutcome::value_changed);
    EXPECT_EQ(futex_wait(word, 0, 0ns), WaitOutcome::value_changed);
}

TEST(Futex, GivesUpAtItsTimeout) {
    const Word word{0};
    EXPECT_EQ(futex_wait(word, 0, 1ms), WaitOutcome::timed_out);
    EXPECT_EQ(futex_wait(word, 0, 0ns), WaitOutcome::timed_out);
    EXPECT_EQ(futex_wait(word, 0, -1ns), WaitOutcome::timed_out);
}

TEST(Futex, IsRungByAnotherProcess) {
    const Shared<Word> word;
    ForkedChild child([&] {
        ring_until_heard(*word);
        return 0;
    });
    EXPECT_EQ(futex_wait(*word, 0, nanoseconds::max()), WaitOutcome::woken);
    EXPECT_EQ(child.wait(), 0);
}

TEST(Futex, WakesNoMoreThanItWasAskedTo) {
    Word word{0};
    EXPECT_EQ(futex_wake(word, 100), 0);
}

TEST(Futex, SaysThatASignalArrived) {
    const Shared<Word> word;
    ForkedChild child([&] {
        struct sigaction action {};
        action.sa_handler = [](int) {};
        ::sigaction(SIGALRM, &action, nullptr);
        const itimerval soon_and_again{{0, 1000}, {0, 1000}};
        ::setitimer(ITIMER_REAL, &soon_and_again, nullptr);
        return futex_wait(*word, 0, nanoseconds::max()) == WaitOutcome::interrupted ? 0 : 1;
    });
    EXPECT_EQ(child.wait(), 0);
}

TEST(FutexWaitAny, NamesTheWordThatWasRung) {
    const Shared<std::array<Word, 3>> words;
    std::vector<FutexTarget> targets;
    for (const Word& word : *words) targets.push_back({&word, 0});
    ForkedChild child([&] {
        ring_until_heard((*words)[1]);
        return 0;
    });
    const WaitAnyOutcome outcome = futex_wait_any(targets, nanoseconds::max());
    EXPECT_EQ(outcome.outcome, WaitOutcome::woken);
    EXPECT_EQ(outcome.index, 1U);
    EXPECT_EQ(child.wait(), 0);
}

TEST(FutexWaitAny, TakesAsManyWordsAsTheKernel) {
    std::vector<Word> words(futex_wait_any_max);
    std::vector<FutexTarget> targets;
    for (const Word& word : words) targets.push_back({&word, 0});
    EXPECT_EQ(futex_wait_any(targets, 1ms).outcome, WaitOutcome::timed_out);
    targets.back().expected = 1;
    EXPECT_EQ(futex_wait_any(targets, nanoseconds::max()).outcome, WaitOutcome::value_changed);
}

TEST(FutexWaitAny, GivesUpAtOnceForZeroAndNegativeTimeouts) {
    const Word word{0};
    const std::array targets = {FutexTarget{&word, 0}};
    EXPECT_EQ(futex_wait_any(targets, 0ns).outcome, WaitOutcome::timed_out);
    EXPECT_EQ(futex_wait_any(targets, nanoseconds::min()).outcome, WaitOutcome::timed_out);
}

/// From now on this process lives on a kernel without futex_waitv.
bool forget_futex_waitv() {
    std::array<sock_filter, 4> program = {{
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_futex_waitv},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    }};
    const sock_fprog filter{program.size(), program.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

TEST(FutexWaitAny, WorksOnAKernelThatLacksIt) {
    constexpr int no_sandbox = 77;
    const Shared<std::array<Word, 2>> words;
    const Shared<test::Step> has_timed_out;
    ForkedChild waiter([&] {
        if (!forget_futex_waitv()) return no_sandbox;
        const std::array targets = {FutexTarget{&(*words)[0], 0}, FutexTarget{&(*words)[1], 0}};
        if (futex_wait_any(targets, 1ms).outcome != WaitOutcome::timed_out) return 1;
        has_timed_out->announce();
        while ((*words)[1].load(std::memory_order_relaxed) == 0) {
            (void)futex_wait_any(targets, nanoseconds::max());
        }
        return 0;
    });
    has_timed_out->await();
    (*words)[1].store(1, std::memory_order_relaxed);  // Nobody rings: it must look by itself.
    const int exit_code = waiter.wait();
    if (exit_code == no_sandbox) GTEST_SKIP() << "no seccomp here";
    EXPECT_EQ(exit_code, 0);
}

}  // namespace
}  // namespace shmpool
