// SPDX-License-Identifier: Apache-2.0
/// A descriptor that is readable while it is signalled (eventfd), for poll, epoll and asio; and a
/// wait on a few descriptors for threads that have no event loop.
#pragma once

#include <chrono>
#include <span>
#include <vector>

#include "shmpool/platform/descriptor.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool {

/// signal and clear may run in any threads beside each other.
class EventDescriptor {
public:
    EventDescriptor() noexcept = default;

    /// Errc::descriptor_limit, system. Close-on-exec, non-blocking.
    [[nodiscard]] static Result<EventDescriptor> create();

    void signal() const noexcept;
    void clear() const noexcept;
    [[nodiscard]] int descriptor() const noexcept { return descriptor_.get(); }
    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(descriptor_); }

private:
    Descriptor descriptor_;
};

/// Waits until one of the descriptors is readable or closed by its other side; those that are come
/// back. Negative descriptors are passed over. Empty at the timeout or a signal; nanoseconds::max()
/// is never.
[[nodiscard]] std::vector<int> wait_readable(std::span<const int> descriptors,
                                             std::chrono::nanoseconds timeout);

}  // namespace shmpool
