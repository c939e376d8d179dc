// SPDX-License-Identifier: Apache-2.0
/// What `pub` and `sub` say at their end: messages, bytes, seconds, megabytes (10^6) per second.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "peer/cli/cli11_fwd.hpp"
#include "peer/cli/printing.hpp"

namespace shmpool::cli {

struct StreamSummary {
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
    std::uint64_t begin_ns = 0;  ///< 0: not yet.
    std::uint64_t last_ns = 0;

    void begin();
    void count(std::size_t message_bytes);

    [[nodiscard]] std::chrono::nanoseconds since_begin() const;
    [[nodiscard]] double seconds() const;
    [[nodiscard]] double megabytes_per_second() const;

    /// Without an end of line: the caller may go on.
    [[nodiscard]] std::string text(std::string_view verb, std::string_view channel) const;
    [[nodiscard]] Json json(std::string_view pool, std::string_view channel) const;
};

/// The option --report and what it does; nothing when it is empty.
CLI::Option* add_report(CLI::App& command, std::string& into);
[[nodiscard]] Result<void> write_report(const std::string& path, const Json& summary);

}  // namespace shmpool::cli
