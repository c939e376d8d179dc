// SPDX-License-Identifier: Apache-2.0
/// Locks for slab caches within one process. A lock lies in the memory of its cache, so it is small
/// (16 bytes at most), and the cache may be given back by whoever comes next: the last that
/// `unlock` does to the lock's memory is what lets the next one in.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>

#include "shmpool/heap/heap_lock.hpp"
#include "shmpool/platform/atomics.hpp"

namespace shmpool {

inline constexpr std::size_t slab_lock_bytes_max = 16;

/// `may_be_shared`: several threads may have the cache. A new one is unlocked.
template <typename Lock>
concept SlabLock =
    sizeof(Lock) <= slab_lock_bytes_max&& std::default_initializable<Lock>&& requires(Lock& lock) {
    lock.lock();
    lock.unlock();
    { Lock::may_be_shared } -> std::convertible_to<bool>;
};

/// Of one thread. Its caches can not be copied, so none comes to another thread by the way.
class NoLock {
public:
    static constexpr bool may_be_shared = false;
    void lock() {}
    void unlock() {}
};

/// One byte. Who waits keeps its processor: for caches whose threads do not outnumber these.
class SpinLock {
public:
    static constexpr bool may_be_shared = true;
    void lock() {
        while (taken_.exchange(1, std::memory_order_acquire) != 0) {          // [A-slab-spin]
            while (taken_.load(std::memory_order_relaxed) != 0) cpu_relax();  // Only a look.
        }
    }
    void unlock() { taken_.store(0, std::memory_order_release); }  // [R-slab-spin]

private:
    Atomic<std::uint8_t> taken_{0};
};

/// The lock of the heaps in shared memory, without end to its patience: who waits long sleeps. Here
/// nobody dies alone, so nobody is passed over.
class FutexLock {
public:
    static constexpr bool may_be_shared = true;
    void lock() { (void)HeapLock(word_).lock(own_number(), std::chrono::nanoseconds::max()); }
    void unlock() { HeapLock(word_).unlock(); }

private:
    [[nodiscard]] static HeapHolder own_number() {
        static Atomic<HeapHolder> count{0};
        thread_local const HeapHolder number =
            count.fetch_add(1, std::memory_order_relaxed) % heap_holder_max + 1;
        return number;
    }

    Atomic<std::uint32_t> word_{0};
};

static_assert(SlabLock<NoLock> && SlabLock<SpinLock> && SlabLock<FutexLock>);

}  // namespace shmpool
