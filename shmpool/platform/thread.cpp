// SPDX-License-Identifier: Apache-2.0
/// See thread.hpp. The handler does nothing: that a signal is pending is enough. The kernel hands
/// it over when the call returns, so whatever the call still does until then finds it pending too.
#include "shmpool/platform/thread.hpp"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <type_traits>

namespace shmpool {
namespace {

/// The kernel's sched_attr, in its first version: the header that declares it declares again what
/// <sched.h> has, or not, as the versions of both are.
struct SchedulingAttributes {
    std::uint32_t size = sizeof(SchedulingAttributes);
    std::uint32_t policy = 0;
    std::uint64_t flags = 0;
    std::int32_t nice = 0;
    std::uint32_t priority = 0;
    std::uint64_t runtime_ns = 0;  ///< Of SCHED_OTHER: the slice. 0: the kernel's own.
    std::uint64_t deadline_ns = 0;
    std::uint64_t period_ns = 0;
};
static_assert(sizeof(SchedulingAttributes) == 48);

constexpr std::uint64_t shortest_slice_ns = 100'000;

}  // namespace

void name_this_thread(const char* name) noexcept {
    ::pthread_setname_np(::pthread_self(), name);
}

void ask_for_short_slices() noexcept {
    SchedulingAttributes attributes;
    const long got = ::syscall(SYS_sched_getattr, 0, &attributes, sizeof(SchedulingAttributes), 0U);
    if (got != 0 || attributes.policy != SCHED_OTHER) return;
    attributes.runtime_ns = shortest_slice_ns;
    ::syscall(SYS_sched_setattr, 0, &attributes, 0U);
}

WaitInterrupter::WaitInterrupter() noexcept {
    static_assert(std::is_same_v<timer_t, void*>);
    struct sigaction action {};
    action.sa_handler = [](int) {};
    action.sa_flags = SA_RESTART;
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGURG);
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGURG;
    event._sigev_un._tid = static_cast<pid_t>(::syscall(SYS_gettid));
    has_timer_ = ::sigaction(SIGURG, &action, nullptr) == 0 &&
                 ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr) == 0 &&
                 ::timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0;
}

WaitInterrupter::~WaitInterrupter() {
    if (has_timer_) ::timer_delete(timer_);
}

/// Again and again: the first may come before the wait has begun.
void WaitInterrupter::begin() noexcept {
    set(200'000);
}

void WaitInterrupter::end() noexcept {
    set(0);
}

void WaitInterrupter::set(long interval_ns) noexcept {
    const itimerspec times{{0, interval_ns}, {0, interval_ns}};
    if (has_timer_) ::timer_settime(timer_, 0, &times, nullptr);
}

}  // namespace shmpool
