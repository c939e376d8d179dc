// SPDX-License-Identifier: Apache-2.0
/// What `doctor` checks beyond the pool's own audit: that slots, lanes, peers, channels and rings
/// agree with each other. A look reads the tables first and the slots second, so that whoever comes
/// in between is no finding at the next look; what an operation that is under way explains does not
/// count at all.
///
///   I1  a slot in transit stands in a ring of its sender
///   I2  a lane that is owned belongs to a peer that is there
///   I2  an open publisher or subscriber belongs to a peer that is there
///   I2  a lease belongs to a subscriber of the slot's channel, or to a publisher that is there
///   I3  no two subscribers of a channel have the same lease bit
///   I6  states, indices, entries and positions are possible ones
///   I6  no two rings share entries
#pragma once

#include <vector>

#include "protocol/protocol_view.hpp"
#include "shmpool/pool/pool_audit.hpp"

namespace shmpool::cli {

/// One look: exact on a quiet pool.
[[nodiscard]] std::vector<AuditFinding> audit_protocol(const PoolView& pool,
                                                       const ProtocolView& view,
                                                       std::size_t limit = 100);

}  // namespace shmpool::cli
