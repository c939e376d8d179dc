// SPDX-License-Identifier: Apache-2.0
/// See size_check.hpp.
#include "peer/cli/size_check.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "peer/cli/quantity.hpp"

namespace shmpool::cli {

Result<void> check_size_fits(Peer& peer, std::string_view pool_name, std::uint64_t bytes,
                             std::string_view option) {
    std::uint64_t largest = 0;
    for (const SizeClassConfig& one : peer.pool().classes()) {
        largest = std::max(largest, one.slot_size);
    }
    if (bytes <= largest) return {};
    return fail(Errc::too_large,
                fmt::format("{} is {}, but the largest slots of pool '{}' have {}; ask for less, "
                            "or configure a larger class",
                            option, format_bytes(bytes), pool_name, format_bytes(largest)));
}

}  // namespace shmpool::cli
