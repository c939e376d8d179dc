// SPDX-License-Identifier: Apache-2.0
/// See command.hpp.
#include "peer/cli/command.hpp"

#include <CLI/CLI.hpp>

#include "protocol/layout/protocol_images.hpp"
#include "protocol/wire/names.hpp"

namespace shmpool::cli {

CLI::App* add_command(CLI::App& program, const std::string& name, const std::string& description,
                      const std::string& footer) {
    CLI::App* const command = program.add_subcommand(name, description);
    command->fallthrough();  // The common options may stand behind the command's name.
    command->footer(footer +
                    "\nCommon options: --pool, --socket, --wait-host, --json; see "
                    "'shmpool --help'.");
    return command;
}

CLI::Option* add_channel(CLI::App& command, std::string& into) {
    return command.add_option("CHANNEL", into, "Name of the channel")
        ->required()
        ->type_name("")
        ->check([](const std::string& name) {
            const auto sound = check_channel_name(name);
            return sound ? std::string() : sound.error().message;
        });
}

AttachRequest observer_request(const CommonOptions& common) {
    AttachRequest request;
    request.pool_name = common.pool;
    request.socket_path = common.socket_path;
    request.peer_name = "shmpool";
    request.observer = true;
    request.wait_for_host = common.wait_for_host;
    return request;
}

Result<Peer> attach(const CommonOptions& common, std::string_view purpose, Use use) {
    PeerOptions options;
    options.name = purpose.substr(0, name_bytes - 1);
    options.socket_path = common.socket_path;
    options.wait_for_host = common.wait_for_host;
    options.read_only = use == Use::reads;
    return Peer::attach(common.pool, std::move(options));
}

}  // namespace shmpool::cli
