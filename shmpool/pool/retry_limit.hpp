// SPDX-License-Identifier: Apache-2.0
/// How often an exchange on a shared word may fail. Each failure is somebody else's success, so an
/// honest lane is never overtaken so often in one operation; but a hostile peer can write into the
/// word in a loop. At the limit the pool is marked as damaged and the operation ends (I6).
#pragma once

#include <cstdint>

namespace shmpool {

inline constexpr std::uint32_t retry_limit = 1U << 20;

}  // namespace shmpool
