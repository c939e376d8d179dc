// SPDX-License-Identifier: Apache-2.0
/// What somebody probably meant: the known name that is nearest to a misspelt one, by the number of
/// letters to insert, remove, exchange or swap (optimal string alignment; case does not count).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace shmpool::host {

[[nodiscard]] std::size_t edit_distance(std::string_view left, std::string_view right);

/// None if even the nearest differs in more than a third of its letters (one is always allowed).
[[nodiscard]] std::optional<std::string_view> nearest_name(std::string_view word,
                                                           std::span<const std::string_view> known);

/// The end of an error about an unknown word: `did you mean "peers"?`, or all that is known.
[[nodiscard]] std::string suggest_name(std::string_view word,
                                       std::span<const std::string_view> known);

}  // namespace shmpool::host
