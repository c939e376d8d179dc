// SPDX-License-Identifier: Apache-2.0
#include "shmpool/platform/event_descriptor.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <ctime>

namespace shmpool {

Result<EventDescriptor> EventDescriptor::create() {
    EventDescriptor event;
    event.descriptor_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event.descriptor_) {
        const Errc code =
            errno == EMFILE || errno == ENFILE ? Errc::descriptor_limit : Errc::system;
        return fail_errno(code, "creating an event descriptor", errno);
    }
    return event;
}

void EventDescriptor::signal() const noexcept {
    const std::uint64_t one = 1;
    // Full means signalled already: nothing is lost.
    [[maybe_unused]] const auto written = write(descriptor_.get(), &one, sizeof(one));
}

void EventDescriptor::clear() const noexcept {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto taken = read(descriptor_.get(), &count, sizeof(count));
}

std::vector<int> wait_readable(std::span<const int> descriptors, std::chrono::nanoseconds timeout) {
    std::vector<pollfd> polled;
    for (const int one : descriptors) polled.push_back({one, POLLIN, 0});
    constexpr std::int64_t second_ns = 1'000'000'000;
    const timespec limit{timeout.count() / second_ns, timeout.count() % second_ns};
    const bool endless = timeout == std::chrono::nanoseconds::max();
    std::vector<int> ready;
    if (ppoll(polled.data(), polled.size(), endless ? nullptr : &limit, nullptr) <= 0) return ready;
    for (const pollfd& one : polled) {
        if (one.fd >= 0 && one.revents != 0) ready.push_back(one.fd);
    }
    return ready;
}

}  // namespace shmpool
