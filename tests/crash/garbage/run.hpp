// SPDX-License-Identifier: Apache-2.0
/// A run: episodes until so many words were written, each with a seed of its own. Between two
/// episodes the damaged pool is examined by `shmpool doctor` and `shmpool status`, which must end;
/// then `shmpool rebuild` brings it back: the honest peers of the next episode work in it, and the
/// doctor finds nothing before the next vandal comes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "episode.hpp"

namespace shmpool::garbage {

struct RunPlan {
    std::uint64_t words = 100'000;
    std::uint64_t words_per_episode = 20'000;
    std::uint64_t seed = 1;
    std::size_t findings_max = 1;
};

struct Tally {
    std::uint64_t words = 0;
    std::uint64_t episodes = 0;
    std::uint64_t operations = 0;     ///< Of honest peers.
    std::uint64_t attachments = 0;    ///< Of honest peers.
    std::uint64_t damage_errors = 0;  ///< Operations that said pool_damaged.
    std::uint64_t heap_blocks = 0;    ///< Allocated by honest peers.
    std::uint64_t classes_grown = 0;  ///< At the request of honest peers.
    std::uint64_t damage_found = 0;   ///< By the doctor, of as many episodes.
    std::uint64_t rebuilds = 0;       ///< After which everybody was attached again.
    std::vector<Finding> findings;
};

/// `tell` hears a line about each finding, and now and then how far the run is.
[[nodiscard]] Tally run(const RunPlan& plan, const std::function<void(const std::string&)>& tell);

}  // namespace shmpool::garbage
