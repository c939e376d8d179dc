// SPDX-License-Identifier: Apache-2.0
/// Errors as the C library's numbers, for callers who hand them on to C.
#pragma once

#include <cerrno>

#include "shmpool/platform/result.hpp"

namespace shmpool {

/// EINVAL where there is no number that says more.
[[nodiscard]] constexpr int errno_of(Errc code) noexcept {
    switch (code) {
        case Errc::no_memory:
        case Errc::out_of_memory:
        case Errc::no_heap_room:
        case Errc::exhausted: return ENOMEM;
        case Errc::would_block: return EAGAIN;
        case Errc::timed_out: return ETIMEDOUT;
        case Errc::change_too_large: return E2BIG;
        case Errc::no_permission:
        case Errc::read_only: return EACCES;
        case Errc::no_heap: return ENOENT;
        case Errc::name_taken: return EEXIST;
        case Errc::heap_in_use:
        case Errc::cell_in_use: return EBUSY;
        case Errc::unsupported: return ENOTSUP;
        case Errc::heap_damaged:
        case Errc::pool_damaged: return EIO;
        default: return EINVAL;
    }
}

}  // namespace shmpool
