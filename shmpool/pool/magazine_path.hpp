// SPDX-License-Identifier: Apache-2.0
/// The two hot paths, alone so that their machine code can be looked at: a slot out of the lane's
/// magazine and back into it. Plain loads and stores only; a kill between any two of them leaves
/// the slot's word naming the lane, and the host finds it by that.
#pragma once

#include "shmpool/pool/lane.hpp"

namespace shmpool {

inline constexpr SlotKey one_generation = SlotKey{1} << 32;

/// A cached slot, stamped with `holder` (a state and this lane) and its new generation; or no_key.
[[nodiscard]] inline SlotKey take_cached(Magazine& magazine, std::uint32_t holder,
                                         Atomic<std::uint64_t>& allocations) {
    SlotKey last_life = magazine.last_given;
    if (last_life != no_key) [[likely]] {
        magazine.last_given = no_key;
    } else {
        SlotKey* const top = magazine.top;
        if (top == magazine.base) [[unlikely]]
            return no_key;
        last_life = top[-1];
        magazine.top = top - 1;
    }
    SlotKey key = 0;
    // A generation that wraps to 0 skips it: 0 is the life before the first.
    if (__builtin_add_overflow(last_life, one_generation, &key)) [[unlikely]]
        key += one_generation;
    magazine.records[position_of(key)].word.store(make_key(generation_of(key), holder),
                                                  std::memory_order_relaxed);
    allocations.store(allocations.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return key;
}

/// Of a magazine that is open. False when it is full, or somebody starves.
[[nodiscard]] inline bool has_room(const Magazine& magazine, std::uint64_t pressure) {
    return (pressure & magazine.pressure_mask) == 0 &&
           (magazine.last_given == no_key || magazine.top != magazine.limit);
}

/// Pre: there is room, and the slot's word says that the lane has it cached.
inline void push_cached(Magazine& magazine, SlotKey key) {
    const SlotKey before = magazine.last_given;
    magazine.last_given = key;
    if (before != no_key) *magazine.top++ = before;
}

/// Whether `holder` has the slot in the life of `key`. False also without a magazine, and for a
/// slot of which the lane does not know yet.
[[nodiscard]] inline bool is_held(const Magazine& magazine, SlotKey key, std::uint32_t holder) {
    return position_of(key) < magazine.slot_count &&
           magazine.records[position_of(key)].word.load(std::memory_order_relaxed) ==
               make_key(generation_of(key), holder);
}

/// Caches a slot that the lane owns, in an open magazine. False when there is no room: then nothing
/// has changed.
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
