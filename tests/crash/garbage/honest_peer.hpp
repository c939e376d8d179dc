// SPDX-License-Identifier: Apache-2.0
/// An honest peer, in a process of its own: attaches, works with the pool in its role until that
/// says that it is damaged, replaced or gone, and attaches again. Every operation is announced on
/// the board and has a time limit of its own; what it answers does not matter here, only that it
/// answers. It reads every byte of every message, which must lie inside its mapping.
#pragma once

#include <cstdint>
#include <string>

#include "board.hpp"

namespace shmpool::garbage {

/// Never returns but by the end of the process: exit code 0, killed by itself, or worse.
[[noreturn]] void live(Role role, Progress& progress, const std::string& pool, std::uint64_t seed);

}  // namespace shmpool::garbage
