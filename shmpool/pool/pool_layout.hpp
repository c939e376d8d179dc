// SPDX-License-Identifier: Apache-2.0
/// Where everything of a pool lies: pure arithmetic over the wanted size classes, with every
/// overflow checked. The same wishes give the same layout in every process.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "shmpool/platform/byte_range.hpp"
#include "shmpool/platform/result.hpp"
#include "shmpool/pool/size_class_config.hpp"

namespace shmpool {

struct ClassOffsets {
    SizeClassConfig config;  ///< With slot_limit 0 if it does not grow.
    std::uint64_t stride_bytes = 0;
    std::uint64_t extents_offset = 0;  ///< From the pool's base in control.
    std::uint64_t records_offset = 0;  ///< From the pool's base in control.
    std::uint64_t payload_offset = 0;  ///< From the payload's base; page-aligned.
    std::uint32_t extent_limit = 1;
    std::uint32_t first_block = 0;
};

struct PoolLayout {
    std::vector<ClassOffsets> classes;  ///< Ascending by slot_size.
    std::uint32_t lane_count = 0;       ///< With the host's lane 0.
    std::uint32_t block_shift = 0;
    std::uint32_t config_checksum = 0;
    std::uint64_t classes_offset = 0;
    std::uint64_t lanes_offset = 0;
    std::uint64_t control_bytes = 0;
    std::uint64_t payload_bytes = 0;

    /// Control, padded to a page, then payload: what one plain region needs.
    [[nodiscard]] std::uint64_t total_bytes() const;

    /// What must be memory from the beginning, of control and of payload; the rest is room for the
    /// extents that are added.
    [[nodiscard]] std::vector<ByteRange> control_at_first() const;
    [[nodiscard]] std::vector<ByteRange> payload_at_first() const;
};

/// Sorts the classes and refuses, each with its own code: none, too many, size 0, count 0, too
/// large, too many slots, a limit below the count, the same size twice, arithmetic overflow, a lane
/// count of 0 or beyond the maximum. `lane_count` counts the lanes of peers; the host's lane is
/// added.
[[nodiscard]] Result<PoolLayout> plan_pool(std::span<const SizeClassConfig> classes,
                                           std::uint32_t lane_count);

}  // namespace shmpool
