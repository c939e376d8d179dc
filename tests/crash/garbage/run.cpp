// SPDX-License-Identifier: Apache-2.0
#include "run.hpp"

#include <memory>
#include <optional>
#include <string_view>

namespace shmpool::garbage {
namespace {

/// All classes may grow, and do so by themselves too.
const std::vector<std::string> small_pool{
    "--class",    "256B:512:4096",         "--class",     "4KiB:64:300", "--class",
    "64KiB:8:64", "--grow-when-exhausted", "--log-level", "off"};

constexpr int exit_code_of_a_refusal = 1;

std::vector<std::string> command(std::string_view verb) {
    return {SHMPOOL_PROGRAM, std::string(verb), "--pool", "garbage"};
}

Finding odd_end(std::string_view verb, int exit_code, std::uint64_t seed) {
    return {"shmpool " + std::string(verb) + " ended with " + std::to_string(exit_code), seed, {}};
}

/// A pool may be damaged; the commands that look at it may refuse, but not crash or hang.
std::optional<Finding> examine(Episode& episode, std::uint64_t seed, Tally& tally) {
    for (const std::string_view verb : {"doctor", "status", "channels"}) {
        const auto exit_code = episode.run_beside(command(verb));
        if (!exit_code) return exit_code.error();
        if (*exit_code != 0 && *exit_code != exit_code_of_a_refusal) {
            return odd_end(verb, *exit_code, seed);
        }
        if (verb == "doctor" && *exit_code != 0) ++tally.damage_found;
    }
    return std::nullopt;
}

/// After a rebuild all honest peers come back, and the doctor finds nothing.
std::optional<Finding> bring_back(Episode& episode, std::uint64_t seed, Tally& tally) {
    for (const std::string_view verb : {"rebuild", "doctor"}) {
        const auto exit_code = episode.run_beside(command(verb));
        if (!exit_code) return exit_code.error();
        if (*exit_code != 0) return odd_end(verb, *exit_code, seed);
        if (verb == "doctor") continue;
        if (auto found = episode.wait_for_return()) return found;
    }
    ++tally.rebuilds;
    return std::nullopt;
}

std::optional<Finding> play(RunningHost& host, Board& board, const VandalPlan& plan, Tally& tally) {
    Episode episode(host, board, plan);
    if (auto found = episode.run()) return found;
    if (auto found = examine(episode, plan.seed, tally)) return found;
    return bring_back(episode, plan.seed, tally);
}

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
        if (tally.episodes % 10 == 0) tell(std::to_string(tally.words) + " words");
        if (!found) continue;
        tell("seed " + std::to_string(seed) + ": " + found->what);
        tally.findings.push_back(std::move(*found));
        host.reset();
        if (tally.findings.size() == plan.findings_max) break;
    }
    for (const Progress& one : board->peers) {
        tally.operations += one.operations.load(std::memory_order_relaxed);
        tally.attachments += one.attachments.load(std::memory_order_relaxed);
        tally.heap_blocks += one.heap_blocks.load(std::memory_order_relaxed);
        tally.classes_grown += one.classes_grown.load(std::memory_order_relaxed);
        tally.damage_errors += one.damage_errors.load(std::memory_order_relaxed);
    }
    return tally;
}

}  // namespace shmpool::garbage
