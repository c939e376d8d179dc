// SPDX-License-Identifier: Apache-2.0
/// See monotonic_clock.hpp. clock_gettime can not fail for CLOCK_MONOTONIC.
#include "shmpool/platform/monotonic_clock.hpp"

#include <time.h>

namespace shmpool {

std::uint64_t monotonic_ns() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace shmpool
