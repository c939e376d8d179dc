// SPDX-License-Identifier: Apache-2.0
/// Waits of the library, cut into slices, so that a stop signal is seen between them.
#pragma once

#include <algorithm>
#include <chrono>
#include <utility>

#include "peer/cli/stop_signal.hpp"
#include "shmpool/platform/monotonic_clock.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool::cli {

inline constexpr std::chrono::nanoseconds wait_slice = std::chrono::milliseconds(100);

/// Somebody else, or another thread, may help.
[[nodiscard]] constexpr bool may_pass(Errc code) {
    return code == Errc::timed_out || code == Errc::quota_exceeded;
}

/// Calls `attempt(timeout)` until it says something other than timed_out or quota_exceeded, the
/// deadline has passed, or a stop signal has come (ask `stop`).
template <typename Attempt>
[[nodiscard]] auto with_patience(const Deadline& deadline, const StopSignal& stop,
                                 Attempt attempt) {
    auto outcome = attempt(std::min(wait_slice, deadline.remaining()));
    while (!outcome && may_pass(outcome.error()) && !deadline.expired() && !stop.requested()) {
        outcome = attempt(std::min(wait_slice, deadline.remaining()));
    }
    return outcome;
}

}  // namespace shmpool::cli
