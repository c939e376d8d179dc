// SPDX-License-Identifier: Apache-2.0
/// A real shmpoold in a directory of the test, with its log in a file there. Killed at the end.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/shmpool/platform/temporary_directory.hpp"

namespace shmpool::test {

/// Polls until the condition holds; false after a limit that only turns a hang into a failure.
[[nodiscard]] bool eventually(const std::function<bool()>& condition);

struct DaemonSetup {
    std::string name = "test";
    std::vector<std::string> arguments = {"--class", "64B:256", "--class", "4KiB:64"};
    std::string config;  ///< Text of a configuration file; empty: none.
    std::vector<std::pair<std::string, std::string>> environment;
    std::string log_level = "debug";
    unsigned descriptor_limit = 0;       ///< 0: as it is.
    std::uint64_t file_bytes_limit = 0;  ///< 0: as it is.
    /// What a service manager has kept for it: name and descriptor.
    std::vector<std::pair<std::string, int>> kept;
    uid_t user = 0;       ///< 0: who runs the test; others only if root does.
    bool traced = false;  ///< Stopped at its beginning, for a TracedProcess.
};

class Daemon {
public:
    /// Starts it; does not wait until it is ready.
    explicit Daemon(const TemporaryDirectory& directory, const DaemonSetup& setup = {});
    ~Daemon();
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    /// False if it ended instead.
    [[nodiscard]] bool becomes_ready() const;
    [[nodiscard]] bool logs(const std::string& text) const;  ///< Waits for it.
    [[nodiscard]] std::string log() const;

    void signal(int number) const;
    /// Waits for its end: the exit code, or 1000 + the signal's number.
    int wait();
    [[nodiscard]] bool running() const;
    [[nodiscard]] std::vector<std::string> threads() const;  ///< Their names.

    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] const std::string& socket() const { return socket_; }

private:
    std::string socket_;
    std::string log_file_;
    pid_t pid_ = -1;
};

struct Finished {
    int code = 0;
    std::string output;  ///< Standard output and standard error.
};

/// Runs shmpoold to its end.
[[nodiscard]] Finished run_to_end(const TemporaryDirectory& directory,
                                  const std::vector<std::string>& arguments);

}  // namespace shmpool::test
