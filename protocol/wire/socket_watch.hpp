// SPDX-License-Identifier: Apache-2.0
/// Tells a peer that a socket may have appeared at a path (inotify on its directory), so that who
/// waits for a host, maybe for hours, sleeps meanwhile and comes at once. A hint: what has appeared
/// may be another's.
#pragma once

#include <string>

#include "shmpool/platform/descriptor.hpp"

namespace shmpool {

/// One thread.
class SocketWatch {
public:
    /// Watches nothing: the system has no watches left, or the directory may not be read.
    SocketWatch() noexcept = default;
    [[nodiscard]] static SocketWatch on(const std::string& socket_path);

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(events_); }
    /// Readable when something has happened in the directory; -1 when it watches nothing.
    [[nodiscard]] int descriptor() const noexcept { return events_.get(); }
    void clear() const noexcept;

private:
    Descriptor events_;
};

}  // namespace shmpool
