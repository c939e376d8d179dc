// SPDX-License-Identifier: Apache-2.0
/// See byte_size.hpp. Powers of 1024 only: "MB" means two things to people, so it is refused.
#include "shmpool/quantity/byte_size.hpp"

#include <array>

#include "shmpool/quantity/quantity.hpp"

namespace shmpool {
namespace {

constexpr std::array<Unit, 5> units{{{"B", 1},
                                     {"KiB", std::uint64_t{1} << 10},
                                     {"MiB", std::uint64_t{1} << 20},
                                     {"GiB", std::uint64_t{1} << 30},
                                     {"TiB", std::uint64_t{1} << 40}}};

constexpr std::uint64_t short_number_limit = 10'000;

}  // namespace

Result<std::uint64_t> parse_byte_size(std::string_view text) {
    return parse_quantity(text, {"size", "64KiB", units, 1});
}

std::string format_byte_size(std::uint64_t bytes) {
    std::size_t largest = units.size() - 1;
    while (largest > 0 && bytes < units[largest].factor) --largest;
    for (std::size_t index = largest + 1; index-- > 0;) {
        const Unit& unit = units[index];
        if (bytes % unit.factor == 0 && bytes / unit.factor < short_number_limit) {
            return std::to_string(bytes / unit.factor) + std::string(unit.name);
        }
    }
    const Unit& unit = units[largest];
    std::uint64_t whole = bytes / unit.factor;
    // The remainder is below 2^40, so ten times it fits.
    std::uint64_t tenths = ((bytes % unit.factor) * 10 + unit.factor / 2) / unit.factor;
    whole += tenths / 10;
    tenths %= 10;
    return std::to_string(whole) + "." + std::to_string(tenths) + std::string(unit.name);
}

}  // namespace shmpool
