// SPDX-License-Identifier: Apache-2.0
/// Size classes that grow and shrink, by the host and while everybody works on. A class is named by
/// the size of its slots. All of it takes the right to grow.
#pragma once

#include <cstdint>

#include "peer/control_channel.hpp"
#include "shmpool/pool/pool_view.hpp"

namespace shmpool {

/// So many slots more than there are now, at least, and their memory: when this returns, they are
/// there. Who asks at the same moment may mean the same ones. How many the class has now.
/// invalid_argument (there is no such class), slot_limit_reached (more than it may have: nothing
/// happens), out_of_memory (what was taken for the last step is given back; steps that came before
/// it stay), no_permission, and what requests end with.
[[nodiscard]] Result<std::uint32_t> grow_class(ControlChannel& control, const PoolView& pool,
                                               std::uint64_t slot_bytes, std::uint32_t more_slots);

/// Gives the payload of slots that nobody has in use or in a thread's cache back to the machine: by
/// whole extents, the first never, and not below `keep_slots`. How many slots are left.
/// invalid_argument, extent_in_use (nothing can be given back), would_block (it grows just now),
/// no_permission, and what requests end with.
[[nodiscard]] Result<std::uint32_t> shrink_class(ControlChannel& control, std::uint64_t slot_bytes,
                                                 std::uint32_t keep_slots);

}  // namespace shmpool
