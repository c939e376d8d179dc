// SPDX-License-Identifier: Apache-2.0
/// A host's table of heaps, in a segment with room for four of them.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>
#include <utility>

#include "protocol/heap_directory.hpp"
#include "scenarios.hpp"
#include "test_host.hpp"

namespace shmpool::testing_protocol {

inline constexpr std::uint64_t room_bytes = 1 << 20;

inline SegmentShape shape_with_heaps() {
    SegmentShape shape = small_shape();
    shape.heaps = 4;
    shape.heap_bytes = room_bytes;
    return shape;
}

inline HeapRequest asked(const char* name, std::uint64_t bytes, std::uint64_t ticket = 0) {
    HeapRequest request;
    request.name = name;
    request.kind = HeapKind::tlsf;
    request.bytes = bytes;
    request.ticket = ticket;
    return request;
}

class HeapDirectoryTest : public ::testing::Test {
protected:
    [[nodiscard]] HeapDirectory make_directory() {
        return {host.segment(), host.pool().view(), host.view(), memory};
    }
    [[nodiscard]] std::uint64_t committed_bytes() {
        return host.segment().header().committed_bytes.load();
    }
    /// By the kernel's word.
    [[nodiscard]] std::uint64_t taken_bytes() {
        struct stat status {};
        EXPECT_EQ(::fstat(host.segment().payload().get(), &status), 0);
        return static_cast<std::uint64_t>(status.st_blocks) * 512;
    }
    [[nodiscard]] Errc error_of(const HeapRequest& request) {
        const auto created = heaps.create(request);
        return created ? Errc::internal_fault : created.error().code;
    }
    /// Extents of all heaps; a failure if two overlap.
    void expect_apart() {
        std::uint64_t end = 0;
        std::set<std::pair<std::uint64_t, std::uint64_t>> extents;
        for (const HeapEntry& one : read_heaps(host.view())) {
            extents.emplace(host.view().heaps.at(one.id.index).offset.load(), one.bytes);
        }
        for (const auto& [offset, bytes] : extents) {
            EXPECT_GE(offset, end);
            end = offset + bytes;
        }
        EXPECT_LE(end, room_bytes);
    }

    TestHost host{shape_with_heaps()};
    Segment::Region memory = host.segment().region(RegionKind::heap_memory).value();
    HeapDirectory heaps = make_directory();
    std::uint64_t without_heaps_bytes = committed_bytes();
};

}  // namespace shmpool::testing_protocol
