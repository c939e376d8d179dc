// SPDX-License-Identifier: Apache-2.0
/// What the host tells people while it runs, on standard error or in a file. The only place that
/// logs; libraries return errors. Texts that strangers sent go through `printable` first.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "host/pool_config.hpp"
#include "shmpool/platform/result.hpp"

namespace spdlog {
class logger;
}

namespace shmpool::host {

/// Any thread.
class HostLog {
public:
    /// `file` empty: standard error; else it is appended to. Fails with `invalid_config`.
    [[nodiscard]] static Result<HostLog> open(LogLevel level, const std::string& file);

    void debug(std::string_view text) const;
    void info(std::string_view text) const;
    void warn(std::string_view text) const;
    void error(std::string_view text) const;

private:
    explicit HostLog(std::shared_ptr<spdlog::logger> logger) : logger_(std::move(logger)) {}

    std::shared_ptr<spdlog::logger> logger_;
};

/// The text with every byte that is not printable ASCII as \xNN: one line stays one line.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace shmpool::host
