// SPDX-License-Identifier: Apache-2.0
/// What came out of the visits of one operation.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "arena.hpp"
#include "path.hpp"

namespace shmpool::sweep {

struct Finding {
    std::size_t point = 0;
    std::string visit;          ///< Which one of that point: "calm", ...
    std::uint64_t address = 0;  ///< Of the next instruction of the victim.
    Account account;
};

struct Row {
    std::string name;
    std::uint32_t instructions = 0;
    std::uint32_t points = 0;
    std::uint32_t visits = 0;  ///< Victims that were killed, or stopped, at their points.
    std::uint32_t missed = 0;  ///< Those that never came there: the operation was over before.
    std::uint32_t lost = 0;
    std::uint32_t doubled = 0;
    std::uint32_t stuck = 0;
    std::uint32_t broken = 0;
    std::string wrong_path;  ///< Not empty: the operation did not do what its name says.
    std::vector<Finding> findings;

    [[nodiscard]] bool is_clean() const {
        return wrong_path.empty() && lost + doubled + stuck + broken == 0;
    }
    /// What is not clean is kept, and the arena made anew.
    void enter(Finding finding, Arena& arena);
};

/// Fills the row's head. Whether a sleeper sleeps is up to the scheduler: then another try may do.
[[nodiscard]] Path trace_into(Row& row, const Operation& operation, Arena& arena);

}  // namespace shmpool::sweep
