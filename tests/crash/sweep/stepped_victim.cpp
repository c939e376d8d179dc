// SPDX-License-Identifier: Apache-2.0
#include "stepped_victim.hpp"

#include <elf.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <span>
#include <stdexcept>
#include <thread>

#include "shmpool/platform/monotonic_clock.hpp"
#include "survivor.hpp"

namespace shmpool::sweep {
namespace {

/// Only turns a hang into an error.
constexpr std::chrono::seconds patience{30};
constexpr std::uint16_t system_call_opcode = 0x050F;  // 0f 05

void do_operation(Victim& victim, const Operation& operation) {
    if (operation.prepare_in_thread) operation.prepare_in_thread(victim);
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) {
        throw std::runtime_error(std::string("ptrace is not permitted here: ") +
                                 std::strerror(errno));
    }
    victim.board.stepped_thread = ::gettid();
    __asm__ __volatile__("int3");  // The leash is on.
    operation.act(victim);
}

[[noreturn]] void play_victim(Board& board, const Operation& operation, const std::string& pool,
                              Afterwards afterwards) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
        Victim victim{board, pool, first_victim + board.victims};
        operation.prepare(victim);
        if (operation.where == Where::main_thread) {
            do_operation(victim, operation);
        } else {
            std::thread([&] { do_operation(victim, operation); }).join();
        }
        board.over = true;
        board.went_as_named = operation.went_as_named(victim) ? 1 : 0;
        if (afterwards == Afterwards::live_on) {
            const std::string complaint = live_on(victim);
            board.complain(complaint);
            ::_exit(complaint.empty() ? 0 : 1);
        }
        for (;;) ::pause();
    } catch (const std::exception& error) {
        board.complain(error.what());
        std::fprintf(stderr, "%s: %s\n", operation.name.c_str(), error.what());
    }
    ::_exit(1);
}

}  // namespace

SteppedVictim::SteppedVictim(Arena& arena, const Operation& operation, Afterwards afterwards)
    : board_(arena.board()) {
    board_.stepped_thread = 0;
    board_.over = false;
    board_.went_as_named = -1;
    board_.watched_bytes = 0;
    ++board_.victims;
    const auto core = static_cast<unsigned>(::sched_getcpu());
    process_ = ::fork();
    if (process_ < 0) throw std::runtime_error("fork failed");
    if (process_ == 0) {
        stay_on(core);
        play_victim(board_, operation, arena.pool(), afterwards);
    }
    await_beginning();
    if (operation.under_next_host) arena.replace_host();
    leash_.emplace(core);
}

SteppedVictim::~SteppedVictim() {
    kill();
}

void SteppedVictim::await_beginning() {
    const Deadline deadline = Deadline::after(patience);
    int status = 0;
    for (; thread_ < 0; ::usleep(20)) {
        if (const pid_t named = board_.stepped_thread; named != 0) thread_ = named;
        const pid_t asked = thread_ < 0 ? process_ : thread_;
        const int patiently = thread_ < 0 ? WNOHANG : 0;
        if (::waitpid(asked, &status, __WALL | patiently) == asked) {
            thread_ = asked;
        } else if (deadline.expired()) {
            throw std::runtime_error("the victim does not come to its operation");
        }
    }
    if (WIFSTOPPED(status)) return;
    if (thread_ == process_) end_ = status;
    throw std::runtime_error("the victim ended before its operation");
}

ClockCode::ClockCode() : begin_(::getauxval(AT_SYSINFO_EHDR)) {
    if (begin_ == 0) return;
    const auto& file = *reinterpret_cast<const Elf64_Ehdr*>(begin_);
    const auto* const parts = reinterpret_cast<const Elf64_Phdr*>(begin_ + file.e_phoff);
    for (const Elf64_Phdr& part : std::span(parts, file.e_phnum)) {
        if (part.p_type == PT_LOAD) bytes_ = std::max<std::uint64_t>(bytes_, part.p_memsz);
    }
}

bool SteppedVictim::step() {
    if (!step_once()) return false;
    while (clock_code_.has(address())) {
        if (!step_once()) return false;
    }
    return true;
}

bool SteppedVictim::step_once() {
    if (thread_has_ended_) return false;
    // Fails if the host has killed it.
    (void)::ptrace(PTRACE_SINGLESTEP, thread_, nullptr, nullptr);
    int status = 0;
    if (!is_at_leash(status)) return false;
    if (WSTOPSIG(status) != SIGTRAP) {
        throw std::runtime_error("the victim got signal " + std::to_string(WSTOPSIG(status)));
    }
    return !board_.over;
}

/// A thread that is traced keeps its process from ending until somebody has waited for it.
bool SteppedVictim::is_at_leash(int& status) {
    if (::waitpid(thread_, &status, __WALL) == thread_ && WIFSTOPPED(status)) return true;
    thread_has_ended_ = true;
    if (thread_ == process_) end_ = status;
    return false;
}

std::uint64_t SteppedVictim::address() const {
    if (thread_has_ended_) return 0;
    return static_cast<std::uint64_t>(
        ::ptrace(PTRACE_PEEKUSER, thread_, offsetof(user_regs_struct, rip), nullptr));
}

bool SteppedVictim::is_at_system_call() const {
    const long text = ::ptrace(PTRACE_PEEKTEXT, thread_, address(), nullptr);
    return static_cast<std::uint16_t>(text) == system_call_opcode;
}

bool SteppedVictim::went_as_named() {
    if (!thread_has_ended_) ::ptrace(PTRACE_CONT, thread_, nullptr, nullptr);
    const Deadline deadline = Deadline::after(patience);
    while (board_.went_as_named < 0 && !deadline.expired()) ::usleep(20);
    return board_.went_as_named == 1;
}

void SteppedVictim::stop() {
    leash_.reset();
    int status = 0;
    const bool detached =
        !thread_has_ended_ && ::ptrace(PTRACE_DETACH, thread_, nullptr, SIGSTOP) == 0;
    if (!detached && !thread_has_ended_) (void)is_at_leash(status);
    thread_has_ended_ = true;  // For this leash.
    if (has_ended()) return;
    if (!detached) ::kill(process_, SIGSTOP);
    if (::waitpid(process_, &status, WUNTRACED) == process_ && !WIFSTOPPED(status)) end_ = status;
}

void SteppedVictim::go_on() {
    if (!has_ended()) ::kill(process_, SIGCONT);
}

std::optional<int> SteppedVictim::has_ended() {
    int status = 0;
    const bool told = !end_ && ::waitpid(process_, &status, WNOHANG) == process_;
    if (told && !WIFSTOPPED(status)) end_ = status;
    return end_;
}

void SteppedVictim::kill() {
    if (end_) return;
    ::kill(process_, SIGKILL);
    int status = 0;
    while (!thread_has_ended_ && is_at_leash(status)) {
    }
    if (end_) return;
    while (::waitpid(process_, &status, __WALL) == process_ && WIFSTOPPED(status)) {
    }
    end_ = status;
}

}  // namespace shmpool::sweep
