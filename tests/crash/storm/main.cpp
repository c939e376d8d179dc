// SPDX-License-Identifier: Apache-2.0
// The program behind `scripts/crash storm`: the storm itself, and with --seat one of its actors,
// which the storm starts as programs of their own.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <random>

#include "storm.hpp"

namespace shmpool::storm {
namespace {

void print(const Storm& storm) {
    const Toll& toll = storm.toll();
    const Totals& totals = storm.board()->totals;
    fmt::print("  kills       {} of peers, {} of the host\n", toll.kills, toll.host_kills);
    fmt::print("  stops       {} of peers, {} of the host\n", toll.stops, toll.host_stops);
    fmt::print("  messages    {} published, {} taken and checked twice ({:.1f} GB)\n",
               totals.published.load(), totals.taken.load(),
               static_cast<double>(totals.bytes_taken.load()) / 1e9);
    fmt::print(
        "  in order    {} of the writer that lived, all and once, at the reader that lived\n",
        storm.board()->last_number.load());
    fmt::print("  raw slots   {}\n", totals.raw_slots.load());
    fmt::print("  heaps       {} calls; {} entries of the table found as they were; {} created\n",
               totals.heap_calls.load(), toll.entries, totals.heaps_made.load());
    fmt::print("  classes     grown {} times, shrunk {} times\n", totals.classes_grown.load(),
               totals.classes_shrunk.load());
    fmt::print("  full        {} times no slot, no block or no room in a queue\n",
               totals.full.load());
    fmt::print("  churn       {} attachments, {} threads, {} forks, {} programs replaced\n",
               totals.attachments.load(), totals.threads.load(), totals.forks.load(),
               totals.programs.load());
    fmt::print("  reclaims    {} peers, {} slots; {} takeovers by a next host\n",
               toll.peers_reclaimed, toll.slots_reclaimed, toll.takeovers);
    fmt::print("  audits      {}\n", toll.audits);
    fmt::print("  violations  {}\n", totals.violations.load());
    for (const std::string& one : storm.board().complaints()) fmt::print("    {}\n", one);
}

int rage(const StormOptions& options) {
    fmt::print("storm of {} s, seed {}\n", options.seconds, options.seed);
    std::cout.flush();
    Storm storm(options);
    storm.rage();
    print(storm);
    if (storm.board()->totals.violations == 0) return 0;
    fmt::print("the last host's log ends with:\n{}\n",
               storm.host_log().substr(storm.host_log().size() -
                                       std::min<std::size_t>(storm.host_log().size(), 4000)));
    return 1;
}

int run(int argc, char** argv) {
    StormOptions options{.seed = std::random_device{}()};
    Life life;
    CLI::App app("Peers at work, and random kills and stops of them and of their host");
    app.add_option("--seconds", options.seconds)->check(CLI::PositiveNumber);
    app.add_option("--kills-per-second", options.kills_per_second)->check(CLI::PositiveNumber);
    app.add_option("--seed", options.seed, "Of the blows; default a new one");
    auto* const seat = app.add_option("--seat", life.seat)->group("");
    app.add_option("--life", life.number)->group("");
    app.add_option("--folder", life.folder)->group("");
    CLI11_PARSE(app, argc, argv);
    life.seed = options.seed;
    return seat->count() != 0 ? Actor(life).play() : rage(options);
}

}  // namespace
}  // namespace shmpool::storm

int main(int argc, char** argv) {
    try {
        return shmpool::storm::run(argc, argv);
    } catch (const std::exception& problem) {
        std::cerr << "storm: " << problem.what() << '\n';
        return 1;
    }
}
