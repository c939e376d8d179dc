// SPDX-License-Identifier: Apache-2.0
/// What a user asks of one size class.
#pragma once

#include <cstdint>

namespace shmpool {

struct SizeClassConfig {
    std::uint64_t slot_size = 0;   ///< Bytes a slot can hold: 64 B .. 1 GiB.
    std::uint32_t slot_count = 0;  ///< 1 .. 2^24.
    std::uint32_t slot_limit = 0;  ///< That the class may grow to; 0: it does not grow.
    /// Who finds no slot has the host let it grow. A pool knows of no host: it only passes it on.
    bool grow_when_exhausted = false;

    [[nodiscard]] constexpr bool grows() const { return slot_limit > slot_count; }
    /// How many slots there may ever be.
    [[nodiscard]] constexpr std::uint32_t most_slots() const {
        return grows() ? slot_limit : slot_count;
    }

    friend bool operator==(const SizeClassConfig&, const SizeClassConfig&) = default;
};

}  // namespace shmpool
