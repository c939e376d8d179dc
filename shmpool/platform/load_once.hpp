// SPDX-License-Identifier: Apache-2.0
/// A private copy of plain numbers that lie in shared memory. The compiler may not read them a
/// second time, so what was checked is what is used, whoever writes meanwhile (I6).
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace shmpool {

template <typename T>
[[nodiscard]] T load_once(const T& shared) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % sizeof(std::uint32_t) == 0 &&
                  alignof(T) >= alignof(std::uint32_t));
    using Words = std::uint32_t __attribute__((may_alias));
    T copy{};
    const auto* const from = reinterpret_cast<const volatile Words*>(&shared);
    auto* const to = reinterpret_cast<Words*>(&copy);
    for (std::size_t i = 0; i < sizeof(T) / sizeof(std::uint32_t); ++i) to[i] = from[i];
    return copy;
}

}  // namespace shmpool
