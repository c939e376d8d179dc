// SPDX-License-Identifier: Apache-2.0
/// Where an exception of the containers of the standard library ends. The library hands out errors
/// and throws nothing at its users.
#pragma once

#include <new>
#include <stdexcept>
#include <type_traits>

#include "shmpool/platform/result.hpp"

namespace shmpool {

/// Of a Result, or of what says its code alone. Takes no memory: the sentence is a short one, which
/// a string keeps in itself.
template <typename Said>
[[nodiscard]] Said without_memory() {
    if constexpr (std::is_convertible_v<tl::unexpected<Error>, Said>) {
        return tl::unexpected(Error{Errc::out_of_memory, "no memory left"});
    } else {
        return fail(Errc::out_of_memory);
    }
}

/// What `call()` says; out_of_memory if this process has no memory for what it keeps in containers.
/// Whatever else it throws goes on.
template <typename Call>
auto or_out_of_memory(Call call) -> std::invoke_result_t<Call> {
    try {
        return call();
    } catch (const std::bad_alloc&) {
        return without_memory<std::invoke_result_t<Call>>();
    } catch (const std::length_error&) {  // More than any memory holds.
        return without_memory<std::invoke_result_t<Call>>();
    }
}

}  // namespace shmpool
