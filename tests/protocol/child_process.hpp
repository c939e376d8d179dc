// SPDX-License-Identifier: Apache-2.0
/// A real process for one role of a test, and memory that it shares with the test. A child runs no
/// code of GoogleTest: it says what it found by its exit code and in the shared memory.
#pragma once

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <new>
#include <utility>

namespace shmpool::testing_protocol {

/// One `T` that parent and children see alike.
template <typename T>
class SharedWithChildren {
public:
    SharedWithChildren() {
        void* const memory =
            ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) std::abort();
        value_ = new (memory) T();
    }
    ~SharedWithChildren() { ::munmap(value_, sizeof(T)); }
    SharedWithChildren(const SharedWithChildren&) = delete;
    SharedWithChildren& operator=(const SharedWithChildren&) = delete;
    T& operator*() const { return *value_; }
    T* operator->() const { return value_; }

private:
    T* value_;
};

class ChildProcess {
public:
    enum class End { exited, killed, stopped };

    template <typename Body>
    explicit ChildProcess(Body&& body) : pid_(::fork()) {
        if (pid_ < 0) std::abort();
        if (pid_ != 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::_exit(body());
    }
    ChildProcess(ChildProcess&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
    ChildProcess& operator=(ChildProcess&& other) noexcept {
        std::swap(pid_, other.pid_);
        return *this;
    }
    ~ChildProcess() {
        if (pid_ > 0) kill();
    }

    /// Until it ends or stops itself.
    End wait() {
        int status = 0;
        if (::waitpid(pid_, &status, WUNTRACED) != pid_) std::abort();
        if (WIFSTOPPED(status)) return End::stopped;
        pid_ = 0;
        code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        signal_ = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        return WIFEXITED(status) ? End::exited : End::killed;
    }
    void kill() {
        ::kill(pid_, SIGKILL);
        while (wait() == End::stopped) {
        }
    }
    /// By itself; it is still to be waited for.
    [[nodiscard]] bool has_ended() const {
        siginfo_t info{};
        return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
               info.si_pid != 0;
    }
    void send(int signal) const { ::kill(pid_, signal); }
    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] bool running() const { return pid_ != 0; }
    /// Exit code after `exited`.
    [[nodiscard]] int code() const { return code_; }
    [[nodiscard]] int signal() const { return signal_; }

private:
    pid_t pid_;
    int code_ = -1;
    int signal_ = 0;
};

}  // namespace shmpool::testing_protocol
