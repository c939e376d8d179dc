// SPDX-License-Identifier: Apache-2.0
/// What may be returned from a body that works in a best_fit heap: nothing that holds an address of
/// it, as far as a type says so. What it does not say (a struct of one's own with a pointer in it)
/// is written to nobody's heap, but what is read through it later may be anything.
#pragma once

#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/offset_ptr.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "shmpool/platform/result.hpp"

namespace shmpool {

/// The type says that it holds an address: a pointer, a view, an iterator, a container of the
/// buffer, or something that is made of one.
template <typename T>
struct HoldsAddress;

template <typename T>
inline constexpr bool holds_address = HoldsAddress<std::remove_cv_t<T>>::value;

/// Of T, which may hold elements of its own type.
template <typename T, typename Element>
inline constexpr bool elements_hold_address = holds_address<Element>;
template <typename T>
inline constexpr bool elements_hold_address<T, T> = false;

template <typename T>
[[nodiscard]] consteval bool holds_address_by_its_members() {
    if constexpr (requires { typename T::iterator_category; }) {
        return true;
    } else if constexpr (requires { typename T::allocator_type; }) {
        using Allocator = typename T::allocator_type;
        if constexpr (holds_address<Allocator>) return true;
        return elements_hold_address<T, typename T::value_type>;
    } else if constexpr (std::ranges::range<T> && !std::is_array_v<T>) {
        return std::ranges::view<T> || elements_hold_address<T, std::ranges::range_value_t<T>>;
    }
    return false;
}

template <typename T>
struct HoldsAddress : std::bool_constant<holds_address_by_its_members<T>()> {};
template <>
struct HoldsAddress<void> : std::false_type {};
template <typename T>
struct HoldsAddress<T*> : std::true_type {};
template <typename T>
struct HoldsAddress<T&> : std::true_type {};
template <typename T>
struct HoldsAddress<std::reference_wrapper<T>> : std::true_type {};
template <typename T, typename Difference, typename Offset, std::size_t alignment>
struct HoldsAddress<boost::interprocess::offset_ptr<T, Difference, Offset, alignment>>
    : std::true_type {};
template <typename T, typename SegmentManager>
struct HoldsAddress<boost::interprocess::allocator<T, SegmentManager>> : std::true_type {};
template <typename T, typename End>
struct HoldsAddress<std::unique_ptr<T, End>> : std::true_type {};
template <typename T>
struct HoldsAddress<std::shared_ptr<T>> : std::true_type {};
template <typename First, typename Second>
struct HoldsAddress<std::pair<First, Second>>
    : std::bool_constant<holds_address<First> || holds_address<Second>> {};
template <typename... Parts>
struct HoldsAddress<std::tuple<Parts...>> : std::bool_constant<(holds_address<Parts> || ...)> {};
template <typename... Parts>
struct HoldsAddress<std::variant<Parts...>> : std::bool_constant<(holds_address<Parts> || ...)> {};
template <typename T>
struct HoldsAddress<std::optional<T>> : std::bool_constant<holds_address<T>> {};
template <typename T>
struct HoldsAddress<Outcome<T>> : std::bool_constant<holds_address<T>> {};

}  // namespace shmpool
