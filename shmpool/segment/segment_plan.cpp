// SPDX-License-Identifier: Apache-2.0
#include "shmpool/segment/segment_plan.hpp"

#include <algorithm>
#include <iterator>
#include <string>

#include "shmpool/platform/alignment.hpp"

namespace shmpool {
namespace {

constexpr std::uint64_t memory_limit = std::uint64_t{1} << 46;

/// Appends `bytes` behind `end`, aligned; false when that leaves the addressable range.
bool append(std::uint64_t& end, std::uint64_t alignment, std::uint64_t bytes,
            std::uint64_t& offset) {
    offset = align_up(end, alignment);
    return !__builtin_add_overflow(offset, bytes, &end) && end <= memory_limit;
}

std::vector<ByteRange> backed_ranges(const RegionRequest& request, std::uint64_t offset) {
    if (!request.backed) return {{offset, request.length_bytes}};
    std::vector<ByteRange> ranges = *request.backed;
    for (ByteRange& range : ranges) range.offset += offset;
    return ranges;
}

}  // namespace

Result<SegmentPlan> plan_segment(std::span<const RegionRequest> requests) {
    if (requests.size() > region_count_max) {
        return fail(Errc::invalid_argument, std::to_string(requests.size()) +
                                                " regions are asked for; the directory holds " +
                                                std::to_string(region_count_max));
    }
    SegmentPlan plan;
    plan.control_backed.push_back({0, sizeof(SegmentHeader)});
    std::uint64_t control_end = sizeof(SegmentHeader);
    std::uint64_t payload_end = 0;
    for (const RegionRequest& request : requests) {
        RegionImage region{};
        region.kind = static_cast<std::uint32_t>(request.kind);
        region.shape = request.shape;
        region.length_bytes = request.length_bytes;
        region.item_count = request.item_count;
        region.item_bytes = request.item_bytes;
        std::uint64_t& end = lies_in_payload(request.kind) ? payload_end : control_end;
        const std::uint64_t alignment =
            request.kind == RegionKind::heap_memory ? large_page_bytes : page_bytes;
        if (!append(end, alignment, request.length_bytes, region.offset_bytes)) {
            return fail(Errc::size_overflow,
                        "the segment needs more than 64 TiB; use fewer or smaller slots");
        }
        plan.regions.push_back(region);
        auto& backed = lies_in_payload(request.kind) ? plan.payload_backed : plan.control_backed;
        std::ranges::copy(backed_ranges(request, region.offset_bytes), std::back_inserter(backed));
    }
    std::uint64_t unused = 0;
    if (!append(control_end, page_bytes, 0, plan.control_bytes) ||
        !append(payload_end, page_bytes, 0, unused)) {
        return fail(Errc::size_overflow, "the segment needs more than 64 TiB");
    }
    plan.payload_bytes = unused;
    return plan;
}

}  // namespace shmpool
