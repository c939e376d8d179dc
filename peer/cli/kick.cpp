// SPDX-License-Identifier: Apache-2.0
/// `shmpool kick`: asks the host to kill a peer. The host does it through the peer's pidfd, so that
/// nobody else can be hit, and takes back what it held.
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <memory>

#include "peer/cli/observer.hpp"
#include "peer/cli/printing.hpp"
#include "peer/cli/quantity_options.hpp"

namespace shmpool::cli {
namespace {

Result<int> run_kick(const CommonOptions& common, std::uint32_t peer_index) {
    const auto observer = Observer::attach(common);
    if (!observer) return tl::unexpected(observer.error());
    const PeerImage* const peer = find_peer(observer->view(), peer_index);
    if (peer == nullptr) {
        return fail(Errc::refused, fmt::format("there is no peer {} in pool '{}'; 'shmpool peers' "
                                               "shows who is there",
                                               peer_index, common.pool));
    }
    // The incarnation protects whoever gets this number next.
    const std::uint32_t incarnation = peer->incarnation.load(std::memory_order_relaxed);
    const std::string name = cli::text_of(peer->name, name_bytes);
    const auto kicked =
        observer->control().request<wire::Kicked>(wire::Kick{peer_index, incarnation});
    if (!kicked) return tl::unexpected(kicked.error());
    const auto printed =
        common.json ? print_json({{"peer", peer_index}, {"name", name}, {"pid", kicked->pid}})
                    : print(fmt::format("killed peer {} '{}' (pid {})\n", peer_index,
                                        printable(name), kicked->pid));
    if (!printed) return tl::unexpected(printed.error());
    return exit_fine;
}

}  // namespace

void add_kick(CLI::App& program, const CommonOptions& common, Action& action) {
    auto peer_index = std::make_shared<std::uint32_t>(0);
    CLI::App* const command =
        add_command(program, "kick", "Kill a peer with SIGKILL; the host takes back what it held",
                    "PEER is the number that 'shmpool peers' shows. The host does the killing, so\n"
                    "what counts is what you may do to the host, and the host to the peer.\n\n"
                    "Example: end peer 3\n"
                    "  shmpool kick 3");
    add_count(*command, "PEER", *peer_index, 0, peer_count_max - 1, "Number of the peer")
        ->required();
    command->callback([&common, &action, peer_index] {
        action = [&common, peer_index] { return run_kick(common, *peer_index); };
    });
}

}  // namespace shmpool::cli
