// SPDX-License-Identifier: Apache-2.0
/// See duration.hpp.
#include "host/duration.hpp"

#include <array>

#include "host/quantity.hpp"

namespace shmpool::host {
namespace {

constexpr std::array<Unit, 4> units{{{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}}};

}  // namespace

Result<std::uint64_t> parse_duration_ms(std::string_view text) {
    return parse_quantity(text, {"duration", "2s", units, 0});
}

std::string format_duration_ms(std::uint64_t duration_ms) {
    std::size_t index = units.size() - 1;
    while (index > 0 && (duration_ms == 0 || duration_ms % units[index].factor != 0)) --index;
    return std::to_string(duration_ms / units[index].factor) + std::string(units[index].name);
}

}  // namespace shmpool::host
