// SPDX-License-Identifier: Apache-2.0
/// The counters of one subscriber, added up over its rings and those that are gone. Statistics:
/// read beside everybody, exact when nothing moves. The segment may be mapped read-only.
#pragma once

#include <cstdint>

#include "protocol/protocol_view.hpp"

namespace shmpool {

struct QueueTotals {
    std::uint64_t queued = 0;  ///< Waiting now.
    std::uint64_t received = 0;
    std::uint64_t dropped = 0;  ///< Not put in, or taken out again, because the queue was full.
};

/// The caller has checked the index.
[[nodiscard]] QueueTotals read_queue_totals(const ProtocolView& view,
                                            std::uint32_t subscriber_index);

}  // namespace shmpool
