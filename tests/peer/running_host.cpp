// SPDX-License-Identifier: Apache-2.0
#include "tests/peer/running_host.hpp"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "protocol/wire/local_socket.hpp"

namespace shmpool {

RunningHost::RunningHost(std::vector<std::string> arguments, std::string pool_name)
    : arguments_(std::move(arguments)), pool_name_(std::move(pool_name)) {
    // Several hosts of one test share the directory, as they would on a machine.
    if (const char* known = getenv("SHMPOOL_RUNTIME_DIR")) {
        directory_ = known;
    } else {
        char pattern[] = "/tmp/shmpool-test-XXXXXX";
        if (mkdtemp(pattern) == nullptr) throw std::runtime_error("mkdtemp");
        directory_ = pattern;
        setenv("SHMPOOL_RUNTIME_DIR", pattern, 1);
    }
    start();
}

void RunningHost::start() {
    std::vector<std::string> words{SHMPOOLD_PROGRAM, "--name", pool_name_};
    words.insert(words.end(), arguments_.begin(), arguments_.end());
    if (std::ranges::find(words, "--log-level") == words.end()) {
        words.insert(words.end(), {"--log-level", "warn"});
    }
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execv(pointers[0], pointers.data());
        _exit(127);
    }
    const bool ready = eventually([this] {
        return LocalConnection::connect(socket(), Deadline::after(std::chrono::seconds(1)))
            .has_value();
    });
    if (!ready) throw std::runtime_error("shmpoold did not become ready");
}

RunningHost::~RunningHost() {
    if (pid_ > 0) {
        kill(pid_, SIGCONT);
        kill(pid_, SIGKILL);
        wait();
    }
    std::filesystem::remove(socket());
    std::error_code not_empty;  // The last host of the test takes the directory along.
    if (std::filesystem::remove(directory_, not_empty)) unsetenv("SHMPOOL_RUNTIME_DIR");
}

void RunningHost::signal(int number) const {
    kill(pid_, number);
}

int RunningHost::wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
}

Child::Child(const std::function<void()>& play) {
    pid_ = fork();
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    play();
    _exit(0);
}

Child::~Child() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    wait();
}

void Child::signal(int number) const {
    kill(pid_, number);
}

int Child::wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

bool eventually(const std::function<bool()>& condition) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > limit) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
}

}  // namespace shmpool
