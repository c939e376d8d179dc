// SPDX-License-Identifier: Apache-2.0
/// A host's table of heaps, in a segment with room for four of them. Works have pieces of 64 KiB.
#pragma once

#include <gtest/gtest.h>

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

/// A piece is small, so that a small heap has several of them.
inline PieceRules small_pieces() {
    PieceRules pieces;
    pieces.bytes = 64 << 10;
    return pieces;
}

/// A verb, and all of its work.
inline Result<HeapId> finished(HeapDirectory& heaps, const Result<HeapWorkId>& work) {
    if (!work) return tl::unexpected(work.error());
    return heaps.finish(*work);
}

inline void finish_all(HeapDirectory& heaps) {
    while (heaps.has_work()) (void)heaps.do_a_piece();
}

class HeapDirectoryTest : public ::testing::Test {
protected:
    [[nodiscard]] PieceRules pieces() {
        PieceRules pieces = small_pieces();
        pieces.commit = [this](const Descriptor& object, std::uint64_t offset,
                               std::uint64_t bytes) -> Result<void> {
            if (pieces_left == 0) return fail(Errc::out_of_memory, "no piece is left");
            --pieces_left;
            took_what_is_not_there = took_what_is_not_there || bytes > available_bytes;
            available_bytes -= std::min(bytes, available_bytes);
            return commit_checked(object, offset, bytes);
        };
        pieces.check = [this](const Descriptor& object, std::uint64_t offset,
                              std::uint64_t bytes) -> Result<void> {
            if (bytes > available_bytes) return fail(Errc::out_of_memory, "there is too little");
            return check_memory_for(object, offset, bytes);
        };
        return pieces;
    }
    [[nodiscard]] HeapDirectory make_directory() {
        return {host.segment(), host.pool().view(), host.view(), memory, pieces()};
    }
    [[nodiscard]] Result<HeapId> create(const HeapRequest& request) {
        return finished(heaps, heaps.create(request));
    }
    [[nodiscard]] Result<HeapId> grow(HeapId heap, std::uint64_t to_bytes) {
        return finished(heaps, heaps.grow(heap, to_bytes));
    }
    [[nodiscard]] Result<HeapId> destroy(HeapId heap) {
        return finished(heaps, heaps.destroy(heap));
    }
    void take_over() {
        heaps.take_over();
        finish_all(heaps);
    }
    [[nodiscard]] std::uint64_t committed_bytes() {
        return host.segment().header().committed_bytes.load();
    }
    /// By the kernel's word.
    [[nodiscard]] std::uint64_t taken_bytes() { return backed_bytes(host.segment().payload()); }
    [[nodiscard]] Errc error_of(const HeapRequest& request) {
        const auto created = create(request);
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

    int pieces_left = 1'000'000;                  ///< Before the kernel refuses one.
    std::uint64_t available_bytes = 1ULL << 40U;  ///< As it is said before.
    bool took_what_is_not_there = false;
    TestHost host{shape_with_heaps()};
    Segment::Region memory = host.segment().region(RegionKind::heap_memory).value();
    HeapDirectory heaps = make_directory();
    std::uint64_t without_heaps_bytes = committed_bytes();
};

}  // namespace shmpool::testing_protocol
