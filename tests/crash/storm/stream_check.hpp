// SPDX-License-Identifier: Apache-2.0
/// What a reader may see of each writer: all of it, in order, once; where messages may be dropped,
/// at least in order, and no more missing than was counted.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "payload.hpp"

namespace shmpool::storm {

struct StreamRules {
    bool may_drop = false;
    /// The reader was there before every writer: nothing begins later than with number 1.
    bool from_the_first = false;
};

class StreamCheck {
public:
    explicit StreamCheck(const StreamRules& rules) : rules_(rules) {}

    /// What is wrong with it, if something is.
    [[nodiscard]] std::optional<std::string> next(const Message& message);
    /// Whether more is missing than the subscriber has counted, at any moment. A writer counts a
    /// drop right after it: each may be one behind, for ever if it was killed in between.
    [[nodiscard]] bool misses_more_than(std::uint64_t dropped) const {
        return missing_ > dropped + last_of_.size();
    }
    /// The last number seen; 0 if none was.
    [[nodiscard]] std::uint64_t last_of(std::uint64_t writer) const;

private:
    StreamRules rules_;
    std::map<std::uint64_t, std::uint64_t> last_of_;
    std::uint64_t missing_ = 0;
};

}  // namespace shmpool::storm
