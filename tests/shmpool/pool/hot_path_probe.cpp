// SPDX-License-Identifier: Apache-2.0
/// The magazine paths as functions of their own, compiled as in release, so that a test can read
/// their machine code; and three mutants with what must not be in there, so that the test can fail.
#include <atomic>

#include "shmpool/pool/magazine_path.hpp"

namespace shmpool::probe {

SlotKey take_from_magazine(Magazine& magazine, std::uint32_t holder,
                           Atomic<std::uint64_t>& allocations);
bool put_into_magazine(Magazine& magazine, std::uint64_t pressure, SlotKey key,
                       std::uint32_t holder);
SlotKey mutant_with_atomic_count(Magazine& magazine, std::uint32_t holder,
                                 Atomic<std::uint64_t>& allocations);
SlotKey mutant_with_strong_store(Magazine& magazine, std::uint32_t holder,
                                 Atomic<std::uint64_t>& allocations);
SlotKey mutant_with_call(Magazine& magazine, std::uint32_t holder,
                         Atomic<std::uint64_t>& allocations);
void somewhere_else();

SlotKey take_from_magazine(Magazine& magazine, std::uint32_t holder,
                           Atomic<std::uint64_t>& allocations) {
    return take_cached(magazine, holder, allocations);
}

bool put_into_magazine(Magazine& magazine, std::uint64_t pressure, SlotKey key,
                       std::uint32_t holder) {
    return put_cached(magazine, pressure, key, holder);
}

SlotKey mutant_with_atomic_count(Magazine& magazine, std::uint32_t holder,
                                 Atomic<std::uint64_t>& allocations) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    return take_cached(magazine, holder, allocations);
}

SlotKey mutant_with_strong_store(Magazine& magazine, std::uint32_t holder,
                                 Atomic<std::uint64_t>& allocations) {
    magazine.records->word.store(holder);  // Sequentially consistent: an xchg.
    return take_cached(magazine, holder, allocations);
}

SlotKey mutant_with_call(Magazine& magazine, std::uint32_t holder,
                         Atomic<std::uint64_t>& allocations) {
    somewhere_else();
    return take_cached(magazine, holder, allocations);
}

}  // namespace shmpool::probe
