// SPDX-License-Identifier: Apache-2.0
/// Where each region of a segment lies: pure arithmetic, with every overflow checked. Regions come
/// in the order in which they are asked for; each begins on a page.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "shmpool/layout/segment_header.hpp"
#include "shmpool/platform/byte_range.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool {

struct RegionRequest {
    RegionKind kind = RegionKind::none;
    std::uint32_t shape = 0;  ///< Fingerprint of the images inside.
    std::uint32_t item_count = 0;
    std::uint64_t length_bytes = 0;
    std::uint32_t item_bytes = 0;
    /// What of it is memory from the beginning, counted from its own first byte; all, if not said.
    std::optional<std::vector<ByteRange>> backed{};
};

struct SegmentPlan {
    std::vector<RegionImage> regions;
    std::uint64_t control_bytes = 0;
    std::uint64_t payload_bytes = 0;
    std::vector<ByteRange> control_backed;  ///< From the beginning.
    std::vector<ByteRange> payload_backed;  ///< The same.
};

/// `lies_in_payload` says where each goes. Memory of heaps begins where a large page may.
[[nodiscard]] Result<SegmentPlan> plan_segment(std::span<const RegionRequest> requests);

}  // namespace shmpool
