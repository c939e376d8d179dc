// SPDX-License-Identifier: Apache-2.0
/// Sizes in bytes as people write and read them: "4096", "64KiB", "1 GiB".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shmpool/platform/result.hpp"

namespace shmpool {

/// Units B, KiB, MiB, GiB, TiB; none means bytes. See parse_quantity for what is refused.
[[nodiscard]] Result<std::uint64_t> parse_byte_size(std::string_view text);

/// The largest unit that divides `bytes` up to four digits: "64KiB", which reads back as it was;
/// else one decimal for people: "31.4GiB".
[[nodiscard]] std::string format_byte_size(std::uint64_t bytes);

}  // namespace shmpool
