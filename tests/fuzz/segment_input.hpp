// SPDX-License-Identifier: Apache-2.0
/// One record of damage to a segment: a 4-byte place, and the 8 bytes that are put there.
///
///     bit 31        it comes when the peer has attached already, and has slots
///     bits 30..29   Area
///     bits 28..0    offset in the area, modulo its size
#pragma once

#include <cstddef>
#include <cstdint>

namespace shmpool::fuzz {

inline constexpr std::size_t record_bytes = 12;

inline constexpr std::uint32_t late = std::uint32_t{1} << 31U;
inline constexpr std::uint32_t area_shift = 29;
inline constexpr std::uint32_t area_mask = 3;
inline constexpr std::uint32_t offset_mask = (std::uint32_t{1} << area_shift) - 1;

/// So that damage finds what is small, wherever it lies in this version.
enum class Area : std::uint32_t {
    all,
    classes,  ///< Images of all classes.
    extents,  ///< Images of the extents of the class that may grow, and of the next one.
    records,  ///< Of all slots that it may have.
};

}  // namespace shmpool::fuzz
