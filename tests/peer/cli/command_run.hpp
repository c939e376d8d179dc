// SPDX-License-Identifier: Apache-2.0
/// Runs the real `shmpool` program as its users do, and hears what it said on both streams.
#pragma once

#include <sys/types.h>

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/shmpool/platform/temporary_directory.hpp"

namespace shmpool::cli {

struct Finished {
    int exit_code = 0;  ///< 1000 + the signal's number if a signal ended it.
    std::string output;
    std::string errors;
};

/// One running program; killed at the latest by the destructor.
class CommandRun {
public:
    /// `input`: what stands on its standard input; empty: nothing.
    explicit CommandRun(std::vector<std::string> arguments, const std::string& input = {});
    /// Its standard input is this descriptor.
    CommandRun(std::vector<std::string> arguments, int input);
    ~CommandRun();
    CommandRun(const CommandRun&) = delete;
    CommandRun& operator=(const CommandRun&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }
    void signal(int number) const;
    [[nodiscard]] Finished wait();
    /// What it has printed so far.
    [[nodiscard]] std::string output() const;

private:
    void start(std::vector<std::string> arguments, int input);

    test::TemporaryDirectory folder_;
    pid_t pid_ = -1;
};

/// Runs to its end.
[[nodiscard]] Finished run(std::vector<std::string> arguments, const std::string& input = {});

/// `shmpool status --json`.
[[nodiscard]] nlohmann::json status();

/// Files of one test, removed at its end.
class Folder {
public:
    [[nodiscard]] std::string path(const std::string& name) const { return directory_.file(name); }
    /// Writes a file of that content; returns its path.
    [[nodiscard]] std::string write(const std::string& name, const std::string& content) const;
    [[nodiscard]] std::string read(const std::string& name) const;

private:
    test::TemporaryDirectory directory_;
};

/// Bytes without a pattern that a shift could hide.
[[nodiscard]] std::string noise(std::size_t bytes);

}  // namespace shmpool::cli
