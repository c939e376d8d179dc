// SPDX-License-Identifier: Apache-2.0
/// See size_check.hpp.
#include "peer/cli/size_check.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "shmpool/quantity/byte_size.hpp"

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
                            option, format_byte_size(bytes), pool_name, format_byte_size(largest)));
}

}  // namespace shmpool::cli
