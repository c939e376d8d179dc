// SPDX-License-Identifier: Apache-2.0
/// The option --policy: what happens when a reader's queue is full.
#pragma once

#include <string_view>

#include "protocol/layout/protocol_images.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace shmpool::cli {

CLI::Option* add_policy(CLI::App& command, ChannelPolicy& into);

[[nodiscard]] std::string_view name_of(ChannelPolicy policy);

}  // namespace shmpool::cli
