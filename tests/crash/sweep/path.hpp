// SPDX-License-Identifier: Apache-2.0
/// The way of an operation, instruction by instruction, and the points of it to be visited.
///
/// One traced run finds them: the operation is stepped once, and after every instruction the
/// control memory, and the heap that the victim uses, are compared with a copy (payloads of slots
/// are the users'). Only stores into the segment and system calls can be seen by others, so
/// `events` are the points before and after each.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "arena.hpp"
#include "operation.hpp"
#include "stepped_victim.hpp"

namespace shmpool::sweep {

/// Calm: the rivals rest until the victim is there. So the path is the traced one and can be
/// repeated. Busy: they work from the beginning, in bursts between which the victim gets a few
/// instructions further; it then meets changed lists and queues and goes round in its retries.
enum class Rivals : std::uint8_t { calm, busy };

/// Where a visit ends.
struct Point {
    std::uint64_t address = 0;
    std::uint32_t visit = 0;   ///< Of that address, from 1; 0: `passed` alone says where.
    std::uint32_t passed = 0;  ///< Instructions before it, in the traced run.
    bool is_end = false;       ///< Behind the last one.
};

inline constexpr std::uint32_t instructions_max = 2000;

/// Whether only the events of it are visited.
[[nodiscard]] inline bool is_long(std::uint32_t instructions) {
    return instructions > instructions_max;
}

struct Path {
    std::vector<Point> instructions;  ///< All of them, and the end.
    std::vector<Point> events;
    std::string wrong;  ///< Not empty: the operation did not do what its name says.

    [[nodiscard]] std::uint32_t length() const {
        return static_cast<std::uint32_t>(instructions.size() - 1);
    }
    /// Those that are visited.
    [[nodiscard]] const std::vector<Point>& points() const {
        return is_long(length()) ? events : instructions;
    }
};

[[nodiscard]] Path trace(Arena& arena, const Operation& operation);

struct Extent {
    std::uint32_t every = 1;            ///< Only each n-th point, but one at least.
    std::optional<std::size_t> only{};  ///< One point.
};
/// Numbers of points. The first one differs from operation to operation: not always the same part
/// of them is thin.
[[nodiscard]] std::vector<std::size_t> choose(const Operation& operation, std::size_t points,
                                              const Extent& extent);

/// Steps the victim to a point. False: the operation was over before, because another path was
/// taken: what rivals do decides that too.
[[nodiscard]] bool lead(SteppedVictim& victim, const Point& point, Rivals rivals, Board& board,
                        std::minstd_rand& random);

}  // namespace shmpool::sweep
