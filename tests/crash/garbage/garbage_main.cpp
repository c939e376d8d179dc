// SPDX-License-Identifier: Apache-2.0
/// Writes garbage into a living pool, episode by episode, and prints what was found as JSON. Exit
/// code 1 if anything was found. See scripts/crash garbage.
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>

#include "run.hpp"

namespace {

using namespace shmpool::garbage;

nlohmann::json as_json(const Tally& tally) {
    nlohmann::json found = nlohmann::json::array();
    for (const Finding& one : tally.findings) {
        found.push_back({{"what", one.what}, {"seed", one.seed}, {"last_words", one.last_words}});
    }
    return {{"words", tally.words},
            {"episodes", tally.episodes},
            {"operations", tally.operations},
            {"attachments", tally.attachments},
            {"heap_blocks", tally.heap_blocks},
            {"classes_grown", tally.classes_grown},
            {"damage_errors", tally.damage_errors},
            {"damage_found_by_doctor", tally.damage_found},
            {"rebuilds", tally.rebuilds},
            {"findings", std::move(found)}};
}

}  // namespace

int main(int argc, char** argv) {
    RunPlan plan;
    CLI::App app("Writes garbage into the shared memory of a pool at work; see scripts/crash");
    app.add_option("--words", plan.words, "how many, of all episodes together");
    app.add_option("--words-per-episode", plan.words_per_episode, "then the pool is made anew");
    app.add_option("--seed", plan.seed, "of the first episode; each next one has the next");
    app.add_option("--findings", plan.findings_max, "stop after so many");
    CLI11_PARSE(app, argc, argv);
    try {
        const Tally tally = run(plan, [](const std::string& line) { std::cerr << line << '\n'; });
        std::cout << as_json(tally).dump(2) << std::endl;
        return tally.findings.empty() ? 0 : 1;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 2;
    }
}
