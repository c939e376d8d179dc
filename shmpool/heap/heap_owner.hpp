// SPDX-License-Identifier: Apache-2.0
/// Whose a block is. A heap that was formatted as owned writes down with each block, page or id who
/// has allocated it, so that what the dead held can be found and freed.
#pragma once

#include <cstdint>
#include <functional>

#include "shmpool/heap/heap_lock.hpp"
#include "shmpool/layout/abi_constants.hpp"

namespace shmpool {

/// Who allocated it: never the same number for two, dead ones included. 0: nobody; so it stays
/// until somebody frees it.
using HeapOwner = std::uint64_t;
inline constexpr HeapOwner nobodys = 0;

/// Somebody can be that: its low half is the number of one of the places for peers, from 1. What is
/// none was written by somebody who wrote over it.
[[nodiscard]] constexpr bool may_be_owner(HeapOwner owner) {
    const auto number = static_cast<std::uint32_t>(owner);
    return owner == nobodys || (number != 0 && number <= peer_count_max);
}

/// Who is calling: by the lock, and by what he owns.
struct HeapUser {
    constexpr HeapUser(HeapHolder who, HeapOwner whose = nobodys) : holder(who), owner(whose) {}

    HeapHolder holder;
    HeapOwner owner;
};

/// Never asked about `nobodys`.
using IsGone = std::function<bool(HeapOwner)>;

}  // namespace shmpool
