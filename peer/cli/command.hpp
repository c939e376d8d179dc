// SPDX-License-Identifier: Apache-2.0
/// What all commands of `shmpool` share: the common options, and how a command gets into the
/// command line. Every command has a file of its own with one `add_...` function: it declares the
/// command's options, and sets the action that `main` runs when all of the line has been
/// understood. An error of an action is one sentence on stderr and exit code 1; wrong use is 2.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "peer/cli/cli11_fwd.hpp"
#include "peer/peer.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool::cli {

inline constexpr int exit_fine = 0;
inline constexpr int exit_refused = 1;    ///< The world said no.
inline constexpr int exit_wrong_use = 2;  ///< The line makes no sense.

struct CommonOptions {
    std::string pool = "default";
    std::string socket_path;  ///< Empty: where the pool's name says.
    bool json = false;
    std::chrono::nanoseconds wait_for_host{0};
};

/// Returns the exit code.
using Action = std::function<Result<int>()>;

void add_status(CLI::App& program, const CommonOptions& common, Action& action);
void add_classes(CLI::App& program, const CommonOptions& common, Action& action);
void add_peers(CLI::App& program, const CommonOptions& common, Action& action);
void add_channels(CLI::App& program, const CommonOptions& common, Action& action);
void add_doctor(CLI::App& program, const CommonOptions& common, Action& action);
void add_pub(CLI::App& program, const CommonOptions& common, Action& action);
void add_sub(CLI::App& program, const CommonOptions& common, Action& action);
void add_hold(CLI::App& program, const CommonOptions& common, Action& action);
void add_kick(CLI::App& program, const CommonOptions& common, Action& action);
void add_rebuild(CLI::App& program, const CommonOptions& common, Action& action);
void add_grow(CLI::App& program, const CommonOptions& common, Action& action);
void add_shrink(CLI::App& program, const CommonOptions& common, Action& action);
void add_heap(CLI::App& program, const CommonOptions& common, Action& action);

/// A subcommand that takes the common options too, with an example under its help.
CLI::App* add_command(CLI::App& program, const std::string& name, const std::string& description,
                      const std::string& footer);

/// The positional CHANNEL, checked.
CLI::Option* add_channel(CLI::App& command, std::string& into);

/// How a command introduces itself that only looks, or talks with the host alone.
[[nodiscard]] AttachRequest observer_request(const CommonOptions& common);

/// What a command will do with messages.
enum class Use : std::uint8_t { reads, writes };

/// A peer of the chosen pool, named for people after what it does; who only reads has no right to
/// write either.
[[nodiscard]] Result<Peer> attach(const CommonOptions& common, std::string_view purpose, Use use);

}  // namespace shmpool::cli
