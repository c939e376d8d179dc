// SPDX-License-Identifier: Apache-2.0
/// Time that only goes forward, the same in every process of the machine (CLOCK_MONOTONIC), and
/// deadlines on it. Used for waiting and for statistics, never to decide that a peer is dead.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

namespace shmpool {

/// Nanoseconds since some fixed moment, usually the start of the machine. No system call.
[[nodiscard]] std::uint64_t monotonic_ns() noexcept;

/// A moment after which one stops waiting.
class Deadline {
public:
    [[nodiscard]] static Deadline never() noexcept { return Deadline(never_ns); }

    /// Expired from the beginning, without a look at the clock: for one attempt.
    [[nodiscard]] static Deadline passed() noexcept { return Deadline(0); }

    /// Zero and negative durations have expired at once; nanoseconds::max() is never.
    [[nodiscard]] static Deadline after(std::chrono::nanoseconds timeout) noexcept {
        if (timeout == std::chrono::nanoseconds::max()) return never();
        const std::uint64_t now = monotonic_ns();
        if (timeout <= std::chrono::nanoseconds::zero()) return Deadline(now);
        return Deadline(now + static_cast<std::uint64_t>(timeout.count()));  // Each below 2^63.
    }

    [[nodiscard]] bool is_never() const noexcept { return at_ns_ == never_ns; }

    [[nodiscard]] bool expired() const noexcept { return !is_never() && monotonic_ns() >= at_ns_; }

    /// Zero when expired, nanoseconds::max() for never: what the waiting functions take.
    [[nodiscard]] std::chrono::nanoseconds remaining() const noexcept {
        if (is_never()) return std::chrono::nanoseconds::max();
        const std::uint64_t now = monotonic_ns();
        return std::chrono::nanoseconds(now < at_ns_ ? static_cast<std::int64_t>(at_ns_ - now) : 0);
    }

private:
    static constexpr std::uint64_t never_ns = std::numeric_limits<std::int64_t>::max();

    explicit Deadline(std::uint64_t at_ns) noexcept : at_ns_(at_ns) {}

    std::uint64_t at_ns_;
};

}  // namespace shmpool
