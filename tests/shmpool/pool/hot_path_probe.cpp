// SPDX-License-Identifier: Apache-2.0
/// The magazine paths as functions of their own, compiled as in release, so that a test can read
/// their machine code; and three mutants with what must not be in there, so that the test can fail.
#include <atomic>

#include "shmpool/pool/magazine_path.hpp"

namespace shmpool::probe {

SlotKey take_from_magazine(Magazine& magazine, std::uint32_t holder);
bool put_into_magazine(Magazine& magazine, std::uint64_t pressure, SlotKey key,
                       std::uint32_t holder);
SlotKey mutant_with_atomic_count(Magazine& magazine, std::uint32_t holder);
SlotKey mutant_with_strong_store(Magazine& magazine, std::uint32_t holder);
SlotKey mutant_with_call(Magazine& magazine, std::uint32_t holder);
void somewhere_else();

SlotKey take_from_magazine(Magazine& magazine, std::uint32_t holder) {
    return take_cached(magazine, holder);
}

bool put_into_magazine(Magazine& magazine, std::uint64_t pressure, SlotKey key,
                       std::uint32_t holder) {
    return put_cached(magazine, pressure, key, holder);
}

SlotKey mutant_with_atomic_count(Magazine& magazine, std::uint32_t holder) {
    magazine.allocations->fetch_add(1, std::memory_order_relaxed);
    return take_cached(magazine, holder);
}

SlotKey mutant_with_strong_store(Magazine& magazine, std::uint32_t holder) {
    magazine.records->word.store(holder);  // Sequentially consistent: an xchg.
    return take_cached(magazine, holder);
}

SlotKey mutant_with_call(Magazine& magazine, std::uint32_t holder) {
    somewhere_else();
    return take_cached(magazine, holder);
}

}  // namespace shmpool::probe
