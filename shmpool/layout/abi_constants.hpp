// SPDX-License-Identifier: Apache-2.0
/// Numbers that two builds must agree on, because they shape bytes in the segment. Tuning numbers
/// do not belong here. Beside each bound stands the relation that makes it right.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shmpool/platform/atomics.hpp"

namespace shmpool {

inline constexpr std::uint32_t layout_version = 6;

inline constexpr std::uint32_t class_count_max = 64;
inline constexpr std::uint32_t extent_count_max = 255;
inline constexpr std::uint32_t slot_count_max = 1U << 24;  // Per class, all its extents.
inline constexpr std::uint64_t slot_bytes_min = 64;
inline constexpr std::uint64_t slot_bytes_max = std::uint64_t{1} << 30;

/// Lane 0 is the host's own; peers own lanes 1 and up: one for each thread, and one in reserve for
/// each peer's threads that find none.
inline constexpr std::uint32_t host_lane = 0;
inline constexpr std::uint32_t thread_lanes_max = 4096;
inline constexpr std::uint32_t peer_count_max = 1000;
inline constexpr std::uint32_t lane_count_max = thread_lanes_max + peer_count_max + 1;

/// A lane remembers which blocks of slots it ever owned in one bitmap of this many bits.
inline constexpr std::uint32_t block_count_max = 4096;
inline constexpr std::uint32_t block_words = block_count_max / 64;

inline constexpr std::uint32_t no_slot = 0xFFFF'FFFF;
static_assert(slot_count_max <= no_slot, "the largest index must leave room for 'none'");
static_assert(lane_count_max <= 0xFFFF, "an owner is 16 bits of a slot word");
static_assert(class_count_max <= 64, "one bit per class in the pressure word");
static_assert(block_count_max >= class_count_max, "every class has at least one block");

}  // namespace shmpool
