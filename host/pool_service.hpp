// SPDX-License-Identifier: Apache-2.0
/// Everything of a host that belongs to one segment: the segment itself, who is attached to it, and
/// the sessions in which they talk. A pool that is made anew gets another service; the old one ends
/// as a whole, and nothing of it can be mistaken for something of the new one.
#pragma once

#include "host/closer.hpp"
#include "host/control_server.hpp"
#include "host/damage_watch.hpp"

namespace shmpool::host {

/// What outlives every segment.
struct PoolSurroundings {
    LocalListener& listener;
    EventQueue& queue;
    const Closer& closer;
    const PoolConfig& config;
    const HostLog& log;
};

/// The event loop's thread. Pinned: the parts point at each other.
class PoolService {
public:
    PoolService(PoolParts parts, const PoolSurroundings& around);
    PoolService(const PoolService&) = delete;
    PoolService& operator=(const PoolService&) = delete;

private:
    PoolParts parts_;

public:
    SegmentSteward& steward;
    BeaconWatcher& beacons;
    HeapThread& builder;
    ChannelDirectory directory;
    PeerRegistry registry;
    Reaper reaper;
    RequestDesk desk;
    ControlServer server;
    DamageWatch damage;
};

}  // namespace shmpool::host
