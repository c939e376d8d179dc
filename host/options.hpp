// SPDX-License-Identifier: Apache-2.0
/// The command line of shmpoold. What the command line says goes before what the file says.
#pragma once

#include <cstdint>
#include <ostream>

#include "host/pool_config.hpp"

namespace shmpool::host {

enum class Action : std::uint8_t { run, print_layout, check_config, leave };

inline constexpr int exit_failure = 1;  ///< The configuration, or the world.
inline constexpr int exit_usage = 2;    ///< The command line.

struct Options {
    Action action = Action::run;
    int exit_code = 0;  ///< For `leave`: help, version, or an error that has been told.
    PoolConfig config;
};

[[nodiscard]] Options read_options(int argc, const char* const* argv, std::ostream& out,
                                   std::ostream& err);

}  // namespace shmpool::host
