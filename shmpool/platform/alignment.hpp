// SPDX-License-Identifier: Apache-2.0
/// Multiples of a power of two; other alignments give nonsense, and a value within one alignment of
/// the top wraps to 0: callers have checked both.
#pragma once

#include <cstdint>

namespace shmpool {

/// The next multiple at or below the value.
[[nodiscard]] constexpr std::uint64_t align_down(std::uint64_t value, std::uint64_t alignment) {
    return value & ~(alignment - 1);
}
/// The next multiple at or above the value.
[[nodiscard]] constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
    return align_down(value + alignment - 1, alignment);
}
[[nodiscard]] constexpr bool is_aligned(std::uint64_t value, std::uint64_t alignment) {
    return align_down(value, alignment) == value;
}

}  // namespace shmpool
