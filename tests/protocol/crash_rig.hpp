// SPDX-License-Identifier: Apache-2.0
/// Crash points at work: count which are met, or end (or stop) this very process at the n-th
/// meeting of one. Only for programs whose every file has SHMPOOL_CRASH_POINTS.
#pragma once

#include <atomic>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "child_process.hpp"
#include "shmpool/platform/crash_point.hpp"

namespace shmpool::testing_protocol {

/// How often each point was met, in memory shared with the child that met them.
struct PointCounts {
    static constexpr std::size_t points_max = 128;
    std::atomic<const char*> names[points_max];  ///< Parent and child are one program: one address.
    std::atomic<unsigned> hits[points_max];

    void count(const char* name);
    [[nodiscard]] unsigned of(const std::string& name) const;
    [[nodiscard]] std::vector<std::pair<std::string, unsigned>> all() const;
};

/// From now on this process counts the points that it meets; after all steps below are done.
void count_points(PointCounts& into);

/// One thing after another: at the n-th meeting of the point (1 is the first, counted from the step
/// before) this process does something, usually to send itself a signal.
struct Step {
    std::string name;
    unsigned nth = 1;
    std::function<void()> act;
};
void act_at_points(std::vector<Step> steps);
void signal_at_point(const std::string& name, unsigned nth, int signal);
[[nodiscard]] Step kill_at(const std::string& name, unsigned nth = 1);
[[nodiscard]] Step stop_at(const std::string& name, unsigned nth = 1);

/// All names that are written in the sources of `protocol/`.
[[nodiscard]] std::set<std::string> points_in_protocol_sources();

}  // namespace shmpool::testing_protocol
