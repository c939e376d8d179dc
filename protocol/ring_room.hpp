// SPDX-License-Identifier: Apache-2.0
/// The rings and entries that nobody uses, as the tables say at one moment. The host alone makes
/// rings, so what it has found stays free while it makes several: one look for all of them, whose
/// time grows with the table, not with the table for each ring.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "protocol/protocol_view.hpp"
#include "shmpool/pool/pool_view.hpp"

namespace shmpool {

class RingRoom {
public:
    /// A ring whose words can not be is left alone, and the pool marked as damaged.
    RingRoom(const PoolView& pool, const ProtocolView& view);

    struct Place {
        std::uint32_t ring_index;
        std::uint64_t entries_offset;
    };
    /// The first free ring, and the first free entries that suffice. None: nothing is taken.
    [[nodiscard]] std::optional<Place> take(std::uint64_t capacity);

private:
    struct Gap {
        std::uint64_t begin;
        std::uint64_t end;
    };

    std::vector<std::uint32_t> rings_;  ///< Free ones, the first of them last.
    std::vector<Gap> gaps_;
};

}  // namespace shmpool
