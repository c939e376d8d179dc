// SPDX-License-Identifier: Apache-2.0
/// Sizes, durations and counts as people write them in a command line ("64KiB", "250ms", "3"), and
/// the options that take them. One grammar: digits, then at most one unit; no sign, no fraction.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "shmpool/platform/result.hpp"

namespace shmpool::cli {

/// Units B, KiB, MiB, GiB, TiB; none means bytes.
[[nodiscard]] Result<std::uint64_t> parse_bytes(std::string_view text);
/// Units us, ms, s, m, h; one must be given.
[[nodiscard]] Result<std::chrono::nanoseconds> parse_duration(std::string_view text);
[[nodiscard]] Result<std::uint64_t> parse_count(std::string_view text);

/// "64KiB" where that is exact, else "31.4MiB".
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);
/// "250us", "4.2s", "2h 5m": two digits that matter, for people.
[[nodiscard]] std::string format_duration(std::chrono::nanoseconds duration);

// Options. The variable keeps its default when the option is not given; wrong values are wrong use.
CLI::Option* add_bytes(CLI::App& command, const std::string& name, std::uint64_t& into,
                       std::uint64_t minimum, const std::string& description);
CLI::Option* add_duration(CLI::App& command, const std::string& name,
                          std::chrono::nanoseconds& into, const std::string& description);
template <typename Integer>
CLI::Option* add_count(CLI::App& command, const std::string& name, Integer& into,
                       std::uint64_t minimum, std::uint64_t maximum,
                       const std::string& description);

namespace detail {
/// Throws CLI::ValidationError, which is how an option of CLI11 says no.
[[nodiscard]] std::uint64_t count_or_throw(const std::string& name, const std::string& text,
                                           std::uint64_t minimum, std::uint64_t maximum);
}  // namespace detail

template <typename Integer>
CLI::Option* add_count(CLI::App& command, const std::string& name, Integer& into,
                       std::uint64_t minimum, std::uint64_t maximum,
                       const std::string& description) {
    return command
        .add_option_function<std::string>(
            name,
            [&into, name, minimum, maximum](const std::string& text) {
                into = static_cast<Integer>(detail::count_or_throw(name, text, minimum, maximum));
            },
            description)
        ->type_name("NUMBER");
}

}  // namespace shmpool::cli
