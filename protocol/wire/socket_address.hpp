// SPDX-License-Identifier: Apache-2.0
/// What both ends of the control socket need of the kernel's interface. Private to this folder.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <string>

#include "shmpool/platform/descriptor.hpp"
#include "shmpool/platform/monotonic_clock.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool {

/// `path` has passed check_socket_path.
[[nodiscard]] inline sockaddr_un socket_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

/// Connects once, waiting as long as the socket's mode says: 0, or the errno.
[[nodiscard]] int connect_once(int socket, const std::string& path);

[[nodiscard]] Result<Descriptor> new_socket(int extra_type);

/// Returns when one of `events` is there or the deadline has passed: then `timed_out`.
[[nodiscard]] Result<void> wait_ready(int descriptor, short events, const Deadline& deadline,
                                      const char* what);

}  // namespace shmpool
