// SPDX-License-Identifier: Apache-2.0
/// `shmpool`, the command line: understands the line, runs one command, turns its outcome into an
/// exit code: 0 fine, 1 the world said no, 2 wrong use.
#include <csignal>
#include <cstdio>

#include "peer/cli/command_line.hpp"
#include "peer/cli/printing.hpp"

int main(int argument_count, char** arguments) {
    using namespace shmpool::cli;
    std::signal(SIGPIPE, SIG_IGN);  // A write says it: one way to hear of errors is enough.
    CommandLine line;
    if (const auto exit_code = line.parse(argument_count, arguments)) return *exit_code;
    const auto outcome = line.run();
    if (outcome) return *outcome;
    remark(outcome.error().message);
    return exit_refused;
}
