// SPDX-License-Identifier: Apache-2.0
/// See quantity_options.hpp. CLI::ValidationError is how an option of CLI11 says no.
#include "peer/cli/quantity_options.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <utility>

#include "shmpool/quantity/byte_size.hpp"
#include "shmpool/quantity/duration.hpp"
#include "shmpool/quantity/quantity.hpp"

namespace shmpool::cli {
namespace {

template <typename Value>
Value value_or_throw(const std::string& name, const Result<Value>& parsed) {
    if (!parsed) throw CLI::ValidationError(name, parsed.error().message);
    return *parsed;
}

}  // namespace

CLI::Option* add_bytes(CLI::App& command, const std::string& name, std::uint64_t& into,
                       std::uint64_t minimum, const std::string& description) {
    return command
        .add_option_function<std::string>(
            name,
            [&into, name, minimum](const std::string& text) {
                const std::uint64_t bytes = value_or_throw(name, parse_byte_size(text));
                if (bytes < minimum) {
                    throw CLI::ValidationError(
                        name, fmt::format("\"{}\" is too small; the least is {}", text,
                                          format_byte_size(minimum)));
                }
                into = bytes;
            },
            description)
        ->type_name("SIZE");
}

CLI::Option* add_duration(CLI::App& command, const std::string& name,
                          std::chrono::nanoseconds& into, const std::string& description) {
    return command
        .add_option_function<std::string>(
            name,
            [&into, name](const std::string& text) {
                into = value_or_throw(name, parse_duration(text));
            },
            description)
        ->type_name("TIME");
}

CLI::Option* add_number(CLI::App& command, const std::string& name,
                        std::function<void(std::uint64_t)> set, std::uint64_t minimum,
                        std::uint64_t maximum, const std::string& description) {
    return command
        .add_option_function<std::string>(
            name,
            [set = std::move(set), name, minimum, maximum](const std::string& text) {
                const std::uint64_t number =
                    value_or_throw(name, parse_quantity(text, {"count", "3", {}, 1}));
                if (number < minimum || number > maximum) {
                    throw CLI::ValidationError(
                        name, fmt::format("\"{}\" is out of range; it may be {} to {}", text,
                                          minimum, maximum));
                }
                set(number);
            },
            description)
        ->type_name("NUMBER");
}

}  // namespace shmpool::cli
