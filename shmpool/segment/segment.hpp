// SPDX-License-Identifier: Apache-2.0
/// A segment as one process has it: two memory objects, control and payload, each mapped once at
/// its full size. The host creates one; everybody opens what he gets through a socket. What is read
/// from the directory is checked against the true sizes of the memory objects (I6).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "shmpool/layout/segment_header.hpp"
#include "shmpool/platform/descriptor.hpp"
#include "shmpool/platform/result.hpp"
#include "shmpool/platform/shared_mapping.hpp"
#include "shmpool/segment/segment_plan.hpp"

namespace shmpool {

class Segment {
public:
    /// Creates both memory objects, seals them, commits what the plan says (out_of_memory if there
    /// is not enough: nobody will ever get SIGBUS) and writes header and directory. `publish` comes
    /// last.
    [[nodiscard]] static Result<Segment> create(std::string_view pool_name, const SegmentPlan& plan,
                                                std::uint32_t layout_fingerprint);

    /// Maps what a host has passed. An observer has control only, read-only: no payload descriptor.
    [[nodiscard]] static Result<Segment> open(Descriptor control, Descriptor payload, Access access,
                                              std::uint32_t layout_fingerprint) {
        return open(std::move(control), std::move(payload), access, access, layout_fingerprint);
    }
    /// A read-only peer writes control but only reads the payload.
    [[nodiscard]] static Result<Segment> open(Descriptor control, Descriptor payload, Access access,
                                              Access payload_access,
                                              std::uint32_t layout_fingerprint);

    /// The segment is complete: from now on it can be opened.
    void publish();

    [[nodiscard]] SegmentHeader& header() const { return *header_; }
    [[nodiscard]] std::uint64_t control_bytes() const { return control_map_.bytes(); }
    [[nodiscard]] std::uint64_t payload_bytes() const { return payload_map_.bytes(); }
    [[nodiscard]] std::span<std::byte> payload_span() const { return payload_map_.span(); }
    [[nodiscard]] const Descriptor& control() const { return control_; }
    [[nodiscard]] const Descriptor& payload() const { return payload_; }

    /// Bytes and directory entry of the first region of a kind; damaged_header when there is none
    /// or it does not lie inside its memory.
    struct Region {
        std::span<std::byte> bytes;
        RegionImage image;
    };
    [[nodiscard]] Result<Region> region(RegionKind kind) const;

private:
    Segment(Descriptor control, Descriptor payload, SharedMapping control_map,
            SharedMapping payload_map);

    Descriptor control_;
    Descriptor payload_;
    SharedMapping control_map_;
    SharedMapping payload_map_;
    SegmentHeader* header_;
};

}  // namespace shmpool
