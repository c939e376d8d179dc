// SPDX-License-Identifier: Apache-2.0
/// Which names pools, channels and heaps may have: 1 to 63 characters of A-Z a-z 0-9 . _ - and, but
/// for pools, '/'. A pool's name becomes a file name, the others stand in command lines.
#pragma once

#include <string_view>

#include "shmpool/platform/result.hpp"

namespace shmpool {

/// Fails with `invalid_argument`; the sentence names the first character that is not allowed.
[[nodiscard]] Result<void> check_pool_name(std::string_view name);
[[nodiscard]] Result<void> check_channel_name(std::string_view name);
[[nodiscard]] Result<void> check_heap_name(std::string_view name);

}  // namespace shmpool
