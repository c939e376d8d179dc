// SPDX-License-Identifier: Apache-2.0
#include "host/host_log.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace shmpool::host {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
    switch (level) {
        case LogLevel::trace: return spdlog::level::trace;
        case LogLevel::debug: return spdlog::level::debug;
        case LogLevel::info: return spdlog::level::info;
        case LogLevel::warn: return spdlog::level::warn;
        case LogLevel::error: return spdlog::level::err;
        case LogLevel::off: return spdlog::level::off;
    }
    return spdlog::level::info;
}

spdlog::string_view_t view_of(std::string_view text) {
    return {text.data(), text.size()};
}

}  // namespace

Result<HostLog> HostLog::open(LogLevel level, const std::string& file) {
    try {
        spdlog::sink_ptr sink;
        if (file.empty()) {
            sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
        } else {
            sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
        }
        auto logger = std::make_shared<spdlog::logger>("shmpoold", std::move(sink));
        logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z shmpoold[%P] %l: %v");
        logger->set_level(to_spdlog(level));
        logger->flush_on(spdlog::level::trace);
        return HostLog(std::move(logger));
    } catch (const spdlog::spdlog_ex& problem) {
        return fail(Errc::invalid_config, "[log] file \"" + file + "\" can not be opened: " +
                                              problem.what() + "; choose another, or none");
    }
}

void HostLog::debug(std::string_view text) const {
    logger_->log(spdlog::level::debug, view_of(text));
}
void HostLog::info(std::string_view text) const {
    logger_->log(spdlog::level::info, view_of(text));
}
void HostLog::warn(std::string_view text) const {
    logger_->log(spdlog::level::warn, view_of(text));
}
void HostLog::error(std::string_view text) const {
    logger_->log(spdlog::level::err, view_of(text));
}

std::string printable(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string result;
    for (const char character : text) {
        const auto byte = static_cast<unsigned char>(character);
        if (byte >= 0x20 && byte < 0x7F) {
            result += character;
        } else {
            result += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
        }
    }
    return result;
}

}  // namespace shmpool::host
