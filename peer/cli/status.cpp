// SPDX-License-Identifier: Apache-2.0
/// `shmpool status`: everything about a pool on one screen.
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "peer/cli/snapshot_view.hpp"
#include "shmpool/quantity/byte_size.hpp"
#include "shmpool/quantity/duration.hpp"

namespace shmpool::cli {
namespace {

Json json_of(const Snapshot& shot) {
    return {{"name", shot.name},
            {"host_pid", shot.host_pid},
            {"host_state", shot.host_state},
            {"damaged", shot.damaged},
            {"segment",
             {{"bytes", shot.segment.bytes},
              {"committed_bytes", shot.segment.committed_bytes},
              {"layout_version", shot.segment.layout_version},
              {"layout_fingerprint", shot.segment.layout_fingerprint}}},
            {"classes", json_of_classes(shot)},
            {"peers", json_of_peers(shot)},
            {"channels", json_of_channels(shot)},
            {"reclaims", json_of_reclaims(shot)}};
}

std::string text_of_reclaims(const ReclaimNumbers& one) {
    if (one.peers_total == 0) return "no peer has died\n";
    return fmt::format(
        "{} peers died, {} slots taken back; the last one {} after it was noticed\n",
        one.peers_total, one.slots_total,
        format_duration(std::chrono::nanoseconds(one.last_reclaim_at_ns - one.last_notice_at_ns)));
}

std::string text_of(const Snapshot& shot) {
    return fmt::format("pool '{}', host {} is {}, {} ({} committed), layout {} ({:#010x}){}\n\n",
                       printable(shot.name), shot.host_pid, shot.host_state,
                       format_byte_size(shot.segment.bytes),
                       format_byte_size(shot.segment.committed_bytes), shot.segment.layout_version,
                       shot.segment.layout_fingerprint,
                       shot.damaged ? "\nDAMAGED: a peer wrote nonsense; see 'shmpool doctor', "
                                      "then 'shmpool rebuild'"
                                    : "") +
           table_of_classes(shot) + "\n" + table_of_peers(shot) + "\n" + table_of_channels(shot) +
           "\n" + text_of_reclaims(shot.reclaims);
}

Result<int> run_status(const CommonOptions& common) {
    const auto observer = Observer::attach(common);
    if (!observer) return tl::unexpected(observer.error());
    const Snapshot shot = take_snapshot(*observer);
    const auto printed = common.json ? print_json(json_of(shot)) : print(text_of(shot));
    if (!printed) return tl::unexpected(printed.error());
    return exit_fine;
}

}  // namespace

void add_status(CLI::App& program, const CommonOptions& common, Action& action) {
    CLI::App* const command = add_command(
        program, "status", "Show everything about a pool: host, size classes, peers, channels",
        "Reads the pool's memory and stops nobody. In the JSON, reclaims.last_notice_us is the\n"
        "moment at which the last death was noticed (CLOCK_MONOTONIC), reclaims.last_reclaim_us\n"
        "how long taking back took from then on; ..._at_ns are both moments, exactly.\n\n"
        "Example: how many slots are free?\n"
        "  shmpool status --json | jq '.classes[] | {slot_size, free}'");
    command->callback([&common, &action] { action = [&common] { return run_status(common); }; });
}

}  // namespace shmpool::cli
