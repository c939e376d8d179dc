// SPDX-License-Identifier: Apache-2.0
/// See stream_summary.hpp.
#include "peer/cli/stream_summary.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <fstream>

#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool::cli {

void StreamSummary::begin() {
    if (begin_ns == 0) begin_ns = last_ns = monotonic_ns();
}

void StreamSummary::count(std::size_t message_bytes) {
    ++messages;
    bytes += message_bytes;
    last_ns = monotonic_ns();
}

std::chrono::nanoseconds StreamSummary::since_begin() const {
    return std::chrono::nanoseconds(monotonic_ns() - begin_ns);
}

double StreamSummary::seconds() const {
    return static_cast<double>(last_ns - begin_ns) / 1e9;
}

double StreamSummary::megabytes_per_second() const {
    return last_ns == begin_ns ? 0 : static_cast<double>(bytes) / 1e6 / seconds();
}

std::string StreamSummary::text(std::string_view verb, std::string_view channel) const {
    return fmt::format("{} {} messages, {} bytes on channel '{}' in {:.3f} s, {:.1f} MB/s", verb,
                       messages, bytes, channel, seconds(), megabytes_per_second());
}

Json StreamSummary::json(std::string_view pool, std::string_view channel) const {
    return Json{{"pool", pool},         {"channel", channel},
                {"messages", messages}, {"bytes", bytes},
                {"seconds", seconds()}, {"megabytes_per_second", megabytes_per_second()}};
}

CLI::Option* add_report(CLI::App& command, std::string& into) {
    return command.add_option("--report", into, "Also write the summary as JSON to this file")
        ->type_name("FILE");
}

Result<void> write_report(const std::string& path, const Json& summary) {
    if (path.empty()) return {};
    std::ofstream file(path);
    file << dump(summary) << '\n';
    file.close();
    if (file) return {};
    return fail_errno(Errc::system, "cannot write the report '" + path + "'", errno);
}

}  // namespace shmpool::cli
