// SPDX-License-Identifier: Apache-2.0
/// A mark that a living peer leaves beside the socket of its host, so that the next host knows
/// whether to wait for somebody: a lock for reading of one byte of the socket's directory, at a
/// place that the socket's name gives. The kernel removes it with its holder, and it is no file:
/// nothing is left behind. Other pools of the directory use other bytes; two whose names fall on
/// one byte cost a starting host its patience, nothing else.
#pragma once

#include <string>

#include "shmpool/platform/descriptor.hpp"

namespace shmpool {

/// Marks the peer as present as long as the descriptor is open. None without a right to read that
/// directory: then the next host has less patience.
[[nodiscard]] Descriptor mark_presence(const std::string& socket_path);

/// Whether a living process has marked itself in this directory, which is the socket's; yes also if
/// that can not be told. The host has the directory open: no descriptor is needed for this look.
[[nodiscard]] bool is_presence_marked(const Descriptor& directory, const std::string& socket_path);

}  // namespace shmpool
