// SPDX-License-Identifier: Apache-2.0
/// `shmpool channels`: who publishes and subscribes, and how full the queues are.
#include "peer/cli/snapshot_view.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace shmpool::cli {
namespace {

Result<int> run_channels(const CommonOptions& common) {
    const auto observer = Observer::attach(common);
    if (!observer) return tl::unexpected(observer.error());
    const Snapshot shot = take_snapshot(*observer);
    const auto printed =
        common.json ? print_json({{"name", shot.name}, {"channels", json_of_channels(shot)}})
                    : print(table_of_channels(shot));
    if (!printed) return tl::unexpected(printed.error());
    return exit_fine;
}

}  // namespace

void add_channels(CLI::App& program, const CommonOptions& common, Action& action) {
    CLI::App* const command = add_command(
        program, "channels", "Show the channels, who listens, and what was dropped",
        "One line for each subscriber. DROPPED counts messages that a subscriber lost because its\n"
        "queue was full (policies drop_newest and drop_oldest).\n\n"
        "Example: queues that are full right now\n"
        "  shmpool channels --json | jq '.channels[].subscribers[] | select(.queued >= .depth)'");
    command->callback([&common, &action] { action = [&common] { return run_channels(common); }; });
}

}  // namespace shmpool::cli
