// SPDX-License-Identifier: Apache-2.0
/// How a test explores a play: one line of the table per play, and a violation ends the test with
/// the whole interleaving.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>

#include "player.hpp"

namespace shmpool::model {

/// What scripts/model asks for; the plain tests stay within a minute.
enum class Depth : std::uint8_t { short_form, full, unbounded };
[[nodiscard]] Depth depth();

/// The same with `preemptions` in the short form, else without a bound of preemptions.
[[nodiscard]] Bounds deep(Bounds bounds, int preemptions);

/// As `deep`, for a play that has a bound at full depth too.
[[nodiscard]] Bounds deep(Bounds bounds, int preemptions, int at_full_depth);

/// Explores what `cast` puts on the stage, prints the row, and expects that everything holds.
void expect_holds(const std::string& name, const Shape& shape, const Bounds& bounds,
                  const std::function<void(World&)>& cast);

/// As the client library does it: the reader closes and drains, then the host takes it out.
void unsubscribe(World& world, Player& reader);

/// Every "file:line" that was executed since the program began.
[[nodiscard]] const std::vector<std::string>& executed_sites();

}  // namespace shmpool::model
