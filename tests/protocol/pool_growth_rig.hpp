// SPDX-License-Identifier: Apache-2.0
/// A host with two size classes that grow, and a peer that takes all there is. Pieces of memory are
/// small, so that a small step has several of them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "protocol/pool_growth.hpp"
#include "test_host.hpp"

namespace shmpool::testing_protocol {

inline constexpr std::uint64_t large = 4096;  // So that a slot is a page of payload.
inline constexpr std::uint64_t small = 256;
inline constexpr std::uint32_t at_first = 64;
inline constexpr std::uint32_t limit = 1024;
inline constexpr std::uint64_t piece_bytes = 64 << 10;
inline constexpr std::uint32_t links = 40;

inline SegmentShape growing_shape() {
    SegmentShape shape = small_shape();
    shape.classes = {{small, at_first, limit}, {large, at_first, limit}};
    return shape;
}

inline PieceRules growth_pieces() {
    PieceRules rules;
    rules.bytes = piece_bytes;
    return rules;
}

/// One host's growth of a segment.
struct GrowingHost {
    explicit GrowingHost(TestHost& host, PieceRules rules = growth_pieces())
        : growth(host.segment(), host.pool(), host.view(), host.lane(),
                 PoolRegions::of(host.segment()).value(), std::move(rules), links) {}

    void do_pieces(int count) {
        for (int i = 0; i < count; ++i) note(growth.do_a_piece());
    }
    void do_all() {
        for (int pieces = 0; growth.has_work(); ++pieces) {
            ASSERT_LT(pieces, 100'000) << "works have an end";
            note(growth.do_a_piece());
        }
    }
    Result<std::uint32_t> finished(const Result<GrowthId>& id) {
        if (!id) return tl::unexpected(id.error());
        do_all();
        return over.at(*id);
    }
    void note(const std::vector<GrowthDone>& done) {
        for (const GrowthDone& one : done) over.emplace(one.id, one.result);
    }
    [[nodiscard]] bool is_over(const Result<GrowthId>& id) const { return over.contains(*id); }

    PoolGrowth growth;
    std::map<GrowthId, Result<std::uint32_t>> over;
};

/// By the kernel's word.
inline std::uint64_t taken_bytes(TestHost& host) {
    return backed_bytes(host.segment().payload()) + backed_bytes(host.segment().control());
}

/// All slots that can be had of exactly this class, each filled with its own byte.
inline std::vector<SlotRef> fill(TestPeer& peer, std::uint64_t slot_bytes) {
    std::vector<SlotRef> all;
    for (;;) {
        const auto ref = peer.pool().allocate(peer.lane(), slot_bytes);
        if (!ref || peer.pool().view().classes[ref->class_index].slot_bytes != slot_bytes) {
            const bool is_back = !ref || peer.pool().free(peer.lane(), *ref);
            EXPECT_TRUE(is_back);
            return all;
        }
        const auto data = peer.pool().slot_data_mut(*ref).value();
        std::memset(data.data(), static_cast<int>(all.size() & 0xFF), data.size());
        all.push_back(*ref);
    }
}

/// How many of them are not as they were filled.
inline std::size_t spoilt(TestPeer& peer, const std::vector<SlotRef>& all) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto data = peer.pool().slot_data_mut(all[i]).value();
        const auto is_other = [i](std::byte one) { return one != std::byte(i & 0xFF); };
        count += std::ranges::any_of(data, is_other) ? 1U : 0U;
    }
    return count;
}

inline void free_all(TestPeer& peer, const std::vector<SlotRef>& all) {
    for (const SlotRef& ref : all) EXPECT_TRUE(peer.pool().free(peer.lane(), ref));
    peer.flush();
}

}  // namespace shmpool::testing_protocol
