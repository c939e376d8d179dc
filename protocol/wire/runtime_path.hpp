// SPDX-License-Identifier: Apache-2.0
/// Where the control socket of a pool is: NAME.sock in the first of these directories that applies.
///
///   1  $SHMPOOL_RUNTIME_DIR          if set; must be absolute
///   2  /run/shmpool                  if the effective user is root
///   3  $XDG_RUNTIME_DIR/shmpool      if set and absolute
///   4  /tmp/shmpool-UID              else
///
/// Host and peers compute it alike, so a peer finds a host of its own user by name alone. A peer
/// that connects below /tmp should compare the host's credentials with its own user: anybody may
/// create files there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shmpool/platform/result.hpp"

namespace shmpool {

/// What a host does about the directory of its socket.
enum class SocketDirectory : std::uint8_t {
    must_exist,       ///< A path that the user gave.
    created,          ///< $SHMPOOL_RUNTIME_DIR: made when missing, taken as it is when there.
    created_and_own,  ///< A default: made when missing, else must be ours and closed to others.
};

struct RuntimePath {
    std::string path;
    SocketDirectory directory = SocketDirectory::must_exist;
};

/// What the answer depends on. An empty text is an unset variable.
struct RuntimeEnvironment {
    std::string shmpool_runtime_dir;
    std::string xdg_runtime_dir;
    std::uint32_t user_id = 0;

    [[nodiscard]] static RuntimeEnvironment of_this_process();
};

[[nodiscard]] Result<RuntimePath> socket_path_of(std::string_view pool_name,
                                                 const RuntimeEnvironment& environment);

/// In this process's own environment.
[[nodiscard]] Result<RuntimePath> socket_path_of(std::string_view pool_name);

}  // namespace shmpool
