// SPDX-License-Identifier: Apache-2.0
#include "tests/host/daemon.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace shmpool::test {
namespace {

std::string read_file(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

int code_of(int status) {
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

/// As sd_listen_fds(3) wants it: from 3 on, with names, for this very process.
void pass_kept(const std::vector<std::pair<std::string, int>>& kept) {
    if (kept.empty()) return;
    std::string names;
    std::vector<int> copies;  // Above all that is in use: dup2 must not overwrite one of them.
    for (const auto& [name, descriptor] : kept) {
        names += (names.empty() ? "" : ":") + name;
        copies.push_back(::fcntl(descriptor, F_DUPFD_CLOEXEC, 100));
    }
    int number = 3;
    for (const int copy : copies) ::dup2(copy, number++);
    ::setenv("LISTEN_FDS", std::to_string(kept.size()).c_str(), 1);
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
}

pid_t start(const TemporaryDirectory& directory, std::vector<std::string> words,
            const std::string& log_file, const DaemonSetup& setup) {
    words.insert(words.begin(), SHMPOOLD_PROGRAM);
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);  // Whatever the test itself has inherited.
    const int log = ::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    ::setenv("SHMPOOL_RUNTIME_DIR", directory.path().c_str(), 1);
    ::unsetenv("NOTIFY_SOCKET");
    for (const auto& [name, value] : setup.environment) ::setenv(name.c_str(), value.c_str(), 1);
    pass_kept(setup.kept);
    if (setup.descriptor_limit != 0) {
        const rlimit limit{setup.descriptor_limit, setup.descriptor_limit};
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (setup.file_bytes_limit != 0) {
        const rlimit limit{setup.file_bytes_limit, setup.file_bytes_limit};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    // Opened before: another user may not be let into the folder of the build.
    const int program = ::open(pointers[0], O_PATH | O_CLOEXEC);
    if (setup.user != 0) {
        if (::chown(directory.path().c_str(), setup.user, setup.user) != 0) ::_exit(126);
        if (::setgid(setup.user) != 0 || ::setuid(setup.user) != 0) ::_exit(126);
    }
    if (setup.traced && ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(126);
    ::fexecve(program, pointers.data(), environ);
    ::_exit(127);
}

}  // namespace

bool eventually(const std::function<bool()>& condition) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > limit) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
}

Daemon::Daemon(const TemporaryDirectory& directory, const DaemonSetup& setup)
    : socket_(directory.file(setup.name + ".sock")) {
    static std::atomic<int> count{0};
    const std::string number = std::to_string(++count);
    log_file_ = directory.file("log." + number);
    std::vector<std::string> words{"--name", setup.name, "--log-level", setup.log_level};
    words.insert(words.end(), setup.arguments.begin(), setup.arguments.end());
    if (!setup.config.empty()) {
        const std::string config_file = directory.file("config." + number);
        std::ofstream(config_file) << setup.config;
        words.insert(words.end(), {"--config", config_file});
    }
    pid_ = start(directory, std::move(words), log_file_, setup);
}

Daemon::~Daemon() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    wait();
}

std::string Daemon::log() const {
    return read_file(log_file_);
}

std::vector<std::string> Daemon::threads() const {
    std::vector<std::string> names;
    const auto folder = "/proc/" + std::to_string(pid_) + "/task";
    for (const auto& thread : std::filesystem::directory_iterator(folder)) {
        std::ifstream file(thread.path() / "comm");
        std::getline(file, names.emplace_back());
    }
    return names;
}

bool Daemon::running() const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
}

bool Daemon::logs(const std::string& text) const {
    bool found = false;
    const bool ended = eventually([&] {
        const bool alive = running();  // First: what it said last is in the log by then.
        found = log().find(text) != std::string::npos;
        return found || !alive;
    });
    return ended && found;
}

bool Daemon::becomes_ready() const {
    return logs(" ready: socket ");
}

void Daemon::signal(int number) const {
    ::kill(pid_, number);
}

int Daemon::wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return code_of(status);
}

Finished run_to_end(const TemporaryDirectory& directory,
                    const std::vector<std::string>& arguments) {
    const std::string output = directory.file("output");
    const pid_t pid = start(directory, arguments, output, {});
    int status = 0;
    ::waitpid(pid, &status, 0);
    Finished finished{code_of(status), read_file(output)};
    ::unlink(output.c_str());
    return finished;
}

}  // namespace shmpool::test
