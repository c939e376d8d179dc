// SPDX-License-Identifier: Apache-2.0
/// Where a starting host gets its segment from. The segment of a host that died lives as long as
/// somebody has it open, and whoever has it hands it over:
///
///   1 the service manager, which keeps descriptors for us (file descriptor store)
///   2 a peer that comes back and says Rejoin; waited for only if a stale socket tells that a host
///     died here and a living peer's mark tells that somebody may come
///   3 nobody: it is made anew. But who lacks descriptors or memory to take what living peers have
///     ends, and leaves them, by its stale socket, to the next host
///
/// Who connects meanwhile is let in but not yet answered: what he says stays in his socket, a
/// Rejoin is only peeked at, and all of them are served when there is a segment.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "host/closer.hpp"
#include "host/host_log.hpp"
#include "host/segment_steward.hpp"
#include "protocol/wire/local_socket.hpp"

namespace shmpool::host {

struct SegmentSource {
    std::unique_ptr<SegmentSteward> steward;
    std::vector<LocalConnection> callers;  ///< Connected, not yet answered.
};

/// Ends at the latest after the configured patience. Fails only for want of descriptors or memory.
[[nodiscard]] Result<SegmentSource> find_or_make_segment(const PoolConfig& config,
                                                         LocalListener& listener,
                                                         const Closer& closer, const HostLog& log);

}  // namespace shmpool::host
