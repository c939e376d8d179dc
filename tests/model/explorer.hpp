// SPDX-License-Identifier: Apache-2.0
/// Tries all orders in which the actors of a play can take their steps, and all deaths before a
/// step that changes something, and looks at every end. Depth first; a state that was met before is
/// left at once. Steps that nobody else can notice are not interleaved (sharing.hpp), which is
/// exact: the explorer runs again until a whole run has taught it nothing new about who touches
/// what.
///
/// With a bound of preemptions, an actor that could go on is interrupted at most that often on one
/// path; deaths and ends of scripts are no interruptions.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "machine.hpp"

namespace shmpool::model {

struct Bounds {
    unsigned peer_kills = 0;  ///< How many processes of peers may die on one path.
    unsigned host_kills = 0;  ///< 1: the host may die; the second host does not.
    int preemptions = -1;     ///< -1: without a bound.
};

struct Play {
    std::vector<Script> scripts;
    std::function<void()> at_end;  ///< Looks for what is broken, and reports it.
    unsigned host_process = 0;
    unsigned second_host = nobody;  ///< The actor that moves only after the host has died.
    bool host_waits_for_deaths_only = true;
    std::function<std::string(const void*)> name_of;  ///< Of a word, for traces.
};

/// Sets the stage in a wiped arena; called again for every run, always with the same result.
using SetStage = std::function<Play()>;

struct Report {
    std::uint64_t states = 0;
    std::uint64_t transitions = 0;  ///< Accesses that were executed.
    std::uint64_t ends = 0;
    std::uint64_t kills = 0;  ///< Deaths that were tried, the host's included.
    std::uint64_t host_kills = 0;
    unsigned runs = 0;  ///< The last of them taught nothing new.
    bool complete = false;
    std::string violation;
    std::string trace;
    std::vector<std::string> sites;  ///< "file:line" of every access that was executed.
};

[[nodiscard]] Report explore(const SetStage& set_stage, const Bounds& bounds);

}  // namespace shmpool::model
