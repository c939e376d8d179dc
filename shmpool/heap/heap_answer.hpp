// SPDX-License-Identifier: Apache-2.0
/// What an engine says: an Outcome whose value and error lie side by side.
///
/// Value and error of an Outcome are one union. What is written in one width and read in another
/// GCC 12 keeps in memory, and a processor waits when it loads more than the last store has
/// written; an allocation hands its answer through four functions, one inside of the other. This
/// one stays in registers. It ends where the heap's user begins: there it becomes an Outcome.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include "shmpool/platform/result.hpp"

namespace shmpool {

template <typename T>
class [[nodiscard]] Answer {
public:
    template <std::convertible_to<T> Value>
    constexpr Answer(Value&& value) : value_(std::forward<Value>(value)), has_value_(true) {}
    constexpr Answer(const tl::unexpected<Errc>& error) : error_(error.value()) {}

    constexpr explicit operator bool() const { return has_value_; }
    [[nodiscard]] constexpr bool has_value() const { return has_value_; }
    /// If there is one.
    [[nodiscard]] constexpr const T& operator*() const { return value_; }
    [[nodiscard]] constexpr const T* operator->() const { return &value_; }
    /// If there is no value.
    [[nodiscard]] constexpr Errc error() const { return error_; }

    /// As of Outcome. `use(value)`: a value, or nothing.
    template <typename Use>
    constexpr auto map(Use use) const -> Answer<std::invoke_result_t<Use, const T&>> {
        if (!has_value_) return fail(error_);
        if constexpr (std::is_void_v<std::invoke_result_t<Use, const T&>>) {
            use(value_);
            return {};
        } else {
            return use(value_);
        }
    }
    /// As of Outcome. `use(value)`: an Answer.
    template <typename Use>
    constexpr auto and_then(Use use) const -> std::invoke_result_t<Use, const T&> {
        if (!has_value_) return fail(error_);
        return use(value_);
    }

    constexpr operator Outcome<T>() const {
        if (!has_value_) return fail(error_);
        return value_;
    }

private:
    T value_{};
    Errc error_{};
    bool has_value_ = false;
};

/// Only whether it went well.
template <>
class [[nodiscard]] Answer<void> {
public:
    constexpr Answer() : has_value_(true) {}
    constexpr Answer(const tl::unexpected<Errc>& error) : error_(error.value()) {}

    constexpr explicit operator bool() const { return has_value_; }
    [[nodiscard]] constexpr Errc error() const { return error_; }

    template <typename Use>
    constexpr auto map(Use use) const -> Answer<std::invoke_result_t<Use>> {
        if (!has_value_) return fail(error_);
        if constexpr (std::is_void_v<std::invoke_result_t<Use>>) {
            use();
            return {};
        } else {
            return use();
        }
    }

    constexpr operator Outcome<void>() const {
        if (!has_value_) return fail(error_);
        return {};
    }

private:
    Errc error_{};
    bool has_value_ = false;
};

}  // namespace shmpool
