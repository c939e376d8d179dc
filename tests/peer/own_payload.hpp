// SPDX-License-Identifier: Apache-2.0
/// The payload of the pool that this process is attached to, as the kernel knows it.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

namespace shmpool::test {

/// The descriptor that a peer keeps for a next host; it stays the peer's own. Throws
/// std::runtime_error if this process is not attached.
[[nodiscard]] inline int own_payload_descriptor() {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        const auto target = std::filesystem::read_symlink(entry.path(), gone).string();
        if (target.starts_with("/memfd:shmpool-payload")) {
            return std::stoi(entry.path().filename().string());
        }
    }
    throw std::runtime_error("this process has no payload of a pool");
}

}  // namespace shmpool::test
