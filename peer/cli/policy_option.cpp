// SPDX-License-Identifier: Apache-2.0
/// See policy_option.hpp.
#include "peer/cli/policy_option.hpp"

#include <CLI/CLI.hpp>

#include <array>

namespace shmpool::cli {
namespace {

constexpr std::array policies{ChannelPolicy::block, ChannelPolicy::drop_newest,
                              ChannelPolicy::drop_oldest};

}  // namespace

std::string_view name_of(ChannelPolicy policy) {
    switch (policy) {
        case ChannelPolicy::as_channel: return "as_channel";
        case ChannelPolicy::block: return "block";
        case ChannelPolicy::drop_newest: return "drop_newest";
        case ChannelPolicy::drop_oldest: return "drop_oldest";
    }
    return "unknown";
}

CLI::Option* add_policy(CLI::App& command, ChannelPolicy& into) {
    return command
        .add_option_function<std::string>(
            "--policy",
            [&into](const std::string& text) {
                for (const ChannelPolicy policy : policies) {
                    if (name_of(policy) == text) {
                        into = policy;
                        return;
                    }
                }
                throw CLI::ValidationError("--policy", "'" + text +
                                                           "' is no policy; it may be block, "
                                                           "drop_newest or drop_oldest");
            },
            "When a queue is full: block, drop_newest or drop_oldest. The channel's own if not\n"
            "given; block for a new channel")
        ->type_name("POLICY");
}

}  // namespace shmpool::cli
