// SPDX-License-Identifier: Apache-2.0
/// Durations as people write and read them: "250ms", "2s", "1m".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shmpool/platform/result.hpp"

namespace shmpool::host {

/// Milliseconds. Units ms, s, m, h; one must be given. See parse_quantity for what is refused.
[[nodiscard]] Result<std::uint64_t> parse_duration_ms(std::string_view text);

/// The largest unit that divides it: "2s". Reads back as it was.
[[nodiscard]] std::string format_duration_ms(std::uint64_t duration_ms);

}  // namespace shmpool::host
