// SPDX-License-Identifier: Apache-2.0
/// See printing.hpp.
#include "peer/cli/printing.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace shmpool::cli {

Result<void> print(std::string_view text) {
    const bool written =
        std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
    if (written || errno == EPIPE) return {};
    return fail_errno(Errc::system, "cannot write to standard output", errno);
}

Result<void> print_json(const Json& json) {
    return print(dump(json) + "\n");
}

void remark(std::string_view text) {
    std::fprintf(stderr, "shmpool: %.*s\n", static_cast<int>(text.size()), text.data());
}

std::string dump(const Json& json) {
    return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string printable(std::string_view text) {
    std::string result(text);
    std::ranges::replace_if(
        result, [](char one) { return one < ' ' || one > '~'; }, '?');
    return result;
}

std::string TextTable::text() const {
    std::vector<std::size_t> widths(rows_.front().size());
    std::vector<bool> numbers(widths.size(), true);
    for (const auto& row : rows_) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], row[i].size());
            const bool heading = &row == &rows_.front();
            const bool number = !row[i].empty() && row[i].front() >= '0' && row[i].front() <= '9';
            numbers[i] = numbers[i] && (heading || number);
        }
    }
    std::string text;
    for (const auto& row : rows_) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string gap(widths[i] - row[i].size(), ' ');
            line += (i == 0 ? "" : "  ") + (numbers[i] ? gap + row[i] : row[i] + gap);
        }
        text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return text;
}

}  // namespace shmpool::cli
