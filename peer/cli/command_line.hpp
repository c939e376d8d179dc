// SPDX-License-Identifier: Apache-2.0
/// The whole command line: common options, commands, help, and what is said to wrong use.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>

#include "peer/cli/command.hpp"

namespace shmpool::cli {

class CommandLine {
public:
    CommandLine();
    CommandLine(const CommandLine&) = delete;  // The commands keep references.
    CommandLine& operator=(const CommandLine&) = delete;

    /// The exit code when there is nothing to run: help was printed, or the line was wrong.
    [[nodiscard]] std::optional<int> parse(int argument_count, const char* const* arguments);
    [[nodiscard]] Result<int> run() { return action_(); }

private:
    [[nodiscard]] std::string what_is_wrong(const CLI::ParseError& error) const;

    CLI::App program_;
    CommonOptions common_;
    Action action_;
};

}  // namespace shmpool::cli
