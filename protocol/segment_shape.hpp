// SPDX-License-Identifier: Apache-2.0
/// How large everything in a segment is: the host's choice, from which the segment is planned.
#pragma once

#include <cstdint>
#include <vector>

#include "shmpool/platform/result.hpp"
#include "shmpool/pool/size_class_config.hpp"
#include "shmpool/segment/segment_plan.hpp"

namespace shmpool {

struct SegmentShape {
    std::vector<SizeClassConfig> classes;
    std::uint32_t lanes = 256;
    std::uint32_t peers = 64;
    std::uint32_t channels = 64;
    std::uint32_t publishers = 256;
    std::uint32_t subscribers = 256;
    std::uint32_t rings = 1024;
    std::uint32_t ring_entries = 65536;  ///< Of all rings together.
    std::uint32_t publishers_per_channel = 64;
    std::uint32_t heaps = 32;
    std::uint64_t heap_bytes = 0;  ///< Room for the memory of all heaps; address space only.
};

/// Refuses numbers beyond the maximums of `protocol_images.hpp`, naming the number and the maximum.
[[nodiscard]] Result<SegmentPlan> plan_segment_for(const SegmentShape& shape);

}  // namespace shmpool
