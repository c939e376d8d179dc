// SPDX-License-Identifier: Apache-2.0
/// See command_line.hpp.
#include "peer/cli/command_line.hpp"

#include <sstream>

#include "peer/cli/printing.hpp"
#include "peer/cli/quantity_options.hpp"
#include "protocol/wire/names.hpp"

namespace shmpool::cli {

CommandLine::CommandLine()
    : program_(
          "Looks into a shmpool pool, moves bytes through its channels, and ends its peers.\n"
          "A pool is served by shmpoold, the host.",
          "shmpool") {
    program_.require_subcommand(1);
    program_.option_defaults()->always_capture_default(false);
    program_.add_option("--pool", common_.pool, "Name of the pool (default: 'default')")
        ->envname("SHMPOOL_POOL")
        ->type_name("NAME")
        ->check([](const std::string& name) {
            const auto sound = check_pool_name(name);
            return sound ? std::string() : sound.error().message;
        });
    program_
        .add_option("--socket", common_.socket_path,
                    "Control socket of the host, if it is not where the pool's name says")
        ->type_name("PATH");
    add_duration(program_, "--wait-host", common_.wait_for_host,
                 "How long to wait for a host that is not there yet, like 5s (default: not at "
                 "all)");
    program_.add_flag("--json", common_.json, "Results as JSON");
    program_.footer(
        "Exit codes: 0 fine, 1 refused (the reason is on standard error), 2 wrong use.\n\n"
        "Examples:\n"
        "  shmpool status\n"
        "  shmpool peers --pool video --json\n"
        "  shmpool sub frames --output copy.bin --until-ended &\n"
        "  shmpool pub frames --input file.bin --chunk 64KiB --wait-subscribers 1\n\n"
        "'shmpool COMMAND --help' tells more about a command.");
    for (const auto add :
         {add_status, add_classes, add_peers, add_channels, add_doctor, add_pub, add_sub, add_hold,
          add_kick, add_rebuild, add_grow, add_shrink, add_heap}) {
        add(program_, common_, action_);
    }
}

std::optional<int> CommandLine::parse(int argument_count, const char* const* arguments) {
    try {
        program_.parse(argument_count, arguments);
        return std::nullopt;
    } catch (const CLI::CallForHelp& asked) {
        std::ostringstream help;
        std::ostringstream nothing;
        (void)program_.exit(asked, help, nothing);
        if (auto printed = print(help.str()); !printed) {
            remark(printed.error().message);
            return exit_refused;
        }
        return exit_fine;
    } catch (const CLI::ParseError& error) {
        remark(what_is_wrong(error));
        return exit_wrong_use;
    }
}

std::string CommandLine::what_is_wrong(const CLI::ParseError& error) const {
    const auto commands = program_.get_subcommands();
    if (!commands.empty()) {
        std::string name = commands.back()->get_name();
        for (const CLI::App* const inner : commands.back()->get_subcommands()) {
            name += " " + inner->get_name();
        }
        return name + ": " + error.what() + "; see 'shmpool " + name + " --help'";
    }
    std::string known;
    for (const CLI::App* const one :
         program_.get_subcommands([](const CLI::App*) { return true; })) {
        known += (known.empty() ? "" : ", ") + one->get_name();
    }
    const std::vector<std::string> unknown = program_.remaining();
    if (!unknown.empty() && !unknown.front().starts_with('-')) {
        return "there is no command '" + unknown.front() + "'; the commands are " + known +
               "; see 'shmpool --help'";
    }
    if (!unknown.empty()) {
        return "there is no option '" + unknown.front() + "'; see 'shmpool --help'";
    }
    if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
        return "no command is given; the commands are " + known + "; see 'shmpool --help'";
    }
    return std::string(error.what()) + "; see 'shmpool --help'";
}

}  // namespace shmpool::cli
