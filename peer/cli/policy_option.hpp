// SPDX-License-Identifier: Apache-2.0
/// The option --policy: what happens when a reader's queue is full.
#pragma once

#include <string_view>

#include "peer/cli/cli11_fwd.hpp"
#include "protocol/layout/protocol_images.hpp"

namespace shmpool::cli {

CLI::Option* add_policy(CLI::App& command, ChannelPolicy& into);

[[nodiscard]] std::string_view name_of(ChannelPolicy policy);

}  // namespace shmpool::cli
