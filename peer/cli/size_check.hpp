// SPDX-License-Identifier: Apache-2.0
/// Whether a pool has slots of a size at all, with a sentence that names the largest.
#pragma once

#include <string_view>

#include "peer/peer.hpp"

namespace shmpool::cli {

/// `option` is where the size came from: "--chunk". too_large.
[[nodiscard]] Result<void> check_size_fits(Peer& peer, std::string_view pool_name,
                                           std::uint64_t bytes, std::string_view option);

}  // namespace shmpool::cli
