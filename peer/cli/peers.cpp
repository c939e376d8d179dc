// SPDX-License-Identifier: Apache-2.0
/// `shmpool peers`: who is attached, and what each holds.
#include "peer/cli/snapshot_view.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace shmpool::cli {
namespace {

Result<int> run_peers(const CommonOptions& common) {
    const auto observer = Observer::attach(common);
    if (!observer) return tl::unexpected(observer.error());
    const Snapshot shot = take_snapshot(*observer);
    const auto printed = common.json
                             ? print_json({{"name", shot.name}, {"peers", json_of_peers(shot)}})
                             : print(table_of_peers(shot));
    if (!printed) return tl::unexpected(printed.error());
    return exit_fine;
}

}  // namespace

void add_peers(CLI::App& program, const CommonOptions& common, Action& action) {
    CLI::App* const command = add_command(
        program, "peers", "Show who is attached, and what each holds",
        "LOANED are slots in a peer's hands, LEASES its rights to published slots, HELD the bytes\n"
        "of both, QUOTA what it may hold, with what is cached. LANES: one for each of its "
        "threads,\n"
        "one in reserve. A peer is attached, suspect (stopped, or silent), dying, reclaiming, or\n"
        "lingering (gone; readers still take what it had sent).\n\n"
        "Example: who holds most?\n"
        "  shmpool peers --json | jq '.peers | max_by(.bytes_held)'");
    command->callback([&common, &action] { action = [&common] { return run_peers(common); }; });
}

}  // namespace shmpool::cli
