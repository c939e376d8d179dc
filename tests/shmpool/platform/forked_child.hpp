// SPDX-License-Identifier: Apache-2.0
/// A real child process for one test, and words that it shares with the test. The child never
/// returns into the test; the test's end kills it.
#pragma once

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <new>
#include <type_traits>

#include "shmpool/platform/futex.hpp"

namespace shmpool::test {

/// A `T` in memory shared with children forked later.
template <typename T>
class Shared {
public:
    static_assert(std::is_trivially_destructible_v<T>);

    Shared() {
        void* const memory =
            ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        value_ = new (memory) T{};
    }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    ~Shared() { ::munmap(value_, sizeof(T)); }

    T& operator*() const { return *value_; }
    T* operator->() const { return value_; }

private:
    T* value_;
};

/// A step that one process announces and another awaits.
class Step {
public:
    void announce() {
        word_.store(1, std::memory_order_release);  // [R-step]
        futex_wake(word_, 1000);
    }
    void await() const {
        while (word_.load(std::memory_order_acquire) == 0) {  // [A-step]
            futex_wait(word_, 0, std::chrono::nanoseconds::max());
        }
    }

private:
    Atomic<std::uint32_t> word_{0};
};

class ForkedChild {
public:
    /// Runs `body()`, which returns the exit code, in a child.
    template <typename Body>
    explicit ForkedChild(Body body) : pid_(::fork()) {
        if (pid_ != 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::_exit(body());
    }
    ForkedChild(const ForkedChild&) = delete;
    ForkedChild& operator=(const ForkedChild&) = delete;
    ~ForkedChild() {
        if (pid_ <= 0) return;
        kill();
        wait();
    }

    [[nodiscard]] pid_t pid() const { return pid_; }
    void kill() const { ::kill(pid_, SIGKILL); }

    /// The exit code; -1 if it was killed.
    int wait() {
        int status = 0;
        ::waitpid(pid_, &status, 0);
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

private:
    pid_t pid_;
};

/// A body, or its end.
[[noreturn]] inline int sleep_for_ever() {
    for (;;) ::pause();
}

}  // namespace shmpool::test
