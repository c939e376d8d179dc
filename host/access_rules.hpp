// SPDX-License-Identifier: Apache-2.0
/// Who may do what, by the kernel's word about who is at the other end of the socket.
#pragma once

#include "shmpool/platform/process.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool::host {

/// Attaching, also as an observer: the host's own user, and root. Else `no_permission`.
[[nodiscard]] Result<void> check_may_attach(const Credentials& who, uid_t host_user);

/// Having peers killed: the host's own user, and root. Else `no_permission`.
[[nodiscard]] Result<void> check_may_kick(const Credentials& who, uid_t host_user);

}  // namespace shmpool::host
