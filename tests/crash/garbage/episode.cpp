// SPDX-License-Identifier: Apache-2.0
#include "episode.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>
#include <new>
#include <stdexcept>
#include <thread>
#include <utility>

#include "honest_peer.hpp"

namespace shmpool::garbage {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::array role_names{"blocking writer", "dropping writer", "blocked reader",
                                "dropping reader", "sleeping reader", "raw allocator",
                                "comer and goer",  "worker in heaps", "grower of classes"};
static_assert(role_names.size() == role_count);

pid_t fork_child(const std::function<void()>& play) {
    const pid_t pid = fork();
    if (pid < 0) throw std::runtime_error("fork");
    if (pid != 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    play();
    _exit(0);
}

/// None: it still runs.
std::optional<int> end_of(pid_t pid) {
    int status = 0;
    return waitpid(pid, &status, WNOHANG) == pid ? std::optional(status) : std::nullopt;
}

std::string describe_end(int status) {
    if (WIFSIGNALED(status)) return "was ended by signal " + std::to_string(WTERMSIG(status));
    return "ended with exit code " + std::to_string(WEXITSTATUS(status));
}

void end_child(pid_t& pid) {
    if (pid <= 0) return;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    pid = -1;
}

}  // namespace

SharedBoard::SharedBoard() {
    void* const memory =
        mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    board_ = new (memory) Board();
}

SharedBoard::~SharedBoard() {
    munmap(board_, sizeof(Board));
}

Episode::Episode(RunningHost& host, Board& board, const VandalPlan& plan,
                 std::chrono::seconds limit)
    : host_(host), board_(board), plan_(plan), limit_(limit), random_(plan.seed ^ 0x5EED) {}

Episode::~Episode() {
    end_child(vandal_);
    for (Honest& one : honest_) end_child(one.pid);
}

void Episode::spawn(std::size_t role) {
    board_.peers[role].began_ns.store(0, std::memory_order_relaxed);
    const std::uint64_t seed = random_();
    honest_[role].killed = false;
    honest_[role].pid = fork_child([this, role, seed] {
        live(static_cast<Role>(role), board_.peers[role], host_.pool(), seed);
    });
}

void Episode::spawn_vandal() {
    vandal_ = fork_child([this] {
        try {
            Vandal(host_.socket(), board_, plan_).run();
        } catch (const std::exception& error) {
            std::cerr << "the vandal: " << error.what() << std::endl;
            _exit(3);
        }
    });
}

std::optional<Finding> Episode::run() {
    for (std::size_t role = 0; role < role_count; ++role) spawn(role);
    spawn_vandal();
    const auto ended = wait_for_end(std::exchange(vandal_, -1), "the vandal");
    if (!ended) return ended.error();
    if (*ended != 0) return finding("the vandal " + describe_end(*ended));
    return std::nullopt;
}

tl::expected<int, Finding> Episode::run_beside(const std::vector<std::string>& command) {
    std::vector<char*> words;
    for (const std::string& word : command) words.push_back(const_cast<char*>(word.data()));
    words.push_back(nullptr);
    const pid_t pid = fork_child([&words] {
        const int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, STDOUT_FILENO);
        dup2(nowhere, STDERR_FILENO);
        execv(words[0], words.data());
        _exit(127);
    });
    return wait_for_end(pid, command[1]).map([](int status) {
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    });
}

/// The wait status. Commands and vandals take as long as they like only while somebody else moves.
tl::expected<int, Finding> Episode::wait_for_end(pid_t pid, const std::string& what) {
    const auto limit = steady_clock::now() + 8 * limit_;
    while (steady_clock::now() < limit) {
        if (const auto ended = end_of(pid)) return *ended;
        if (auto found = look()) {
            end_child(pid);
            return tl::unexpected(std::move(*found));
        }
        std::this_thread::sleep_for(milliseconds(2));
    }
    end_child(pid);
    return tl::unexpected(finding(what + " does not end"));
}

std::optional<Finding> Episode::wait_for_return() {
    kills_ = false;
    std::array<std::uint64_t, role_count> before{};
    const auto attachments = [this](std::size_t role) {
        return board_.peers[role].attachments.load(std::memory_order_relaxed);
    };
    for (std::size_t role = 0; role < role_count; ++role) before[role] = attachments(role);
    const auto limit = steady_clock::now() + limit_;
    for (std::size_t role = 0; role < role_count;) {
        if (auto found = look()) return found;
        if (attachments(role) > before[role]) {
            ++role;
            continue;
        }
        if (steady_clock::now() > limit) {
            return finding(std::string(role_names[role]) + " does not come back after a rebuild");
        }
        std::this_thread::sleep_for(milliseconds(2));
    }
    return std::nullopt;
}

std::optional<Finding> Episode::look() {
    if (auto found = look_at_host()) return found;
    for (std::size_t role = 0; role < role_count; ++role) {
        if (auto found = look_at(role)) return found;
    }
    if (kills_) kill_somebody();
    return std::nullopt;
}

std::optional<Finding> Episode::look_at_host() {
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(host_.pid()), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid != 0) {
        return finding("the host ended, status " + std::to_string(info.si_status));
    }
    return std::nullopt;
}

std::optional<Finding> Episode::look_at(std::size_t role) {
    Honest& one = honest_[role];
    if (const auto ended = end_of(one.pid)) {
        one.pid = -1;
        const bool planned = WIFSIGNALED(*ended) && WTERMSIG(*ended) == SIGKILL;
        if (!planned) return finding(std::string(role_names[role]) + " " + describe_end(*ended));
        spawn(role);
        return std::nullopt;
    }
    const Progress& progress = board_.peers[role];
    const std::uint64_t began_ns = progress.began_ns.load(std::memory_order_relaxed);
    const auto limit_ns = static_cast<std::uint64_t>(std::chrono::nanoseconds(limit_).count());
    if (began_ns == 0 || monotonic_ns() < began_ns + limit_ns) return std::nullopt;
    const auto operation = progress.operation.load(std::memory_order_relaxed);
    // The sanitizers' run-time then prints where it is.
    kill(one.pid, SIGABRT);
    kill(host_.pid(), SIGABRT);
    std::this_thread::sleep_for(std::chrono::seconds(3));
    return finding(std::string(role_names[role]) + " hangs in " + operation_names[operation]);
}

void Episode::kill_somebody() {
    const auto now = steady_clock::now();
    if (now < next_kill_) return;
    next_kill_ = now + milliseconds(random_() % 100);
    kill(honest_[random_() % role_count].pid, SIGKILL);
}

Finding Episode::finding(std::string what) const {
    Finding found{std::move(what), plan_.seed, {}};
    const std::uint64_t words = board_.words.load(std::memory_order_relaxed);
    for (std::uint64_t i = words > writes_kept ? words - writes_kept : 0; i < words; ++i) {
        const Write& one = board_.last[i % writes_kept];
        found.last_words.push_back("#" + std::to_string(one.number) + " " +
                                   std::string(one.name.data()) + " at " +
                                   std::to_string(one.offset) + " = " + std::to_string(one.value));
    }
    return found;
}

}  // namespace shmpool::garbage
