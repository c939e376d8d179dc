// SPDX-License-Identifier: Apache-2.0
/// How much of a segment is memory, in whole pages: all of control and of the pool's payload but
/// the room that size classes have not grown into, and what heaps have. Read from the segment, so
/// that a host that dies in between is not missed. Host only.
#pragma once

#include "protocol/protocol_view.hpp"
#include "shmpool/pool/pool_view.hpp"
#include "shmpool/segment/segment.hpp"

namespace shmpool {

/// Writes it into the segment's header, for everybody to see.
void show_committed(const Segment& segment, const PoolView& pool, const ProtocolView& view);

}  // namespace shmpool
