// SPDX-License-Identifier: Apache-2.0
/// See futex.hpp. Never FUTEX_PRIVATE_FLAG: the words lie in memory that processes share.
#include "shmpool/platform/futex.hpp"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>

#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds look_again_every = std::chrono::milliseconds(10);

timespec to_timespec(std::uint64_t ns) {
    timespec result{};
    result.tv_sec = static_cast<time_t>(ns / 1'000'000'000U);
    result.tv_nsec = static_cast<long>(ns % 1'000'000'000U);
    return result;
}

WaitOutcome outcome_of(int error_number) {
    switch (error_number) {
        case EAGAIN: return WaitOutcome::value_changed;
        case ETIMEDOUT: return WaitOutcome::timed_out;
        default:  // EINTR. Anything else is a wrong call, and the caller looks again either way.
            return WaitOutcome::interrupted;
    }
}

WaitAnyOutcome wait_any_by_looking(std::span<const FutexTarget> targets, nanoseconds timeout) {
    const Deadline deadline = Deadline::after(timeout);
    for (;;) {
        for (const FutexTarget& target : targets) {
            // Relaxed: the caller looks again, with the order that its protocol needs.
            if (target.word->load(std::memory_order_relaxed) != target.expected) {
                return {WaitOutcome::value_changed, 0};
            }
        }
        if (deadline.expired()) return {WaitOutcome::timed_out, 0};
        const FutexTarget& first = targets.front();
        const nanoseconds nap = std::min(look_again_every, deadline.remaining());
        const WaitOutcome outcome = futex_wait(*first.word, first.expected, nap);
        if (outcome != WaitOutcome::timed_out) return {outcome, 0};
    }
}

}  // namespace

WaitOutcome futex_wait(const Atomic<std::uint32_t>& word, std::uint32_t expected,
                       nanoseconds timeout) noexcept {
    if (timeout <= nanoseconds::zero()) {
        // Relaxed: the caller looks again, with the order that its protocol needs.
        const bool same = word.load(std::memory_order_relaxed) == expected;
        return same ? WaitOutcome::timed_out : WaitOutcome::value_changed;
    }
    const bool endless = timeout == nanoseconds::max();
    const timespec limit = to_timespec(static_cast<std::uint64_t>(timeout.count()));
    const long result =
        ::syscall(SYS_futex, &word, FUTEX_WAIT, expected, endless ? nullptr : &limit, nullptr, 0);
    return result == 0 ? WaitOutcome::woken : outcome_of(errno);
}

int futex_wake(Atomic<std::uint32_t>& word, int count) noexcept {
    const long woken = ::syscall(SYS_futex, &word, FUTEX_WAKE, count, nullptr, nullptr, 0);
    return woken < 0 ? 0 : static_cast<int>(woken);
}

WaitAnyOutcome futex_wait_any(std::span<const FutexTarget> targets, nanoseconds timeout) noexcept {
    assert(!targets.empty() && targets.size() <= futex_wait_any_max);
    const std::size_t count = std::min(targets.size(), futex_wait_any_max);
    if (count == 0) return {WaitOutcome::timed_out, 0};
    std::array<futex_waitv, futex_wait_any_max> waiters{};
    for (std::size_t i = 0; i < count; ++i) {
        waiters[i].val = targets[i].expected;
        waiters[i].uaddr = reinterpret_cast<std::uintptr_t>(targets[i].word);
        waiters[i].flags = FUTEX_32;
    }
    const bool endless = timeout == nanoseconds::max();
    const auto ahead = std::max(timeout, nanoseconds::zero());
    const timespec limit =
        to_timespec(monotonic_ns() + static_cast<std::uint64_t>(endless ? 0 : ahead.count()));
    const long result = ::syscall(SYS_futex_waitv, waiters.data(), count, 0U,
                                  endless ? nullptr : &limit, CLOCK_MONOTONIC);
    if (result >= 0) return {WaitOutcome::woken, static_cast<std::size_t>(result)};
    if (errno == ENOSYS) return wait_any_by_looking(targets.first(count), timeout);
    return {outcome_of(errno), 0};
}

}  // namespace shmpool
