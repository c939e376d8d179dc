// SPDX-License-Identifier: Apache-2.0
/// Taking back everything that a dead (or orderly leaving) peer held: the order of the steps.
///   1 intents of its lanes         what its last changes of free lists did is decided
///   2 its publishers               intents decided; rings become orphans, readers drain them
///   3 its subscribers              rings closed and drained
///   4 its leases                   bits of its subscribers, in the blocks its lanes touched
///   5 its slots                    every word that names its lanes, except slots in orphaned rings
///   6 its lanes and its number     free again when nothing names them any more
/// Every step may be repeated by the next host (I2). Host only, one thread.
#pragma once

#include <cstdint>

#include "protocol/channel_directory.hpp"

namespace shmpool {

struct Reclaimed {
    std::uint64_t slots = 0;  ///< Taken back now.
    bool finished = false;    ///< False: readers still drain its rings; call again later.
};

class PeerReclaim {
public:
    PeerReclaim(VarSlotPool& pool, Lane& lane, const ProtocolView& view,
                ChannelDirectory& directory)
        : pool_(pool), lane_(lane), view_(view), directory_(directory) {}

    /// The kernel has said that the peer is dead, or it has said farewell (`how` = left).
    /// Idempotent. Leaves the peer's state `empty` or `lingering`.
    Reclaimed reclaim(std::uint32_t peer_index, EndpointState how);

private:
    void end_endpoints(std::uint32_t peer_index, EndpointState how);
    void give_up_leases(std::uint32_t peer_index, std::uint32_t lane_index);
    [[nodiscard]] bool endpoint_of(std::uint32_t peer_index, const Atomic<std::uint32_t>& state,
                                   const Atomic<std::uint32_t>& owner_index,
                                   const Atomic<std::uint32_t>& owner_incarnation) const;
    [[nodiscard]] bool has_publishers(std::uint32_t peer_index) const;

    VarSlotPool& pool_;
    Lane& lane_;
    const ProtocolView& view_;
    ChannelDirectory& directory_;
};

}  // namespace shmpool
