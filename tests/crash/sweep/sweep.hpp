// SPDX-License-Identifier: Apache-2.0
/// Kills at every place of an operation, one fresh victim for each.
///
/// An operation of up to 2,000 instructions is killed at each of them. A longer one is killed
/// before and after each store into the segment and each system call: nothing else of it can leave
/// something behind. Every place is visited twice, with calm rivals and with busy ones; behind the
/// kill they work beside the dead. A victim that never comes to its place, because a rival has
/// decided otherwise, is counted as missed, and others try.
#pragma once

#include "row.hpp"

namespace shmpool::sweep {

class Sweep {
public:
    explicit Sweep(Arena& arena) : arena_(arena) {}

    [[nodiscard]] Row run(const Operation& operation, const Extent& extent);

private:
    /// False: the operation was over before; the victim was killed all the same.
    [[nodiscard]] bool kill_at(const Operation& operation, const Point& point, Rivals rivals,
                               Finding& finding);

    Arena& arena_;
    std::minstd_rand random_;
};

}  // namespace shmpool::sweep
