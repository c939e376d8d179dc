// SPDX-License-Identifier: Apache-2.0
/// How many are let in who leave again at once: without a hello, or just behind it. Each costs the
/// host some work, and a flood of them would keep it from those whom it serves: then the door stays
/// shut for some milliseconds, and who knocks waits in the kernel's queue. Who stays costs nothing.
#pragma once

#include <algorithm>
#include <cstdint>

namespace shmpool::host {

/// One thread. A bucket that fills with what each of them costs and drains with time.
class Door {
public:
    static constexpr std::uint64_t burst = 16;              ///< So many at once shut it.
    static constexpr std::uint64_t reopens_at = burst / 2;  ///< Open for some again, not for one.
    static constexpr std::uint64_t interval_ns = 50'000;    ///< One of them is forgotten.
    /// So long after it the host is still wary.
    static constexpr std::uint64_t remembered_ns = 1'000'000'000;

    /// `cost`: 1 for a stranger, more for who costs the host more.
    void left_at_once(std::uint64_t cost, std::uint64_t now_ns) {
        drained_at_ns_ = std::max(drained_at_ns_, now_ns) + cost * interval_ns;
    }

    /// Nobody has left at once lately.
    [[nodiscard]] bool is_quiet(std::uint64_t now_ns) const {
        return drained_at_ns_ + remembered_ns <= now_ns;
    }

    [[nodiscard]] bool should_shut(std::uint64_t now_ns) const {
        return drained_at_ns_ >= now_ns + burst * interval_ns;
    }

    /// Until then at least, though nobody floods.
    void stay_shut(std::uint64_t until_ns) {
        drained_at_ns_ = std::max(drained_at_ns_, until_ns + reopens_at * interval_ns);
    }

    [[nodiscard]] std::uint64_t reopens_at_ns() const {
        return drained_at_ns_ - reopens_at * interval_ns;
    }

private:
    std::uint64_t drained_at_ns_ = 0;
};

}  // namespace shmpool::host
