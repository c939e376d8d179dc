// SPDX-License-Identifier: Apache-2.0
#include "shmpool/segment/segment.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "shmpool/layout/abi_constants.hpp"
#include "shmpool/platform/alignment.hpp"
#include "shmpool/platform/load_once.hpp"
#include "shmpool/platform/memory_object.hpp"
#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool {
namespace {

Result<void> check_header(const SegmentHeader& header, std::uint64_t control_bytes,
                          std::uint32_t fingerprint) {
    const std::uint32_t version =
        header.layout_version.load(std::memory_order_acquire);  // [A-segment]
    if (version == 0) {
        return fail(Errc::not_yet_published, "the segment is not yet published; try again");
    }
    if (header.magic != segment_magic) {
        return fail(Errc::wrong_magic, "the memory passed by the host is no shmpool segment");
    }
    if (version != layout_version) {
        return fail(Errc::wrong_layout_version, "the segment has layout version " +
                                                    std::to_string(version) + ", this build has " +
                                                    std::to_string(layout_version));
    }
    if (header.layout_fingerprint != fingerprint) {
        return fail(Errc::wrong_fingerprint, "the segment has layout fingerprint " +
                                                 std::to_string(header.layout_fingerprint) +
                                                 ", this build has " + std::to_string(fingerprint));
    }
    if (header.control_bytes != control_bytes || header.region_count > region_count_max) {
        return fail(Errc::damaged_header, "the segment's header does not fit its size");
    }
    return {};
}

/// Ascending ranges; returns how many bytes of whole pages they are.
Result<std::uint64_t> commit_all(const Descriptor& object, std::span<const ByteRange> ranges) {
    std::uint64_t bytes = 0;
    std::uint64_t end = 0;
    for (const ByteRange& range : ranges) {
        if (range.bytes == 0) continue;
        if (auto done = commit(object, range.offset, range.bytes); !done) {
            return tl::unexpected(done.error());
        }
        const std::uint64_t first = std::max(end, align_down(range.offset, page_bytes));
        end = std::max(end, align_up(range.end(), page_bytes));
        bytes += end - std::min(end, first);
    }
    return bytes;
}

}  // namespace

Segment::Segment(Descriptor control, Descriptor payload, SharedMapping control_map,
                 SharedMapping payload_map)
    : control_(std::move(control)),
      payload_(std::move(payload)),
      control_map_(std::move(control_map)),
      payload_map_(std::move(payload_map)),
      header_(reinterpret_cast<SegmentHeader*>(control_map_.base())) {}

Result<Segment> Segment::create(std::string_view pool_name, const SegmentPlan& plan,
                                std::uint32_t layout_fingerprint) {
    auto control = create_memory_object("shmpool-control", plan.control_bytes);
    if (!control) return tl::unexpected(control.error());
    auto payload = create_memory_object("shmpool-payload", plan.payload_bytes);
    if (!payload) return tl::unexpected(payload.error());
    const auto in_control = commit_all(*control, plan.control_backed);
    if (!in_control) return tl::unexpected(in_control.error());
    const auto in_payload = commit_all(*payload, plan.payload_backed);
    if (!in_payload) return tl::unexpected(in_payload.error());
    auto control_map = SharedMapping::map(*control, plan.control_bytes, Access::read_write);
    if (!control_map) return tl::unexpected(control_map.error());
    auto payload_map = SharedMapping::map(*payload, plan.payload_bytes, Access::read_write);
    if (!payload_map) return tl::unexpected(payload_map.error());

    Segment segment(std::move(*control), std::move(*payload), std::move(*control_map),
                    std::move(*payload_map));
    SegmentHeader& header = segment.header();
    header.magic = segment_magic;
    header.layout_fingerprint = layout_fingerprint;
    header.control_bytes = plan.control_bytes;
    header.payload_bytes = plan.payload_bytes;
    header.committed_bytes.store(*in_control + *in_payload, std::memory_order_relaxed);
    header.region_count = static_cast<std::uint32_t>(plan.regions.size());
    header.created_ns = monotonic_ns();
    std::ranges::copy(pool_name.substr(0, pool_name_bytes - 1), header.pool_name);
    std::ranges::copy(plan.regions, header.regions);
    return segment;
}

void Segment::publish() {
    header_->layout_version.store(layout_version, std::memory_order_release);  // [R-segment]
}

Result<Segment> Segment::open(Descriptor control, Descriptor payload, Access access,
                              Access payload_access, std::uint32_t layout_fingerprint) {
    if (auto sealed = check_seals(control); !sealed) return tl::unexpected(sealed.error());
    const auto control_bytes = size_of(control);
    if (!control_bytes) return tl::unexpected(control_bytes.error());
    if (*control_bytes < sizeof(SegmentHeader)) {
        return fail(Errc::region_too_small, "the control memory passed by the host is too short");
    }
    auto control_map = SharedMapping::map(control, *control_bytes, access);
    if (!control_map) return tl::unexpected(control_map.error());
    const auto& header = *reinterpret_cast<const SegmentHeader*>(control_map->base());
    if (auto sound = check_header(header, *control_bytes, layout_fingerprint); !sound) {
        return tl::unexpected(sound.error());
    }
    SharedMapping payload_map;
    if (payload) {
        if (auto sealed = check_seals(payload); !sealed) return tl::unexpected(sealed.error());
        const auto payload_bytes = size_of(payload);
        if (!payload_bytes) return tl::unexpected(payload_bytes.error());
        if (*payload_bytes != header.payload_bytes) {
            return fail(Errc::damaged_header,
                        "the payload memory has " + std::to_string(*payload_bytes) +
                            " bytes, the header says " + std::to_string(header.payload_bytes));
        }
        auto mapped = SharedMapping::map(payload, *payload_bytes, payload_access);
        if (!mapped) return tl::unexpected(mapped.error());
        payload_map = std::move(*mapped);
    }
    return Segment(std::move(control), std::move(payload), std::move(*control_map),
                   std::move(payload_map));
}

Result<Segment::Region> Segment::region(RegionKind kind) const {
    const std::uint32_t count = std::min(load_once(header_->region_count), region_count_max);
    for (std::uint32_t i = 0; i < count; ++i) {
        const RegionImage image = load_once(header_->regions[i]);
        if (image.kind != static_cast<std::uint32_t>(kind)) continue;
        const SharedMapping& memory = lies_in_payload(kind) ? payload_map_ : control_map_;
        if (image.offset_bytes % page_bytes != 0 || image.offset_bytes > memory.bytes() ||
            memory.bytes() - image.offset_bytes < image.length_bytes ||
            std::uint64_t{image.item_count} * image.item_bytes > image.length_bytes) {
            return fail(Errc::damaged_header,
                        "region " + std::to_string(i) + " lies outside of its memory");
        }
        return Region{{memory.base() + image.offset_bytes, image.length_bytes}, image};
    }
    return fail(Errc::damaged_header, "the segment has no region of kind " +
                                          std::to_string(static_cast<std::uint32_t>(kind)));
}

}  // namespace shmpool
