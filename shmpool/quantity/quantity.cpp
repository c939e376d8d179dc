// SPDX-License-Identifier: Apache-2.0
/// See quantity.hpp. One pass from left to right; the two multiplications are checked.
#include "shmpool/quantity/quantity.hpp"

#include <algorithm>
#include <charconv>

namespace shmpool {
namespace {

constexpr std::string_view digits = "0123456789";
constexpr std::size_t quoted_length_max = 40;

std::string quoted(std::string_view text) {
    std::string result = "\"";
    for (const char character : text.substr(0, quoted_length_max)) {
        result += character >= ' ' && character <= '~' ? character : '?';
    }
    return result + (text.size() > quoted_length_max ? "...\"" : "\"");
}

std::string unit_names(const QuantityKind& kind) {
    std::string names;
    for (const Unit& unit : kind.units) {
        names += (names.empty() ? "" : ", ") + std::string(unit.name);
    }
    return names;
}

tl::unexpected<Error> wrong(std::string_view text, const QuantityKind& kind,
                            const std::string& reason) {
    return fail(Errc::invalid_argument, std::string(kind.what) + " " + quoted(text) + " " + reason);
}

std::string like(const QuantityKind& kind) {
    const bool has_units = !kind.units.empty();
    return (has_units ? "write a whole number and a unit, like " : "write a whole number, like ") +
           quoted(kind.example);
}

}  // namespace

Result<std::uint64_t> parse_quantity(std::string_view text, const QuantityKind& kind) {
    if (text.empty()) return wrong(text, kind, "is empty; " + like(kind));
    if (text.front() == '-') return wrong(text, kind, "is negative; " + like(kind));
    const std::size_t number_end = std::min(text.find_first_not_of(digits), text.size());
    if (number_end == 0) return wrong(text, kind, "does not begin with a digit; " + like(kind));

    std::uint64_t number = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + number_end, number);
    if (parsed.ec != std::errc()) return wrong(text, kind, "is larger than 64 bits can hold");

    std::string_view rest = text.substr(number_end);
    if (rest.starts_with('.') || rest.starts_with(',')) {
        return wrong(text, kind, "has a fraction; take a smaller unit and a whole number");
    }
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    std::uint64_t factor = kind.factor_of_no_unit;
    if (rest.empty() && factor == 0) {
        return wrong(text, kind, "has no unit; the units are " + unit_names(kind));
    }
    if (!rest.empty() && kind.units.empty()) {
        return wrong(text, kind, "is not a whole number; write it like " + quoted(kind.example));
    }
    if (!rest.empty()) {
        const auto unit = std::ranges::find(kind.units, rest, &Unit::name);
        if (unit == kind.units.end()) {
            return wrong(
                text, kind,
                "has the unknown unit " + quoted(rest) + "; the units are " + unit_names(kind));
        }
        factor = unit->factor;
    }
    std::uint64_t product = 0;
    if (__builtin_mul_overflow(number, factor, &product)) {
        return wrong(text, kind, "is larger than 64 bits can hold");
    }
    return product;
}

}  // namespace shmpool
