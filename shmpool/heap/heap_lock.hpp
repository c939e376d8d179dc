// SPDX-License-Identifier: Apache-2.0
/// The lock of a heap: one futex word that names its holder. Nobody waits for the dead: whoever
/// learns from the kernel that a holder has died says so in the word (`orphan`), and then the
/// lock is free for the next one. No list of held locks in
/// private memory, no pointer in the shared word: nonsense in it can only make somebody wait until
/// his time is up.
///
///   word = holder : 30 | orphan : 1 | waited : 1        0: free
///
/// `waited` is set before anybody sleeps, and whoever unlocks a waited word wakes all: one who is
/// woken may be dead, or stopped, before he looks.
///
/// Source: the three-state mutex of U. Drepper, "Futexes Are Tricky" (2011), with a holder.
#pragma once

#include <chrono>
#include <cstdint>

#include "shmpool/platform/atomics.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool {

/// Who can hold heap locks: a lane's number + 1, as long as that lane is somebody's. 0 is nobody.
using HeapHolder = std::uint32_t;
inline constexpr HeapHolder heap_holder_max = (1U << 30) - 1;

/// Threads and processes. `word` lies in the segment and outlives this.
class HeapLock {
public:
    explicit HeapLock(Atomic<std::uint32_t>& word) : word_(word) {}

    /// would_block when `patience` is over, or at once when `holder` has it already. What a dead
    /// holder has left half done stands in the journal.
    [[nodiscard]] Outcome<void> lock(HeapHolder holder, std::chrono::nanoseconds patience);
    void unlock();

    /// `holder` is dead, and its number not yet somebody else's. True: it had the lock.
    bool orphan(HeapHolder holder);
    /// All who wait look again. For the sake of who has died between unlocking and waking.
    void wake();
    /// 0: nobody.
    [[nodiscard]] HeapHolder holder() const {
        return holder_in(word_.load(std::memory_order_relaxed));
    }
    /// As that, but 0 also if he is said to be dead.
    [[nodiscard]] HeapHolder living_holder() const {
        return living_holder_in(word_.load(std::memory_order_relaxed));
    }
    /// Of a word that was read.
    [[nodiscard]] static constexpr HeapHolder holder_in(std::uint32_t word) {
        return word & holder_bits;
    }
    [[nodiscard]] static constexpr HeapHolder living_holder_in(std::uint32_t word) {
        return (word & orphaned) != 0 ? 0 : holder_in(word);
    }

private:
    static constexpr std::uint32_t waited = 1U << 31;
    static constexpr std::uint32_t orphaned = 1U << 30;
    static constexpr std::uint32_t holder_bits = heap_holder_max;

    [[nodiscard]] Outcome<void> lock_slowly(HeapHolder holder, std::chrono::nanoseconds patience);

    Atomic<std::uint32_t>& word_;
};

inline Outcome<void> HeapLock::lock(HeapHolder holder, std::chrono::nanoseconds patience) {
    std::uint32_t free = 0;
    // [A-heap] sees what the holders before have written; partner of [R-heap].
    if (word_.compare_exchange_strong(free, holder, std::memory_order_acquire,
                                      std::memory_order_relaxed)) [[likely]] {
        return {};
    }
    return lock_slowly(holder, patience);  // No clock is read before.
}

inline void HeapLock::unlock() {
    const std::uint32_t before = word_.exchange(0, std::memory_order_release);  // [R-heap]
    if ((before & waited) != 0) wake();
}

}  // namespace shmpool
