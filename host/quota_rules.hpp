// SPDX-License-Identifier: Apache-2.0
/// How much of the pool a peer may hold, and all peers of one user together, and how many peers one
/// user may have: for everybody, and for single users instead. The host writes the numbers of slots
/// and bytes where the peer finds them (see protocol/quota.hpp), at its attachment and, after
/// another host, when it takes over; peers it counts itself.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "protocol/layout/protocol_images.hpp"
#include "shmpool/platform/process.hpp"

namespace shmpool::host {

/// 0: no limit. Bytes are those of whole slots.
struct Quota {
    std::uint32_t peer_slots = 0;
    std::uint64_t peer_bytes = 0;
    std::uint32_t user_slots = 0;
    std::uint64_t user_bytes = 0;
    std::uint32_t user_peers = 0;

    friend bool operator==(const Quota&, const Quota&) = default;
};

struct UserQuota : Quota {
    uid_t user = 0;

    friend bool operator==(const UserQuota&, const UserQuota&) = default;
};

struct QuotaRules {
    Quota everybody;
    std::vector<UserQuota> users;

    [[nodiscard]] const Quota& of(uid_t user) const {
        const auto own = std::ranges::find(users, user, &UserQuota::user);
        return own == users.end() ? everybody : *own;
    }

    friend bool operator==(const QuotaRules&, const QuotaRules&) = default;
};

/// Relaxed: numbers that order nothing; a peer that reads an old one reads the new one soon.
inline void write_quota(PeerImage& place, const Quota& quota) {
    place.quota_slots.store(quota.peer_slots, std::memory_order_relaxed);
    place.quota_bytes.store(quota.peer_bytes, std::memory_order_relaxed);
    place.user_quota_slots.store(quota.user_slots, std::memory_order_relaxed);
    place.user_quota_bytes.store(quota.user_bytes, std::memory_order_relaxed);
}

}  // namespace shmpool::host
