// SPDX-License-Identifier: Apache-2.0
/// `shmpool rebuild`: asks the host to make the pool anew, in another segment. Does not look into
/// the old one, which may be damaged beyond that.
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "peer/cli/command.hpp"
#include "peer/cli/printing.hpp"

namespace shmpool::cli {
namespace {

Result<int> run_rebuild(const CommonOptions& common) {
    ControlChannel control;
    const auto attachment = control.attach(observer_request(common));
    if (!attachment) return tl::unexpected(attachment.error());
    const auto rebuilt = control.request<wire::Rebuilt>(wire::Rebuild{});
    if (!rebuilt) return tl::unexpected(rebuilt.error());
    const std::uint32_t peers = rebuilt->peers_dismissed;
    const auto printed =
        common.json
            ? print_json({{"pool", common.pool}, {"peers_dismissed", peers}})
            : print(fmt::format("pool '{}' was made anew; {} {} attach again\n", common.pool, peers,
                                peers == 1 ? "peer must" : "peers must"));
    if (!printed) return tl::unexpected(printed.error());
    return exit_fine;
}

}  // namespace

void add_rebuild(CLI::App& program, const CommonOptions& common, Action& action) {
    CLI::App* const command = add_command(
        program, "rebuild", "Make a damaged pool anew; all peers must attach again",
        "The host makes a new segment and serves it from then on, with the configuration that it\n"
        "was started with. Peers of the old one hear 'segment_replaced' from every operation and\n"
        "attach again; what was on its way in the old segment is lost. Nobody is killed, and the\n"
        "old memory is freed when its last peer lets go of it: for that time there must be room\n"
        "for both. Whoever may kick peers may do it.\n\n"
        "Example: bring a pool back when the doctor finds it damaged\n"
        "  shmpool doctor --pool video || shmpool rebuild --pool video");
    command->callback([&common, &action] { action = [&common] { return run_rebuild(common); }; });
}

}  // namespace shmpool::cli
