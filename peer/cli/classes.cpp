// SPDX-License-Identifier: Apache-2.0
/// `shmpool classes`: where the slots of each size class are.
#include "peer/cli/snapshot_view.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace shmpool::cli {
namespace {

Result<int> run_classes(const CommonOptions& common) {
    const auto observer = Observer::attach(common);
    if (!observer) return tl::unexpected(observer.error());
    const Snapshot shot = take_snapshot(*observer);
    const auto printed = common.json
                             ? print_json({{"name", shot.name}, {"classes", json_of_classes(shot)}})
                             : print(table_of_classes(shot));
    if (!printed) return tl::unexpected(printed.error());
    return exit_fine;
}

}  // namespace

void add_classes(CLI::App& program, const CommonOptions& common, Action& action) {
    CLI::App* const command = add_command(
        program, "classes",
        "Show the size classes: how many slots are free, and where the others are",
        "A slot is free, cached in a lane's magazine, loaned to a writer or reader, published\n"
        "(leased by readers), or in transit from one writer to one reader. EXHAUSTED counts how\n"
        "often somebody asked and nothing was free; HIGH WATER is how many different slots were\n"
        "ever in use: never fewer than were in use at once.\n\n"
        "Example: the classes of pool video\n"
        "  shmpool classes --pool video");
    command->callback([&common, &action] { action = [&common] { return run_classes(common); }; });
}

}  // namespace shmpool::cli
