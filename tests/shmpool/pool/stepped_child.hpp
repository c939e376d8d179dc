// SPDX-License-Identifier: Apache-2.0
/// A child that runs instruction by instruction (ptrace), to be killed behind any of them. For
/// x86-64, and without the thread sanitizer.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <functional>
#include <span>
#include <vector>

#include "tests/shmpool/platform/forked_child.hpp"

#if defined(__x86_64__) && !defined(SHMPOOL_UNDER_THREAD_SANITIZER)

namespace shmpool::test {

inline constexpr int no_permission_to_trace = 77;

struct StepBoard {
    Atomic<std::uint32_t> done{0};
};

/// A child that is stepped. It prepares unobserved, stops, and then runs `body`.
class SteppedChild {
public:
    SteppedChild(const std::function<void()>& prepare, const std::function<void()>& body,
                 StepBoard& board)
        : board_(board) {
        board_.done.store(0);
        pid_ = ::fork();
        if (pid_ == 0) {
            if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(no_permission_to_trace);
            prepare();
            __asm__ __volatile__("int3");  // Stops here, without the way out of raise().
            body();
            board_.done.store(1);
            ::_exit(0);
        }
        ::waitpid(pid_, &status_, 0);
    }
    SteppedChild(const SteppedChild&) = delete;
    SteppedChild& operator=(const SteppedChild&) = delete;
    ~SteppedChild() {
        ::kill(pid_, SIGKILL);
        if (stopped()) ::waitpid(pid_, &status_, 0);
    }

    [[nodiscard]] bool stopped() const { return WIFSTOPPED(status_); }
    [[nodiscard]] bool may_not_be_traced() const {
        return WIFEXITED(status_) && WEXITSTATUS(status_) == no_permission_to_trace;
    }
    /// One instruction; false when the body is behind it.
    bool step() {
        if (!stopped() || ::ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr) != 0) return false;
        ::waitpid(pid_, &status_, 0);
        return stopped() && board_.done.load() == 0;
    }

private:
    StepBoard& board_;
    pid_t pid_ = -1;
    int status_ = 0;
};

/// Whether the memory is another one than at the last look.
class Changes {
public:
    explicit Changes(std::span<const std::byte> memory)
        : memory_(memory), before_(memory.begin(), memory.end()) {}

    bool has_changed() {
        if (std::memcmp(before_.data(), memory_.data(), memory_.size()) == 0) return false;
        before_.assign(memory_.begin(), memory_.end());
        return true;
    }

private:
    std::span<const std::byte> memory_;
    std::vector<std::byte> before_;
};

}  // namespace shmpool::test

#endif
