// SPDX-License-Identifier: Apache-2.0
/// A size class gets more slots, and gives back the payload of those that nobody needs, while
/// everybody works on. The pool knows no memory objects: whoever has them (the host) commits what
/// `plan_growth` names before `open_extent`, and punches what `withdraw_extent` gives after it.
///
/// One store decides each, so a host that dies anywhere in between leaves nothing to be undone but
/// memory: what is committed and not published is punched by the next one (`unused_payload`).
///
///   new        extent_count goes up. Zeroed memory is a full list, so the extent is there at once.
///   withdrawn  its whole list is taken off by one exchange, which only succeeds when all slots are
///              in it; then `withdrawn` says where the list begins. Its records stay, so names of
///              earlier lives stay refused. To see that all are in it takes a walk, in pieces.
///   returns    `withdrawn` is cleared, and the list is put back.
///
/// Between the exchange and the store the host's lane has the slots by its intent, as in any change
/// of a list; `recover_intent` gives them back, unless `withdrawn` says that they are where they
/// belong.
///
/// Host only, one thread; `host` is its own lane.
#pragma once

#include <cstdint>
#include <vector>

#include "shmpool/platform/byte_range.hpp"
#include "shmpool/pool/detectable_stack.hpp"
#include "shmpool/pool/var_slot_pool.hpp"

namespace shmpool {

/// One extent that may be there as soon as its memory is.
struct Growth {
    std::uint32_t class_index = 0;
    std::uint32_t extent_index = 0;
    std::uint32_t slot_count = 0;
    ByteRange records;  ///< Of the pool's control. Empty: they are there already.
    ByteRange payload;  ///< Of the pool's payload.
};

/// The next step towards `wanted` more slots: an extent that was withdrawn, which may be more than
/// that; else a new one, of as many as the class may still have. invalid_argument: there is no such
/// class, or 0 are wanted; slot_limit_reached: it may not grow, or not any more.
[[nodiscard]] Outcome<Growth> plan_growth(const PoolView& pool, std::uint32_t class_index,
                                          std::uint32_t wanted);

/// Pre: all memory of `growth` is committed, and it is what `plan_growth` says now. Rings who waits
/// for a slot. Marks the pool as damaged, and opens nothing, if the list of an extent that returns
/// begins nowhere, or if there are slots in its place.
void open_extent(const PoolView& pool, Lane& host, const Growth& growth);

/// An extent that is to be withdrawn, and how far its list has been looked through. Whoever forgets
/// it, or dies, has done nothing.
struct Withdrawal {
    std::uint32_t class_index = 0;
    std::uint32_t extent_index = 0;
    ListWalk walk{};
};

/// Takes an extent away in which no slot is in use, and returns its payload: whole pages, which
/// belong to nobody any more. Follows at most so many links of its list; would_block: there are
/// more, call again. invalid_argument: there is no such extent, it is the first, or it is withdrawn
/// already; extent_in_use: a slot of it is in use, or lies in a magazine, or was meanwhile.
[[nodiscard]] Outcome<ByteRange> withdraw_extent(const PoolView& pool, Lane& host,
                                                 Withdrawal& withdrawal, std::uint32_t links);

/// The same in one go, however long the list is: for who serves nobody else.
[[nodiscard]] Outcome<ByteRange> withdraw_extent(const PoolView& pool, Lane& host,
                                                 std::uint32_t class_index,
                                                 std::uint32_t extent_index);

/// Slots that have memory: of all extents that are not withdrawn.
[[nodiscard]] std::uint64_t slots_in_service(const PoolView& pool, std::uint32_t class_index);

/// Records, in whole pages, that no slot has yet; of the pool's control.
[[nodiscard]] ByteRange unused_records(const PoolView& pool, std::uint32_t class_index);

/// Payload, in whole pages, of which no slot is in service: behind the last extent, and of those
/// that are withdrawn. What lies side by side is one range, with the page that both have a part of.
[[nodiscard]] std::vector<ByteRange> unused_payload(const PoolView& pool,
                                                    std::uint32_t class_index);

}  // namespace shmpool
