// SPDX-License-Identifier: Apache-2.0
/// How often something is said that strangers can cause as often as they like: some lines at once,
/// then one in a second. The disk and the time of the host are not theirs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "host/host_log.hpp"
#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool::host {

/// One thread.
class LineLimit {
public:
    static constexpr std::uint64_t burst = 10;
    static constexpr std::uint64_t interval_ns = 1'000'000'000;

    /// None: say nothing. Else how many lines were left out since the last one that was said.
    [[nodiscard]] std::optional<std::uint64_t> ask(std::uint64_t now_ns) {
        const std::uint64_t free_at_ns = std::max(free_at_ns_, now_ns);
        if (free_at_ns - now_ns > (burst - 1) * interval_ns) {
            ++left_out_;
            return std::nullopt;
        }
        free_at_ns_ = free_at_ns + interval_ns;
        return std::exchange(left_out_, 0);
    }

private:
    std::uint64_t free_at_ns_ = 0;  ///< When the whole burst is free again.
    std::uint64_t left_out_ = 0;
};

/// A line about a stranger, if its turn has come.
inline void warn_sparingly(const HostLog& log, LineLimit& limit, const std::string& text) {
    const auto left_out = limit.ask(monotonic_ns());
    if (!left_out) return;
    const std::string more =
        *left_out == 0 ? "" : "; " + std::to_string(*left_out) + " lines like this were left out";
    log.warn(text + more);
}

}  // namespace shmpool::host
