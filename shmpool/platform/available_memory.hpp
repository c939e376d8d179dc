// SPDX-License-Identifier: Apache-2.0
/// How much memory this process could still commit. The kernel would rather end a process than
/// refuse a memfd, so `commit` asks here first.
#pragma once

#include <cstdint>
#include <string>

namespace shmpool {

/// Bytes that the machine and every control group above this process (v1 and v2) still allow. An
/// estimate: others allocate at the same time. The largest number when nothing can be read.
[[nodiscard]] std::uint64_t available_memory_bytes();

/// The same, with the files of another machine below `root`, for tests.
[[nodiscard]] std::uint64_t available_memory_bytes(const std::string& root);

/// All the memory that the machine has, whoever uses it.
[[nodiscard]] std::uint64_t machine_memory_bytes();

}  // namespace shmpool
