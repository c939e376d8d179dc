// SPDX-License-Identifier: Apache-2.0
/// Reads the host's configuration: TOML, see config/shmpool.toml for every key. What the file
/// leaves out keeps its default; what the file says and nobody knows is an error. Every error
/// begins with FILE:LINE:COLUMN of the first thing that is wrong, and names the key.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "host/pool_config.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool::host {

/// Fails with `invalid_config`, or `no_permission` if the file may not be read.
[[nodiscard]] Result<PoolConfig> read_config_file(const std::string& path,
                                                  const MemoryProbe& memory);

/// `source_name` stands for the file in errors.
[[nodiscard]] Result<PoolConfig> parse_config(std::string_view text, std::string_view source_name,
                                              const MemoryProbe& memory);

/// Every key there is, as "section.key", in the order of the documentation.
[[nodiscard]] std::vector<std::string> config_keys();

}  // namespace shmpool::host
