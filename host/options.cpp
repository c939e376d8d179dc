// SPDX-License-Identifier: Apache-2.0
#include "host/options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "host/config_file.hpp"
#include "host/version.hpp"
#include "protocol/wire/local_socket.hpp"
#include "protocol/wire/names.hpp"

namespace shmpool::host {
namespace {

constexpr const char* about =
    "shmpoold: the host of a shared-memory pool. Creates the pool, lets processes attach to it,\n"
    "and takes back what they held when they die. Runs until SIGTERM or SIGINT; a second signal\n"
    "ends the grace period of its peers at once.";

constexpr const char* footer =
    "Examples:\n"
    "  shmpoold                                       a pool 'default' of about 70 MiB\n"
    "  shmpoold --name video --class 4MiB:64          64 slots of 4 MiB\n"
    "  shmpoold --config /etc/shmpool/shmpool.toml    see config/shmpool.toml for every key\n"
    "\n"
    "Peers find the host by the name of its pool: NAME.sock in $SHMPOOL_RUNTIME_DIR, else in\n"
    "/run/shmpool (root), $XDG_RUNTIME_DIR/shmpool or /tmp/shmpool-UID. One host per name.\n"
    "\n"
    "Exit: 0 after an orderly stop; 1 the configuration is wrong, the name is taken, or there is\n"
    "not enough memory; 2 the command line is wrong.";

struct CommandLine {
    std::string config_file;
    std::string name;
    std::string socket_path;
    std::vector<std::string> classes;
    std::string log_level;
    bool grow_when_exhausted = false;
    bool print_layout = false;
    bool check_config = false;
};

/// A CLI11 check: the sentence, or empty.
template <typename Check>
auto sentence_of(Check check) {
    return [check](const std::string& text) {
        const auto result = check(text);
        return result ? std::string() : result.error().message;
    };
}

constexpr std::array log_levels{LogLevel::trace, LogLevel::debug, LogLevel::info,
                                LogLevel::warn,  LogLevel::error, LogLevel::off};

std::vector<std::string> log_level_names() {
    std::vector<std::string> names;
    for (const LogLevel level : log_levels) names.emplace_back(name_of(level));
    return names;
}

Result<void> check_path(const std::string& path) {
    if (!path.starts_with('/')) {
        return fail(Errc::invalid_argument, "\"" + path + "\" must be an absolute path");
    }
    return check_socket_path(path);
}

void declare(CLI::App& app, CommandLine& line) {
    app.footer(footer);
    app.set_version_flag("--version", std::string("shmpoold ") + version_text);
    app.add_option("--config", line.config_file, "Read this TOML file")->type_name("FILE");
    app.add_option("--name", line.name, "Name of the pool: 1 to 63 of A-Z a-z 0-9 . _ -")
        ->type_name("NAME")
        ->check(sentence_of(check_pool_name));
    app.add_option("--socket", line.socket_path, "Absolute path of the control socket")
        ->type_name("PATH")
        ->check(sentence_of(check_path));
    app.add_option("--class", line.classes,
                   "COUNT slots of SIZE, like 64KiB:512; 64KiB:512:4096 may grow to 4096; once per "
                   "class, instead of the file's")
        ->type_name("SIZE:COUNT[:LIMIT]")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->check(sentence_of([](const std::string& text) { return parse_class_argument(text); }));
    app.add_flag("--grow-when-exhausted", line.grow_when_exhausted,
                 "Every class with a LIMIT doubles when there is no slot left, up to that");
    app.add_option("--log-level", line.log_level,
                   "The least important messages that are written to the log")
        ->type_name("LEVEL")
        ->check(CLI::IsMember(log_level_names()));
    CLI::Option* const layout = app.add_flag("--print-layout", line.print_layout,
                                             "Print every byte that processes share, and exit");
    app.add_flag("--check-config", line.check_config,
                 "Check the configuration, say what it comes to, and exit")
        ->excludes(layout);
}

Result<PoolConfig> merge(const CommandLine& line) {
    PoolConfig config;
    if (!line.config_file.empty()) {
        auto file = read_config_file(line.config_file, machine_memory_bytes);
        if (!file) return file;
        config = std::move(*file);
    }
    if (!line.name.empty()) config.name = line.name;
    if (!line.socket_path.empty()) config.socket_path = line.socket_path;
    if (!line.classes.empty()) config.classes.clear();
    for (const std::string& text : line.classes) {
        const auto parsed = parse_class_argument(text);
        if (!parsed) return tl::unexpected(parsed.error());
        config.classes.push_back(*parsed);
    }
    if (line.grow_when_exhausted && std::ranges::none_of(config.classes, &SizeClassConfig::grows)) {
        return fail(Errc::invalid_config,
                    "--grow-when-exhausted is given, but no class may grow; give one a LIMIT, like "
                    "--class 64KiB:512:4096");
    }
    for (SizeClassConfig& one : config.classes) {
        if (line.grow_when_exhausted && one.grows()) one.grow_when_exhausted = true;
    }
    for (const LogLevel level : log_levels) {
        if (name_of(level) == line.log_level) config.log_level = level;
    }
    if (auto checked = check_config(config, machine_memory_bytes); !checked) {
        return tl::unexpected(checked.error());
    }
    return config;
}

}  // namespace

Options read_options(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
    CommandLine line;
    CLI::App app(about, "shmpoold");
    declare(app, line);
    Options options;
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& help) {
        options.action = Action::leave;
        options.exit_code = app.exit(help, out, err);
        return options;
    } catch (const CLI::ParseError& problem) {
        err << "shmpoold: " << problem.what() << "\nshmpoold --help says what it takes\n";
        options.action = Action::leave;
        options.exit_code = exit_usage;
        return options;
    }
    if (line.print_layout) {
        options.action = Action::print_layout;
        return options;
    }
    auto config = merge(line);
    if (!config) {
        err << "shmpoold: " << config.error().message << '\n';
        options.action = Action::leave;
        options.exit_code = exit_failure;
        return options;
    }
    options.config = std::move(*config);
    if (line.check_config) options.action = Action::check_config;
    return options;
}

}  // namespace shmpool::host
