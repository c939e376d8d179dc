// SPDX-License-Identifier: Apache-2.0
/// The first byte of an input for heaps. It goes by the number of the kind, which never changes, so
/// that a corpus means the same when there are more kinds.
#pragma once

#include <cstdint>

#include "shmpool/layout/heap_image.hpp"

namespace shmpool::fuzz {

[[nodiscard]] constexpr std::uint8_t number_of(HeapKind kind, bool owned) {
    return static_cast<std::uint8_t>(2 * static_cast<std::uint32_t>(kind) + (owned ? 1U : 0U));
}

}  // namespace shmpool::fuzz
