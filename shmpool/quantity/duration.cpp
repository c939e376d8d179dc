// SPDX-License-Identifier: Apache-2.0
/// See duration.hpp.
#include "shmpool/quantity/duration.hpp"

#include <array>
#include <cstdio>

#include "shmpool/quantity/quantity.hpp"

namespace shmpool {
namespace {

constexpr std::array<Unit, 4> units{{{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}}};
constexpr std::array<Unit, 5> units_ns{{{"us", 1'000},
                                        {"ms", 1'000'000},
                                        {"s", 1'000'000'000},
                                        {"m", 60'000'000'000},
                                        {"h", 3'600'000'000'000}}};

std::string with_decimals(double number, int decimals, const char* unit) {
    char text[32];
    std::snprintf(text, sizeof text, "%.*f%s", decimals, number, unit);
    return text;
}

}  // namespace

Result<std::uint64_t> parse_duration_ms(std::string_view text) {
    return parse_quantity(text, {"duration", "2s", units, 0});
}

std::string format_duration_ms(std::uint64_t duration_ms) {
    std::size_t index = units.size() - 1;
    while (index > 0 && (duration_ms == 0 || duration_ms % units[index].factor != 0)) --index;
    return std::to_string(duration_ms / units[index].factor) + std::string(units[index].name);
}

Result<std::chrono::nanoseconds> parse_duration(std::string_view text) {
    const auto ns = parse_quantity(text, {"duration", "250ms", units_ns, 0});
    if (!ns) return tl::unexpected(ns.error());
    if (*ns > static_cast<std::uint64_t>(std::chrono::nanoseconds::max().count())) {
        return fail(Errc::invalid_argument,
                    "duration \"" + std::string(text) + "\" is longer than 292 years");
    }
    return std::chrono::nanoseconds(*ns);
}

std::string format_duration(std::chrono::nanoseconds duration) {
    const double seconds = std::chrono::duration<double>(duration).count();
    if (seconds < 1e-3) return with_decimals(seconds * 1e6, 0, "us");
    if (seconds < 1) return with_decimals(seconds * 1e3, 0, "ms");
    if (seconds < 60) return with_decimals(seconds, 1, "s");
    const auto minutes = static_cast<std::uint64_t>(seconds / 60);
    if (minutes < 60) {
        return std::to_string(minutes) + "m " +
               with_decimals(seconds - 60.0 * static_cast<double>(minutes), 0, "s");
    }
    return std::to_string(minutes / 60) + "h " + std::to_string(minutes % 60) + "m";
}

}  // namespace shmpool
