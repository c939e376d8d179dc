// SPDX-License-Identifier: Apache-2.0
/// The only names of a slot. `SlotRef` crosses processes; `SlotKey` is its compact form where the
/// class is known from the context (a magazine, an entry of a ring).
#pragma once

#include <cstdint>
#include <type_traits>

#include "shmpool/layout/abi_constants.hpp"

namespace shmpool {

//  SlotRef: 12 bytes, little-endian, as the seed's wire form.
//     offset  bytes  field
//          0      1  class_index
//          1      1  extent_index    0 until a class has grown
//          2      2  reserved        0
//          4      4  slot_index      within class and extent
//          8      4  generation      counts the lives of the slot; unmasks a stale SlotRef
struct SlotRef {
    std::uint8_t class_index = 0;
    std::uint8_t extent_index = 0;
    std::uint16_t reserved = 0;
    std::uint32_t slot_index = 0;
    std::uint32_t generation = 0;

    friend bool operator==(const SlotRef&, const SlotRef&) = default;
};
static_assert(sizeof(SlotRef) == 12 && std::is_trivially_copyable_v<SlotRef>);

/// generation : 32 | position : 32. A position counts the slots of a class through all its extents;
/// the geometry of a pool (`PoolView`) translates it into extent and slot_index.
using SlotKey = std::uint64_t;

[[nodiscard]] constexpr std::uint32_t position_of(SlotKey key) {
    return static_cast<std::uint32_t>(key);
}
[[nodiscard]] constexpr std::uint32_t generation_of(SlotKey key) {
    return static_cast<std::uint32_t>(key >> 32);
}
[[nodiscard]] constexpr SlotKey make_key(std::uint32_t generation, std::uint32_t position) {
    return (std::uint64_t{generation} << 32) | position;
}

}  // namespace shmpool
