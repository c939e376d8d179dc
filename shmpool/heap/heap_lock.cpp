// SPDX-License-Identifier: Apache-2.0
#include "shmpool/heap/heap_lock.hpp"

#include <climits>

#include "shmpool/platform/futex.hpp"
#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool {
namespace {

/// Shorter than a sleep; longer than most changes.
constexpr int looks_before_sleep = 100;

}  // namespace

Outcome<void> HeapLock::lock_slowly(HeapHolder holder, std::chrono::nanoseconds patience) {
    const Deadline deadline = Deadline::after(patience);
    for (int looks = 0;; ++looks) {
        std::uint32_t seen = word_.load(std::memory_order_relaxed);
        if ((seen & orphaned) != 0 || (seen & holder_bits) == 0) {
            const std::uint32_t wanted = holder | (seen & waited);
            if (word_.compare_exchange_weak(seen, wanted, std::memory_order_acquire,  // [A-heap]
                                            std::memory_order_relaxed)) {
                return {};
            }
            continue;
        }
        if ((seen & holder_bits) == holder || deadline.expired()) return fail(Errc::would_block);
        if (looks < looks_before_sleep) {
            cpu_relax();
            continue;
        }
        if ((seen & waited) == 0 &&
            !word_.compare_exchange_weak(seen, seen | waited, std::memory_order_relaxed)) {
            continue;
        }
        (void)futex_wait(word_, seen | waited, deadline.remaining());
    }
}

bool HeapLock::orphan(HeapHolder holder) {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    do {
        if ((seen & holder_bits) != holder) {
            wake();
            return false;
        }
    } while (!word_.compare_exchange_weak(seen, seen | orphaned, std::memory_order_relaxed));
    wake();
    return true;
}

void HeapLock::wake() {
    futex_wake(word_, INT_MAX);
}

}  // namespace shmpool
