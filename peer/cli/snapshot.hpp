// SPDX-License-Identifier: Apache-2.0
/// Everything that `status`, `classes`, `peers` and `channels` show, read from the segment in one
/// walk over the slots. Nobody is stopped: on a moving pool the numbers are of slightly different
/// moments; on a quiet one they are exact, and the five states of a class add up to its slot_count.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "peer/cli/observer.hpp"
#include "protocol/quota.hpp"
#include "shmpool/pool/pool_statistics.hpp"

namespace shmpool::cli {

struct SegmentNumbers {
    std::uint64_t bytes = 0;
    std::uint64_t committed_bytes = 0;
    std::uint32_t layout_version = 0;
    std::uint32_t layout_fingerprint = 0;
};

struct PeerNumbers {
    std::uint32_t id = 0;
    std::string name;
    std::uint32_t pid = 0;
    std::uint32_t uid = 0;
    std::string state;
    bool read_only = false;
    std::uint32_t lanes = 0;
    std::uint64_t cached = 0;  ///< Slots in its magazines.
    std::uint64_t loaned = 0;  ///< Slots in its hands, or moved by it and not yet taken.
    std::uint64_t leases = 0;
    std::uint64_t bytes_held = 0;  ///< Whole slots, loaned and leased.
    QuotaReport quota;
    double attached_seconds = 0;
};

struct SubscriberNumbers {
    std::uint32_t peer = 0;
    std::uint32_t depth = 0;
    std::uint64_t queued = 0;
    std::uint64_t received_total = 0;
    std::uint64_t dropped_total = 0;
};

struct ChannelNumbers {
    std::string name;
    std::string policy;
    std::string type;  ///< Empty: plain bytes.
    std::uint64_t type_bytes = 0;
    std::uint32_t publishers = 0;
    std::uint64_t published_total = 0;
    std::vector<SubscriberNumbers> subscribers;
};

/// Of peers that died; moments of CLOCK_MONOTONIC, 0: nobody has died yet.
struct ReclaimNumbers {
    std::uint64_t peers_total = 0;
    std::uint64_t slots_total = 0;
    std::uint64_t last_notice_at_ns = 0;
    std::uint64_t last_reclaim_at_ns = 0;
};

struct Snapshot {
    std::string name;
    std::uint32_t host_pid = 0;
    std::string host_state;
    bool damaged = false;
    SegmentNumbers segment;
    std::vector<ClassStatistics> classes;
    std::vector<PeerNumbers> peers;
    std::vector<ChannelNumbers> channels;
    ReclaimNumbers reclaims;
};

[[nodiscard]] Snapshot take_snapshot(const Observer& observer);

}  // namespace shmpool::cli
