// SPDX-License-Identifier: Apache-2.0
/// One number made of everything that two builds must agree on to share a segment. Two builds with
/// the same `layout_version` and different fingerprints must refuse each other. FNV-1a.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shmpool/layout/pool_image.hpp"
#include "shmpool/layout/slot_ref.hpp"

namespace shmpool {

inline constexpr std::uint32_t fnv_basis = 2166136261U;

[[nodiscard]] constexpr std::uint32_t fold(std::uint32_t hash, std::uint64_t value) {
    for (int byte = 0; byte < 8; ++byte) {
        hash = (hash ^ static_cast<std::uint32_t>((value >> (8 * byte)) & 0xFF)) * 16777619U;
    }
    return hash;
}

inline constexpr std::uint32_t pool_fingerprint = [] {
    std::uint32_t hash = fnv_basis;
    for (const std::uint64_t value :
         {std::uint64_t{layout_version}, std::uint64_t{cache_line_bytes}, sizeof(SlotRef),
          sizeof(SlotRecord), offsetof(SlotRecord, link), sizeof(PoolHeader), sizeof(ClassImage),
          sizeof(ExtentImage), offsetof(ExtentImage, head), sizeof(LaneCell),
          offsetof(LaneCell, touched_blocks), std::uint64_t{class_count_max},
          std::uint64_t{extent_count_max}, std::uint64_t{slot_count_max},
          std::uint64_t{block_count_max}, std::uint64_t{lane_sequence_bits},
          std::uint64_t{slot_state_count}}) {
        hash = fold(hash, value);
    }
    return hash;
}();

}  // namespace shmpool
