// SPDX-License-Identifier: Apache-2.0
/// See quantity.hpp. One pass from left to right; the two multiplications are checked.
#include "peer/cli/quantity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

namespace shmpool::cli {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

constexpr std::array<Unit, 5> byte_units{{{"B", 1},
                                          {"KiB", std::uint64_t{1} << 10},
                                          {"MiB", std::uint64_t{1} << 20},
                                          {"GiB", std::uint64_t{1} << 30},
                                          {"TiB", std::uint64_t{1} << 40}}};
constexpr std::array<Unit, 5> time_units{{{"us", 1'000},
                                          {"ms", 1'000'000},
                                          {"s", 1'000'000'000},
                                          {"m", 60'000'000'000},
                                          {"h", 3'600'000'000'000}}};

std::string names_of(std::span<const Unit> units) {
    std::string names;
    for (const Unit& unit : units) {
        names += (names.empty() ? "" : ", ") + std::string(unit.name);
    }
    return names;
}

/// `unit_of_none` is the factor when no unit is given; 0: one must be given.
Result<std::uint64_t> parse(std::string_view text, std::span<const Unit> units,
                            std::uint64_t unit_of_none, std::string_view example) {
    const auto wrong = [&](const std::string& why) {
        return fail(Errc::invalid_argument, fmt::format("'{}' {}", text.substr(0, 40), why));
    };
    std::uint64_t number = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    if (parsed.ec == std::errc::result_out_of_range) return wrong("does not fit into 64 bits");
    if (parsed.ec != std::errc()) {
        return wrong(fmt::format("does not begin with a digit; write it like {}", example));
    }
    std::string_view rest(parsed.ptr,
                          static_cast<std::size_t>(text.data() + text.size() - parsed.ptr));
    if (rest.starts_with(' ')) rest.remove_prefix(1);
    std::uint64_t factor = unit_of_none;
    if (rest.empty() && factor == 0) {
        return wrong(fmt::format("has no unit; the units are {}", names_of(units)));
    }
    if (!rest.empty()) {
        const auto unit = std::ranges::find(units, rest, &Unit::name);
        if (unit == units.end() && units.empty()) {
            return wrong(fmt::format("is not a whole number; write it like {}", example));
        }
        if (unit == units.end()) {
            return wrong(fmt::format("is not a whole number and a unit like {}; the units are {}",
                                     example, names_of(units)));
        }
        factor = unit->factor;
    }
    std::uint64_t product = 0;
    if (__builtin_mul_overflow(number, factor, &product)) return wrong("does not fit into 64 bits");
    return product;
}

}  // namespace

Result<std::uint64_t> parse_bytes(std::string_view text) {
    return parse(text, byte_units, 1, "64KiB");
}

Result<std::chrono::nanoseconds> parse_duration(std::string_view text) {
    const auto ns = parse(text, time_units, 0, "250ms");
    if (!ns) return tl::unexpected(ns.error());
    if (*ns > static_cast<std::uint64_t>(std::chrono::nanoseconds::max().count())) {
        return fail(Errc::invalid_argument, fmt::format("'{}' is longer than 292 years", text));
    }
    return std::chrono::nanoseconds(*ns);
}

Result<std::uint64_t> parse_count(std::string_view text) {
    return parse(text, {}, 1, "3");
}

std::string format_bytes(std::uint64_t bytes) {
    const Unit* unit = &byte_units.front();
    for (const Unit& larger : byte_units) {
        if (bytes >= larger.factor) unit = &larger;
    }
    if (bytes % unit->factor == 0) return fmt::format("{}{}", bytes / unit->factor, unit->name);
    return fmt::format("{:.1f}{}", static_cast<double>(bytes) / static_cast<double>(unit->factor),
                       unit->name);
}

std::string format_duration(std::chrono::nanoseconds duration) {
    const double seconds = std::chrono::duration<double>(duration).count();
    if (seconds < 1e-3) return fmt::format("{:.0f}us", seconds * 1e6);
    if (seconds < 1) return fmt::format("{:.0f}ms", seconds * 1e3);
    if (seconds < 60) return fmt::format("{:.1f}s", seconds);
    const auto minutes = static_cast<std::uint64_t>(seconds / 60);
    if (minutes < 60) return fmt::format("{}m {:.0f}s", minutes, seconds - 60.0 * double(minutes));
    return fmt::format("{}h {}m", minutes / 60, minutes % 60);
}

CLI::Option* add_bytes(CLI::App& command, const std::string& name, std::uint64_t& into,
                       std::uint64_t minimum, const std::string& description) {
    return command
        .add_option_function<std::string>(
            name,
            [&into, name, minimum](const std::string& text) {
                const auto bytes = parse_bytes(text);
                if (!bytes) throw CLI::ValidationError(name, bytes.error().message);
                if (*bytes < minimum) {
                    throw CLI::ValidationError(
                        name, fmt::format("'{}' is too small; the least is {}", text,
                                          format_bytes(minimum)));
                }
                into = *bytes;
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
                const auto duration = parse_duration(text);
                if (!duration) throw CLI::ValidationError(name, duration.error().message);
                into = *duration;
            },
            description)
        ->type_name("TIME");
}

std::uint64_t detail::count_or_throw(const std::string& name, const std::string& text,
                                     std::uint64_t minimum, std::uint64_t maximum) {
    const auto count = parse_count(text);
    if (!count) throw CLI::ValidationError(name, count.error().message);
    if (*count < minimum || *count > maximum) {
        throw CLI::ValidationError(
            name, fmt::format("'{}' is out of range; it may be {} to {}", text, minimum, maximum));
    }
    return *count;
}

}  // namespace shmpool::cli
