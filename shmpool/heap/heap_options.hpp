// SPDX-License-Identifier: Apache-2.0
/// Which options make sense together. Whoever gives one that the kind does not have has another
/// kind in mind, so it is refused rather than ignored, in the words of the configuration
/// (`page_size`; of the command line: --page-size) and of the library (`bytes_per_page`).
#pragma once

#include <cstdint>

#include "shmpool/heap/heap_format.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool {

/// For a heap of this kind that has, or may get, so much memory. invalid_argument: with the option,
/// its value, and what to do.
[[nodiscard]] Result<void> check_options(HeapKind kind, std::uint64_t memory_bytes,
                                         const HeapOptions& options);

}  // namespace shmpool
