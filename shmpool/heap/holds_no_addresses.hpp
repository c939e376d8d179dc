// SPDX-License-Identifier: Apache-2.0
/// What may lie in a heap and be used by several processes, each of which has it at an address of
/// its own.
#pragma once

#include <type_traits>
#include <utility>

namespace shmpool {

/// Its bytes mean the same in every process: no pointers, no references, nothing that holds an
/// address or a descriptor. Types with constructors of their own, like those of `offset_ptr`, are
/// declared so by who knows them:   template <> inline constexpr bool holds_no_addresses<X> = true;
/// A trivial type that has a pointer in it no compiler can tell.
template <typename T>
inline constexpr bool holds_no_addresses = std::is_trivially_copyable_v<T>;
template <typename First, typename Second>
inline constexpr bool holds_no_addresses<std::pair<First, Second>> =
    holds_no_addresses<std::remove_cv_t<First>>&& holds_no_addresses<std::remove_cv_t<Second>>;

template <typename T>
concept SharedObject = !std::is_polymorphic_v<T> && !std::is_pointer_v<T> && holds_no_addresses<T>;

}  // namespace shmpool
