// SPDX-License-Identifier: Apache-2.0
/// Who starves says so: a bit per size class in the header. Whoever gives slots of that class back
/// then gives all that it has cached too, clears the bit and rings those who wait. A hint, not a
/// promise: who waits looks again by itself after a short sleep.
///
/// Pairing: [R-free] -> [A-free]  who hears the bell finds the slots in the list.
#pragma once

#include "shmpool/platform/futex.hpp"
#include "shmpool/pool/pool_view.hpp"

namespace shmpool {

/// Allocation falls through upwards: a slot of `class_index` serves this class and all smaller.
[[nodiscard]] constexpr std::uint64_t classes_served(std::uint32_t class_index) {
    return (std::uint64_t{2} << class_index) - 1;
}

inline void raise_pressure(const PoolView& pool, std::uint32_t class_index) {
    Atomic<std::uint64_t>& pressure = pool.header->pressure;
    const std::uint64_t bit = std::uint64_t{1} << class_index;
    if ((pressure.load(std::memory_order_relaxed) & bit) == 0) {
        pressure.fetch_or(bit, std::memory_order_relaxed);
    }
}

[[nodiscard]] inline bool under_pressure(const PoolView& pool, std::uint64_t classes) {
    return (pool.header->pressure.load(std::memory_order_relaxed) & classes) != 0;
}

/// Slots for `classes` have just been put into the lists.
inline void relieve_pressure(const PoolView& pool, std::uint64_t classes) {
    if (!under_pressure(pool, classes)) return;
    pool.header->pressure.fetch_and(~classes, std::memory_order_relaxed);
    pool.header->free_doorbell.fetch_add(1, std::memory_order_release);  // [R-free]
    futex_wake(pool.header->free_doorbell, 0x7FFF'FFFF);
}

}  // namespace shmpool
