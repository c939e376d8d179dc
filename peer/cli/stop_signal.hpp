// SPDX-License-Identifier: Apache-2.0
/// SIGINT and SIGTERM as something to wait for, so that a command ends in good order: loans and
/// samples go back, the host gets a goodbye. The second signal ends the process as usual; then the
/// host takes back what was held.
#pragma once

#include <chrono>

#include "shmpool/platform/result.hpp"

namespace shmpool::cli {

/// At most one per process, because signals are the process's.
class StopSignal {
public:
    [[nodiscard]] static Result<StopSignal> install();

    [[nodiscard]] bool requested() const;
    /// Readable once a signal has come, and ever after.
    [[nodiscard]] int descriptor() const;
    /// Sleeps; false if a signal came before the time was over.
    bool sleep_for(std::chrono::nanoseconds duration) const;

private:
    StopSignal() = default;
};

}  // namespace shmpool::cli
