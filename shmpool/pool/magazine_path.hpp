// SPDX-License-Identifier: Apache-2.0
/// The two hot paths, alone so that their machine code can be looked at: a slot out of the lane's
/// magazine and back into it. Plain loads and stores only; a kill between any two of them leaves
/// the slot's word naming the lane, and the host finds it by that.
#pragma once

#include "shmpool/pool/lane.hpp"

namespace shmpool {

inline constexpr SlotKey no_key = 0;  // A slot in use has lived at least once: its key is never 0.
inline constexpr SlotKey one_generation = SlotKey{1} << 32;

/// A cached slot, stamped with `holder` (a state and this lane) and its new generation; or no_key.
[[nodiscard]] inline SlotKey take_cached(Magazine& magazine, std::uint32_t holder) {
    SlotKey* const top = magazine.top;
    if (top == magazine.base) [[unlikely]]
        return no_key;
    // A generation that wraps to 0 skips it: 0 is the life before the first.
    SlotKey key = top[-1] + one_generation;
    if (generation_of(key) == 0) [[unlikely]]
        key += one_generation;
    magazine.top = top - 1;
    magazine.records[position_of(key)].word.store(make_key(generation_of(key), holder),
                                                  std::memory_order_relaxed);
    Atomic<std::uint64_t>& allocations = *magazine.allocations;
    allocations.store(allocations.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return key;
}

/// False when the magazine is full or missing, or somebody starves.
[[nodiscard]] inline bool has_room(const Magazine& magazine, std::uint64_t pressure) {
    return magazine.top != magazine.limit && (pressure & magazine.pressure_mask) == 0;
}

/// Pre: there is room, and the slot's word says that the lane has it cached.
inline void push_cached(Magazine& magazine, SlotKey key) {
    SlotKey* const top = magazine.top;
    *top = key;
    magazine.top = top + 1;
}

/// The word of a slot that `holder` has in the life of `key`; null when it has not, or nobody may
/// ask so: the slot is none of which the lane knows.
[[nodiscard]] inline Atomic<std::uint64_t>* word_if_held(const Magazine& magazine, SlotKey key,
                                                         std::uint32_t holder) {
    if (position_of(key) >= magazine.slot_count) [[unlikely]]
        return nullptr;
    Atomic<std::uint64_t>& word = magazine.records[position_of(key)].word;
    if (word.load(std::memory_order_relaxed) != make_key(generation_of(key), holder)) [[unlikely]]
        return nullptr;
    return &word;
}

/// Caches a slot that the lane owns. False when there is no room: then nothing has changed.
[[nodiscard]] inline bool put_cached(Magazine& magazine, std::uint64_t pressure, SlotKey key,
                                     std::uint32_t holder) {
    if (!has_room(magazine, pressure)) [[unlikely]]
        return false;
    magazine.records[position_of(key)].word.store(make_key(generation_of(key), holder),
                                                  std::memory_order_relaxed);
    push_cached(magazine, key);
    return true;
}

}  // namespace shmpool
