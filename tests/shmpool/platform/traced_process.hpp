// SPDX-License-Identifier: Apache-2.0
/// A process whose main thread stops before and behind each of its system calls (ptrace), to be
/// killed there, or to have the call refused. For x86-64, and without the thread sanitizer.
#pragma once

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <cerrno>

#if defined(__x86_64__) && !defined(SHMPOOL_UNDER_THREAD_SANITIZER)

namespace shmpool::test {

/// One thread. Whoever has started the process waits for its end.
class TracedProcess {
public:
    /// A child of the calling thread that has asked for PTRACE_TRACEME and stops itself then.
    explicit TracedProcess(pid_t pid) : pid_(pid) {
        lives_ = wait_for_stop() && ::ptrace(PTRACE_SETOPTIONS, pid_, nullptr,
                                             PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0;
    }
    TracedProcess(const TracedProcess&) = delete;
    TracedProcess& operator=(const TracedProcess&) = delete;

    [[nodiscard]] bool lives() const { return lives_; }

    /// To where the next call is asked for and not yet made. False: the process has ended.
    bool enter_call() { return run_to_border(); }
    /// To where the call of enter_call has been made. False: it was the end.
    bool leave_call() { return run_to_border(); }
    /// In place of leave_call: it is not made, and returns this error.
    bool refuse_call(int error_number) {
        user_regs_struct words = registers();
        words.orig_rax = ~0ULL;  // No such call.
        ::ptrace(PTRACE_SETREGS, pid_, nullptr, &words);
        if (!run_to_border()) return false;
        words = registers();
        words.rax = static_cast<unsigned long long>(-static_cast<long long>(error_number));
        return ::ptrace(PTRACE_SETREGS, pid_, nullptr, &words) == 0;
    }
    /// Which call was entered.
    [[nodiscard]] long call() const { return static_cast<long>(registers().orig_rax); }
    [[nodiscard]] long first_argument() const { return static_cast<long>(registers().rdi); }
    /// It runs on unobserved.
    void let_go() { ::ptrace(PTRACE_DETACH, pid_, nullptr, nullptr); }

private:
    [[nodiscard]] user_regs_struct registers() const {
        user_regs_struct words{};
        ::ptrace(PTRACE_GETREGS, pid_, nullptr, &words);
        return words;
    }

    /// The end is left for others to wait for.
    bool wait_for_stop() {
        siginfo_t info{};
        const int what = WEXITED | WSTOPPED | WNOWAIT;
        while (::waitid(P_PID, static_cast<id_t>(pid_), &info, what) != 0) {
            if (errno != EINTR) return false;
        }
        if (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED) return false;
        return ::waitpid(pid_, &status_, WUNTRACED) == pid_;
    }

    bool run_to_border() {
        long signal = 0;
        while (lives_) {
            (void)::ptrace(PTRACE_SYSCALL, pid_, nullptr, signal);  // Fails if it was killed.
            lives_ = wait_for_stop();
            if (lives_ && WSTOPSIG(status_) == (SIGTRAP | 0x80)) return true;
            signal = lives_ ? WSTOPSIG(status_) : 0;  // For the process itself.
        }
        return false;
    }

    pid_t pid_;
    int status_ = 0;
    bool lives_ = false;
};

}  // namespace shmpool::test

#endif
