// SPDX-License-Identifier: Apache-2.0
/// Options that take sizes, durations and counts as people write them ("64KiB", "250ms", "3"). The
/// variable keeps its default when the option is not given; a wrong value is wrong use.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "peer/cli/cli11_fwd.hpp"

namespace shmpool::cli {

CLI::Option* add_bytes(CLI::App& command, const std::string& name, std::uint64_t& into,
                       std::uint64_t minimum, const std::string& description);
CLI::Option* add_duration(CLI::App& command, const std::string& name,
                          std::chrono::nanoseconds& into, const std::string& description);

/// Calls `set` with a number from `minimum` to `maximum`.
CLI::Option* add_number(CLI::App& command, const std::string& name,
                        std::function<void(std::uint64_t)> set, std::uint64_t minimum,
                        std::uint64_t maximum, const std::string& description);

template <typename Integer>
CLI::Option* add_count(CLI::App& command, const std::string& name, Integer& into,
                       std::uint64_t minimum, std::uint64_t maximum,
                       const std::string& description) {
    return add_number(
        command, name, [&into](std::uint64_t number) { into = static_cast<Integer>(number); },
        minimum, maximum, description);
}

}  // namespace shmpool::cli
