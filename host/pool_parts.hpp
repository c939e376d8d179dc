// SPDX-License-Identifier: Apache-2.0
/// What the service of one segment is made of, before anybody is served.
#pragma once

#include <memory>

#include "host/beacon_watcher.hpp"
#include "host/heap_thread.hpp"
#include "host/segment_steward.hpp"

namespace shmpool::host {

/// All of it is fresh with every segment, like all numbers of peers.
struct PoolParts {
    std::unique_ptr<SegmentSteward> steward;
    std::unique_ptr<BeaconWatcher> beacons;
    std::unique_ptr<HeapThread> builder;  ///< Behind the steward, whose segment it writes into.

    /// A new segment. out_of_memory while an old one still needs the room.
    [[nodiscard]] static Result<PoolParts> create(const PoolConfig& config);
    /// Of a segment that there is.
    [[nodiscard]] static Result<PoolParts> around(std::unique_ptr<SegmentSteward> steward);
};

}  // namespace shmpool::host
