// SPDX-License-Identifier: Apache-2.0
/// Kills at every place of an operation, one fresh victim for each.
///
/// One traced run finds the places: the operation is stepped once, and after every instruction the
/// control memory is compared with a copy (payloads are the users'). An operation of up to 2,000
/// instructions is then killed at each of them. Of a longer one only stores into the segment and
/// system calls can leave something else behind, so it is killed before and after each of those.
///
/// Every place is visited twice. Calm: the rivals rest until the victim is there; then they work
/// beside the dead. So the path is the traced one and can be repeated. Busy: they work from the
/// beginning, in bursts between which the victim gets a few instructions further; it then meets
/// changed lists and queues and goes round in its retries.
#pragma once

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "arena.hpp"
#include "operation.hpp"
#include "stepped_victim.hpp"

namespace shmpool::sweep {

inline constexpr std::uint32_t instructions_max = 2000;

enum class Rivals : std::uint8_t { calm, busy };

/// Where a kill falls.
struct Point {
    std::uint64_t address = 0;
    std::uint32_t visit = 0;   ///< Of that address, from 1; 0: `passed` alone says where.
    std::uint32_t passed = 0;  ///< Instructions before it, in the traced run.
};

struct Finding {
    std::size_t point = 0;
    Rivals rivals = Rivals::calm;
    std::uint64_t address = 0;  ///< Of the next instruction of the victim.
    Account account;
};

struct Row {
    std::string name;
    std::uint32_t instructions = 0;
    bool is_long = false;
    std::uint32_t points = 0;
    std::uint32_t kills = 0;
    std::uint32_t lost = 0;
    std::uint32_t doubled = 0;
    std::uint32_t stuck = 0;
    std::uint32_t broken = 0;
    std::string wrong_path;  ///< Not empty: the operation did not do what its name says.
    std::vector<Finding> findings;

    [[nodiscard]] bool is_clean() const {
        return wrong_path.empty() && lost + doubled + stuck + broken == 0;
    }
};

struct Extent {
    std::uint32_t every = 1;            ///< Only each n-th point, but one at least.
    std::optional<std::size_t> only{};  ///< One point.
};

class Sweep {
public:
    explicit Sweep(Arena& arena) : arena_(arena) {}

    [[nodiscard]] Row run(const Operation& operation, const Extent& extent);

private:
    struct Trace {
        std::uint32_t instructions = 0;
        bool is_long = false;
        std::vector<Point> points;
        std::string wrong_path;
    };

    [[nodiscard]] Trace trace(const Operation& operation);
    [[nodiscard]] Trace trace_as_named(const Operation& operation, Row& row);
    [[nodiscard]] static std::vector<std::size_t> choose(const Operation& operation,
                                                         const Trace& trace, const Extent& extent);
    void kill_at(const Operation& operation, const Trace& trace, std::size_t number, Rivals rivals,
                 Row& row);
    void go_to(SteppedVictim& victim, const Point& point, Rivals rivals);
    void enter(Row& row, Finding finding);

    Arena& arena_;
    std::minstd_rand random_;
};

}  // namespace shmpool::sweep
