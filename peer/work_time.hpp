// SPDX-License-Identifier: Apache-2.0
/// How long a host in good health may take for what moves memory.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace shmpool {

/// That a host may take to move so much memory, others' in turn with it: a machine that is busy
/// needs 0.4 s for 1 GiB, and some twenty may be at it.
[[nodiscard]] inline std::chrono::nanoseconds time_to_move(std::uint64_t bytes) {
    constexpr std::uint64_t bytes_per_second = 128 << 20;
    constexpr std::uint64_t longest_s = 24 * 60 * 60;  // More bytes than that are refused at once.
    return std::chrono::seconds(std::min(bytes / bytes_per_second, longest_s));
}

/// To give back what there may be.
inline constexpr std::chrono::minutes time_to_give_back{1};

}  // namespace shmpool
