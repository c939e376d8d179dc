// SPDX-License-Identifier: Apache-2.0
/// Which names pools and channels may have: 1 to 63 characters of A-Z a-z 0-9 . _ - and, for
/// channels only, '/'. A pool's name becomes a file name, a channel's name stands in command lines.
#pragma once

#include <string_view>

#include "shmpool/platform/result.hpp"

namespace shmpool {

/// Fails with `invalid_argument`; the sentence names the first character that is not allowed.
[[nodiscard]] Result<void> check_pool_name(std::string_view name);
[[nodiscard]] Result<void> check_channel_name(std::string_view name);

}  // namespace shmpool
