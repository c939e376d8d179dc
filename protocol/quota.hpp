// SPDX-License-Identifier: Apache-2.0
/// How much of the pool a peer may hold, and all peers of its user together. What they hold is what
/// the words and lease masks of the slots say; that is counted, slot by slot, and nothing else is
/// believed: there is no counter that a death could leave wrong.
///
/// To count before every refill would be too dear. Between two counts a peer's holding can grow by
/// what it draws from the free lists, and by what it receives. What is drawn is summed up in
/// `drawn_slots` and `drawn_bytes` of its PeerImage, which only grow; so, after a count at the sum
/// S that found `used`, nobody need count again before the sum reaches S + limit - used:
///
///   no count needed  <=>  drawn <= until,   until = S + (limit - used),   S read before the count
///
/// Slots drawn while the count runs are taken into account twice, and thus on the safe side. A
/// peer that dies between its change of a list and its sum has nothing any more: it is reclaimed.
///
///   Bounds    A peer exceeds its quota by at most one magazine per lane (lanes that draw at once
///             do not wait for each other), and by what it has received since the last count: that
///             can not be refused.
///   Cost      no quota: four loads per refill. With one: two locked additions and a load of the
///             sum, for a user's quota of every peer's; and a count of the blocks that the lanes
///             ever touched, once per limit - used slots drawn.
///   I6        The peer itself is asked: a hostile one that writes its own words has no quota.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "protocol/protocol_view.hpp"
#include "shmpool/pool/draw_gate.hpp"
#include "shmpool/pool/pool_view.hpp"

namespace shmpool {

/// Whole slots, and their bytes.
struct Holding {
    std::uint64_t slots = 0;
    std::uint64_t bytes = 0;

    friend bool operator==(const Holding&, const Holding&) = default;
};

/// One attachment: the place, and whose turn it is there.
struct PeerTurn {
    std::uint32_t index = 0;
    std::uint32_t incarnation = 0;

    friend bool operator==(const PeerTurn&, const PeerTurn&) = default;
};

/// Slots whose word names a lane of one of the peers (on loan, cached, or moved and not yet taken),
/// and, once for each, the leases that they have taken. Exact on a quiet pool.
[[nodiscard]] Holding count_holding(const PoolView& pool, const ProtocolView& view,
                                    std::span<const PeerTurn> peers);

/// All peers of the user of one, itself included.
void find_peers_of_user(const ProtocolView& view, std::uint32_t user, std::vector<PeerTurn>& into);

struct QuotaUse {
    Holding used;
    Holding limit;  ///< 0: none.
};

/// For people, and for programs that want to know how near they are.
struct QuotaReport {
    std::uint32_t peer = 0;
    std::uint32_t user = 0;
    QuotaUse of_peer;
    QuotaUse of_user;

    /// Which limits are reached, by how much, and the keys to change.
    [[nodiscard]] std::string text() const;
};
[[nodiscard]] QuotaReport read_quota(const PoolView& pool, const ProtocolView& view,
                                     std::uint32_t peer_index);

/// The gate of one lane of one peer.
class LaneQuota final : public DrawGate {
public:
    /// `pool` and `view` live longer. The peer is attached.
    LaneQuota(const PoolView& pool, const ProtocolView& view, std::uint32_t peer_index);

    [[nodiscard]] std::uint32_t may_draw(std::uint32_t class_index, std::uint32_t wanted) override;
    void drawn(std::uint32_t class_index, std::uint32_t count) override;

private:
    /// One limit: of this peer, or of its user.
    struct Scope {
        Holding limit;
        std::vector<PeerTurn> peers;
        Holding until;
    };
    [[nodiscard]] std::uint32_t room(Scope& scope, const Holding& limit,
                                     std::span<const PeerTurn> peers, std::uint64_t slot_bytes);
    [[nodiscard]] Holding sum_drawn(std::span<const PeerTurn> peers) const;

    const PoolView& pool_;
    const ProtocolView& view_;
    PeerImage& place_;
    const PeerTurn self_;
    Scope of_peer_;
    Scope of_user_;
    std::vector<PeerTurn> peers_of_user_;
    bool limited_ = false;  ///< As found by the last may_draw.
};

}  // namespace shmpool
