// SPDX-License-Identifier: Apache-2.0
/// Whose a block is. A heap that was formatted as owned writes down with each block, page or id who
/// has allocated it, so that what the dead held can be found and freed.
#pragma once

#include <cstdint>
#include <functional>

#include "shmpool/heap/heap_lock.hpp"

namespace shmpool {

/// Who allocated it: never the same number for two, dead ones included. 0: nobody; so it stays
/// until somebody frees it.
using HeapOwner = std::uint64_t;
inline constexpr HeapOwner nobodys = 0;

/// Who is calling: by the lock, and by what he owns.
struct HeapUser {
    constexpr HeapUser(HeapHolder who, HeapOwner whose = nobodys) : holder(who), owner(whose) {}

    HeapHolder holder;
    HeapOwner owner;
};

/// Never asked about `nobodys`.
using IsGone = std::function<bool(HeapOwner)>;

}  // namespace shmpool
