// SPDX-License-Identifier: Apache-2.0
/// Durations as people write and read them: "250ms", "2s", "1m". A configuration has milliseconds
/// and must read back as it was; a command line has nanoseconds, and shows people two digits.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "shmpool/platform/result.hpp"

namespace shmpool {

/// Milliseconds. Units ms, s, m, h; one must be given. See parse_quantity for what is refused.
[[nodiscard]] Result<std::uint64_t> parse_duration_ms(std::string_view text);

/// The largest unit that divides it: "2s". Reads back as it was.
[[nodiscard]] std::string format_duration_ms(std::uint64_t duration_ms);

/// Units us, ms, s, m, h; one must be given. At most 292 years.
[[nodiscard]] Result<std::chrono::nanoseconds> parse_duration(std::string_view text);

/// "250us", "4.2s", "2h 5m": two digits that matter, for people.
[[nodiscard]] std::string format_duration(std::chrono::nanoseconds duration);

}  // namespace shmpool
