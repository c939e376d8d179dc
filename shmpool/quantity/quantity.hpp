// SPDX-License-Identifier: Apache-2.0
/// "64 KiB", "250ms": a whole number and a unit, as people write them in configurations. Sizes and
/// durations are this grammar with two tables of units:
///
///   quantity = digits [spaces] [unit]      no sign, no fraction, no separators
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "shmpool/platform/result.hpp"

namespace shmpool {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

struct QuantityKind {
    std::string_view what;            ///< "size"
    std::string_view example;         ///< "64KiB"
    std::span<const Unit> units;      ///< Ascending by factor.
    std::uint64_t factor_of_no_unit;  ///< 0: a unit must be given.
};

/// Fails with `invalid_argument` and a sentence that quotes `text` and says what is wrong with it.
[[nodiscard]] Result<std::uint64_t> parse_quantity(std::string_view text, const QuantityKind& kind);

}  // namespace shmpool
