// SPDX-License-Identifier: Apache-2.0
/// What a user asks of one size class.
#pragma once

#include <cstdint>

namespace shmpool {

struct SizeClassConfig {
    std::uint64_t slot_size = 0;   ///< Bytes a slot can hold: 64 B .. 1 GiB.
    std::uint32_t slot_count = 0;  ///< 1 .. 2^24.

    friend bool operator==(const SizeClassConfig&, const SizeClassConfig&) = default;
};

}  // namespace shmpool
