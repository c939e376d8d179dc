// SPDX-License-Identifier: Apache-2.0
#include "host/kernel_events.hpp"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "shmpool/platform/memory_object.hpp"
#include "shmpool/platform/process.hpp"

namespace shmpool::host {
namespace {

/// A wait that is too short would spin until its deadline: round up.
int to_epoll_timeout(std::chrono::nanoseconds timeout) {
    constexpr std::int64_t longest_ms = 3'600'000;
    if (timeout == std::chrono::nanoseconds::max()) return -1;
    const std::int64_t ms = (timeout.count() + 999'999) / 1'000'000;
    return static_cast<int>(std::clamp<std::int64_t>(ms, 0, longest_ms));
}

Errc code_of(int error_number) {
    const bool full = error_number == EMFILE || error_number == ENFILE;
    return full ? Errc::descriptor_limit : Errc::system;
}

}  // namespace

Result<EventQueue> EventQueue::create() {
    Descriptor queue(::epoll_create1(EPOLL_CLOEXEC));
    if (!queue) return fail_errno(code_of(errno), "make a queue of events", errno);
    return EventQueue(std::move(queue));
}

Result<void> EventQueue::add(const Descriptor& descriptor, std::uint64_t token) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = token;
    if (::epoll_ctl(queue_.get(), EPOLL_CTL_ADD, descriptor.get(), &event) != 0) {
        return fail_errno(Errc::system, "watch a descriptor", errno);
    }
    return {};
}

void EventQueue::remove(const Descriptor& descriptor) noexcept {
    if (descriptor) ::epoll_ctl(queue_.get(), EPOLL_CTL_DEL, descriptor.get(), nullptr);
}

Result<std::span<const std::uint64_t>> EventQueue::wait(std::chrono::nanoseconds timeout) {
    std::array<epoll_event, batch_size> events{};
    const int count = ::epoll_wait(queue_.get(), events.data(), static_cast<int>(events.size()),
                                   to_epoll_timeout(timeout));
    if (count < 0 && errno != EINTR) return fail_errno(Errc::system, "wait for events", errno);
    const auto ready = static_cast<std::size_t>(std::max(count, 0));
    for (std::size_t i = 0; i < ready; ++i) tokens_[i] = events[i].data.u64;
    return std::span<const std::uint64_t>(tokens_.data(), ready);
}

Result<SignalQueue> SignalQueue::of_stop_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGTERM);
    ::sigaddset(&set, SIGINT);
    if (const int error_number = ::pthread_sigmask(SIG_BLOCK, &set, nullptr); error_number != 0) {
        return fail_errno(Errc::system, "block signals", error_number);
    }
    Descriptor queue(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!queue) return fail_errno(code_of(errno), "receive signals as a descriptor", errno);
    return SignalQueue(std::move(queue));
}

bool SignalQueue::next() {
    signalfd_siginfo info{};
    return ::read(queue_.get(), &info, sizeof(info)) == sizeof(info);
}

Result<EventFlag> EventFlag::create() {
    Descriptor flag(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!flag) return fail_errno(code_of(errno), "make an event flag", errno);
    return EventFlag(std::move(flag));
}

void EventFlag::raise() noexcept {
    // Fails only if the flag is up already, more often than 64 bits can count.
    [[maybe_unused]] const int done = ::eventfd_write(flag_.get(), 1);
}

void EventFlag::lower() noexcept {
    eventfd_t count = 0;
    [[maybe_unused]] const int done = ::eventfd_read(flag_.get(), &count);
}

void ignore_error_signals() noexcept {
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGXFSZ, SIG_IGN);
}

Result<void> kill_process(const Descriptor& pidfd) {
    return kill_through(pidfd, SIGKILL);
}

std::uint32_t own_process_id() noexcept {
    return static_cast<std::uint32_t>(::getpid());
}

std::uint32_t own_user_id() noexcept {
    return ::geteuid();
}

std::uint64_t raise_descriptor_limit() noexcept {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before;
}

Result<Descriptor> reopen_read_only(const Descriptor& object) {
    // Whoever gets the read-only file could open it again for writing: the mode refuses that to all
    // but root. Those who have it open for writing already keep that.
    if (::fchmod(object.get(), S_IRUSR) != 0) {
        return fail_errno(Errc::system, "take away the write permission of a memory object", errno);
    }
    return open_again_for_reading(object);
}

Result<Descriptor> reopen_for_writing(const Descriptor& object) {
    // Its owner alone may: for the moment between, too, the mode shuts out everybody else.
    const std::string path = "/proc/self/fd/" + std::to_string(object.get());
    if (::fchmod(object.get(), S_IRUSR | S_IWUSR) != 0) {
        return fail_errno(Errc::no_permission, "open memory of another user for writing", errno);
    }
    Descriptor result(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    const int error_number = errno;
    if (::fchmod(object.get(), S_IRUSR) != 0 || !result) {
        return fail_errno(Errc::system, "open memory for writing through " + path, error_number);
    }
    return result;
}

}  // namespace shmpool::host
