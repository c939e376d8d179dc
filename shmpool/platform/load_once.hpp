// SPDX-License-Identifier: Apache-2.0
/// A private copy of plain numbers that lie in shared memory. The compiler may not read them a
/// second time, so what was checked is what is used, whoever writes meanwhile (I6).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace shmpool {

template <typename T>
[[nodiscard]] T load_once(const T& shared) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % sizeof(std::uint32_t) == 0 &&
                  alignof(T) >= alignof(std::uint32_t));
    typedef std::uint32_t Word __attribute__((may_alias));  // `using` would lose the attribute.
    std::array<std::uint32_t, sizeof(T) / sizeof(std::uint32_t)> copy;
    const auto* const from = reinterpret_cast<const volatile Word*>(&shared);
    for (std::size_t i = 0; i < copy.size(); ++i) copy[i] = from[i];
    return std::bit_cast<T>(copy);
}

}  // namespace shmpool
