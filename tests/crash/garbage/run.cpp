// SPDX-License-Identifier: Apache-2.0
#include "run.hpp"

#include <memory>
#include <optional>

namespace shmpool::garbage {
namespace {

const std::vector<std::string> small_pool{"--class", "256B:512", "--class",     "4KiB:64",
                                          "--class", "64KiB:8",  "--log-level", "off"};

}  // namespace

Tally run(const RunPlan& plan, const std::function<void(const std::string&)>& tell) {
    Tally tally;
    SharedBoard board;
    std::unique_ptr<RunningHost> host;
    for (std::uint64_t seed = plan.seed; tally.words < plan.words; ++seed) {
        if (!host) host = std::make_unique<RunningHost>(small_pool, "garbage");
        // Half of the vandals let the damage be known: then honest peers attach again and again.
        const VandalPlan vandal{seed, plan.words_per_episode, seed % 2 == 0};
        auto found = play(*host, *board, vandal, tally);
        ++tally.episodes;
        tally.words = board->words.load(std::memory_order_relaxed);
        if (!found) continue;
        tell("seed " + std::to_string(seed) + ": " + found->what);
        tally.findings.push_back(std::move(*found));
        host.reset();
        if (tally.findings.size() == plan.findings_max) break;
    }
    for (const Progress& one : board->peers) {
        tally.operations += one.operations.load(std::memory_order_relaxed);
        tally.attachments += one.attachments.load(std::memory_order_relaxed);
        tally.damage_errors += one.damage_errors.load(std::memory_order_relaxed);
    }
    return tally;
}

}  // namespace shmpool::garbage
