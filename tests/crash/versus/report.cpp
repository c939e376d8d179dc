// SPDX-License-Identifier: Apache-2.0
#include "report.hpp"

#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "contest.hpp"

namespace shmpool::versus {
namespace {

/// A kill falls this long after the victim began, at the latest: thousands of its rounds.
constexpr std::int64_t longest_delay_ns = 2'000'000;

nlohmann::json as_json(const Traits& traits, const Result& result) {
    nlohmann::json json{{"system", traits.system},
                        {"version", traits.version},
                        {"notices_deaths", traits.notices_deaths},
                        {"slots", result.slots},
                        {"kills", result.kills},
                        {"kills_with_loss", result.kills_with_loss},
                        {"slots_lost", result.slots_lost},
                        {"survivors_hung", result.survivors_hung},
                        {"survivors_failed", result.survivors_failed},
                        {"slots_read", slots_read},
                        {"overwritten", nullptr},
                        {"notice_us", result.notice_us},
                        {"unnoticed", result.unnoticed}};
    if (result.overwritten) json["overwritten"] = *result.overwritten;
    return json;
}

void hold(Contestant& contestant, std::uint32_t kills, std::uint64_t seed) {
    Contest contest(contestant);
    std::mt19937_64 random(seed);
    std::uniform_int_distribution<std::int64_t> delay_ns(0, longest_delay_ns);
    for (std::uint32_t i = 0; i < kills; ++i) {
        contest.kill_after(std::chrono::nanoseconds(delay_ns(random)));
        std::cerr << '.' << std::flush;
    }
    std::cerr << '\n';
    if (contestant.traits().hands_on) contest.kill_sender();
    std::cout << as_json(contestant.traits(), contest.result()) << std::endl;
}

}  // namespace

int hold_contest(Contestant& contestant, int argc, char** argv) {
    std::uint32_t kills = 100;
    std::uint64_t seed = 1;
    CLI::App app(
        "Kills a process that takes and gives back slots of one system; see scripts/crash");
    app.add_option("--kills", kills, "how often");
    app.add_option("--seed", seed, "of the moments of the kills");
    CLI11_PARSE(app, argc, argv);
    try {
        hold(contestant, kills, seed);
        return 0;
    } catch (const std::exception& error) {
        std::cerr << contestant.traits().system << ": " << error.what() << '\n';
        return 1;
    }
}

}  // namespace shmpool::versus
