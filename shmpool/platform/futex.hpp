// SPDX-License-Identifier: Apache-2.0
/// Sleeping on a 32-bit word in shared memory until another process rings it (futex(2)), between
/// processes. A wake-up is only a hint: callers look at their condition again after every return.
///
/// Pairing: the kernel compares the word and puts the caller to sleep in one step, so a waker that
/// changes the word first and wakes second is never missed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "shmpool/platform/atomics.hpp"

namespace shmpool {

enum class WaitOutcome {
    woken,          ///< Somebody rang; possibly for nothing.
    value_changed,  ///< The word did not hold `expected`; nobody slept.
    timed_out,
    interrupted,  ///< A signal arrived.
};

/// Sleeps while `word` holds `expected`. nanoseconds::max() sleeps without end; zero or less only
/// compares. The word may lie in a read-only mapping.
WaitOutcome futex_wait(const Atomic<std::uint32_t>& word, std::uint32_t expected,
                       std::chrono::nanoseconds timeout) noexcept;

/// Wakes up to `count` sleepers on `word`, in any process; returns how many.
int futex_wake(Atomic<std::uint32_t>& word, int count) noexcept;

/// One word to sleep on and the value it must hold for that.
struct FutexTarget {
    const Atomic<std::uint32_t>* word;
    std::uint32_t expected;
};

inline constexpr std::size_t futex_wait_any_max = 128;  // The kernel's FUTEX_WAITV_MAX.

struct WaitAnyOutcome {
    WaitOutcome outcome;
    std::size_t index;  ///< Which target, if `woken`; other targets may have been rung as well.
};

/// Sleeps while every target holds its expected value. Between 1 and 128 targets. On kernels before
/// 5.16, which have no futex_waitv(2), it looks at all targets every 10 ms.
[[nodiscard]] WaitAnyOutcome futex_wait_any(std::span<const FutexTarget> targets,
                                            std::chrono::nanoseconds timeout) noexcept;

}  // namespace shmpool
