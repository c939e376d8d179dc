// SPDX-License-Identifier: Apache-2.0
/// See stop_signal.hpp. The handler only signals an event descriptor, which never is cleared: both
/// a flag and something to poll, without a race between the two.
#include "peer/cli/stop_signal.hpp"

#include <array>
#include <cerrno>
#include <csignal>

#include "shmpool/platform/event_descriptor.hpp"
#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool::cli {
namespace {

EventDescriptor stop_event;  // A handler has no argument to find it by.
volatile std::sig_atomic_t stop_requested = 0;

void handle(int) {
    const int kept = errno;
    stop_requested = 1;
    stop_event.signal();
    errno = kept;
}

}  // namespace

Result<StopSignal> StopSignal::install() {
    auto event = EventDescriptor::create();
    if (!event) return tl::unexpected(event.error());
    stop_event = std::move(*event);
    struct sigaction action {};
    action.sa_handler = handle;
    action.sa_flags = static_cast<int>(SA_RESETHAND);  // No SA_RESTART: blocked calls return.
    for (const int signal : {SIGINT, SIGTERM}) {
        if (::sigaction(signal, &action, nullptr) != 0) {
            return fail_errno(Errc::system, "preparing for signals", errno);
        }
    }
    return StopSignal();
}

bool StopSignal::requested() const {
    return stop_requested != 0;
}

int StopSignal::descriptor() const {
    return stop_event.descriptor();
}

bool StopSignal::sleep_for(std::chrono::nanoseconds duration) const {
    const std::array descriptors{descriptor()};
    const Deadline deadline = Deadline::after(duration);
    while (!requested() && !deadline.expired()) {
        (void)wait_readable(descriptors, deadline.remaining());
    }
    return !requested();
}

}  // namespace shmpool::cli
