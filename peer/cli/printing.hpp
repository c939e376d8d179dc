// SPDX-License-Identifier: Apache-2.0
/// Results on standard output and remarks on standard error, and how results look: JSON with an
/// indent of two, or a table.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "shmpool/platform/result.hpp"

namespace shmpool::cli {

/// Keeps the order in which fields are put.
using Json = nlohmann::ordered_json;

/// Written and flushed. A reader of standard output that has gone has seen what it wanted: no
/// error.
[[nodiscard]] Result<void> print(std::string_view text);
[[nodiscard]] Result<void> print_json(const Json& json);

/// One line on standard error, after the program's name.
void remark(std::string_view text);

/// Text in the segment is any bytes: what is no valid UTF-8 is replaced, so that JSON can hold it.
[[nodiscard]] std::string dump(const Json& json);

/// For a terminal: what is no printable ASCII becomes '?'.
[[nodiscard]] std::string printable(std::string_view text);

/// Columns as wide as they must be, two spaces apart; numbers (cells that begin with a digit) to
/// the right. The first row is the heading.
class TextTable {
public:
    explicit TextTable(std::vector<std::string> heading) { add(std::move(heading)); }
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
    [[nodiscard]] std::string text() const;

private:
    std::vector<std::vector<std::string>> rows_;
};

}  // namespace shmpool::cli
