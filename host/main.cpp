// SPDX-License-Identifier: Apache-2.0
/// shmpoold: reads the command line, then does the one thing it asks for.
#include <iostream>

#include "host/host.hpp"
#include "host/options.hpp"
#include "protocol/protocol_table.hpp"
#include "shmpool/platform/thread.hpp"
#include "shmpool/quantity/byte_size.hpp"

namespace {

using namespace shmpool;
using namespace shmpool::host;

int complain(const Error& error) {
    std::cerr << "shmpoold: " << error.message << '\n';
    return exit_failure;
}

int say_config_is_right(const PoolConfig& config) {
    std::cout << "the configuration is right: pool '" << config.name << "', "
              << config.classes.size() << " classes, "
              << format_byte_size(committed_bytes_of(config)) << '\n';
    return 0;
}

int run_host(const PoolConfig& config) {
    const auto log = HostLog::open(config.log_level, config.log_file);
    if (!log) return complain(log.error());
    ask_for_short_slices();
    const auto host = Host::create(config, *log);
    const auto ended = host ? (*host)->run() : Result<void>(tl::unexpected(host.error()));
    if (ended) return 0;
    if (!config.log_file.empty()) log->error(ended.error().message);
    return complain(ended.error());
}

}  // namespace

int main(int argc, char** argv) {
    const Options options = read_options(argc, argv, std::cout, std::cerr);
    switch (options.action) {
        case Action::run: return run_host(options.config);
        case Action::check_config: return say_config_is_right(options.config);
        case Action::print_layout: std::cout << layout_text(); return 0;
        case Action::leave: break;
    }
    return options.exit_code;
}
