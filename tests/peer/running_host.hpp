// SPDX-License-Identifier: Apache-2.0
/// A real shmpoold in a temporary runtime directory, for tests of what talks to it; and children
/// that a test forks to play peers. Everything is ended and removed at the end of the test.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace shmpool {

class RunningHost {
public:
    /// Starts the daemon and waits until its socket accepts. `arguments` come behind --name.
    explicit RunningHost(std::vector<std::string> arguments = {"--class", "1KiB:256", "--class",
                                                               "64KiB:16"},
                         std::string pool_name = "test");
    ~RunningHost();
    RunningHost(const RunningHost&) = delete;
    RunningHost& operator=(const RunningHost&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] const std::string& pool() const { return pool_name_; }
    [[nodiscard]] std::string socket() const { return directory_ + "/" + pool_name_ + ".sock"; }

    /// Sends a signal; for a deadly one `wait` then returns its wait status.
    void signal(int number) const;
    int wait();

    /// Starts another daemon of the same name in the same directory, after this one has ended.
    void start();

private:
    std::vector<std::string> arguments_;
    std::string pool_name_;
    std::string directory_;
    pid_t pid_ = -1;
};

/// Runs `play` in a forked child, which ends without destructors when it returns. The child is
/// killed and waited for at the latest by the destructor.
class Child {
public:
    explicit Child(const std::function<void()>& play);
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }
    void signal(int number) const;
    /// Waits for its end: the exit code, or 1000 + the signal's number.
    int wait();

private:
    pid_t pid_ = -1;
};

/// Polls until the condition holds; false after a generous limit that only turns a hang into a
/// failure.
[[nodiscard]] bool eventually(const std::function<bool()>& condition);

}  // namespace shmpool
