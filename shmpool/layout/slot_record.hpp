// SPDX-License-Identifier: Apache-2.0
/// All that the segment knows about one slot, in one cache line of the control part: the control
/// word (the single truth about who has the slot), the leases, the link of the free list, and the
/// header of the message in it. Beside the payload and never inside it, so that an overrun of a
/// payload cannot reach it, and one line per slot, so that neighbours do not slow each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "shmpool/layout/abi_constants.hpp"

namespace shmpool {

/// What a control word says. Every state but `published` names a lane as the owner.
enum class SlotState : std::uint8_t {
    listed = 0,      ///< Reachable from the free list of its class (or in a recorded intent).
    cached = 1,      ///< In the magazine of the owner.
    loaned_raw = 2,  ///< Held by the owner under a SlotRef: `free(SlotRef)` ends it, by CAS.
    loaned = 3,      ///< Held by the owner under a handle that ends it exactly once.
    in_transit = 4,  ///< Moved by the owner into a ring, not yet taken out by the one reader.
    published = 5,   ///< Leased; the owner field holds the channel.
};
inline constexpr std::uint32_t slot_state_count = 6;

/// generation : 32 | state : 8 | zero : 8 | owner : 16
using SlotWord = std::uint64_t;

[[nodiscard]] constexpr SlotWord make_word(std::uint32_t generation, SlotState state,
                                           std::uint32_t owner) {
    return (std::uint64_t{generation} << 32) |
           (std::uint64_t{static_cast<std::uint8_t>(state)} << 24) | owner;
}
[[nodiscard]] constexpr std::uint32_t word_generation(SlotWord word) {
    return static_cast<std::uint32_t>(word >> 32);
}
[[nodiscard]] constexpr SlotState word_state(SlotWord word) {
    return static_cast<SlotState>(static_cast<std::uint8_t>(word >> 24));
}
[[nodiscard]] constexpr std::uint32_t word_owner(SlotWord word) {
    return static_cast<std::uint32_t>(word & 0xFFFF);
}
/// The low half of a word: everything but the generation.
[[nodiscard]] constexpr std::uint32_t word_holder(SlotWord word) {
    return static_cast<std::uint32_t>(word);
}
[[nodiscard]] constexpr std::uint32_t make_holder(SlotState state, std::uint32_t owner) {
    return static_cast<std::uint32_t>(make_word(0, state, owner));
}

//  SlotRecord: 64 bytes per slot.
//     offset  bytes  field              written by                       read by
//          0      8  word               owner; host for a dead owner     all
//          8      8  lease_mask         granting owner; lease holders    all
//         16      8  sequence           owner                            readers
//         24      8  publish_time_ns    owner (CLOCK_MONOTONIC, 0 none)  readers
//         32      8  user_word          owner                            readers
//         40      4  payload_bytes      owner                            readers
//         44      4  payload_offset     owner (alignment inside slot)    readers
//         48      4  link               owner of the chain               takers
//         52      4  publisher_index    owner                            readers
//         56      8  further            owner of the chain               takers
//  A link of 0 means "the next slot in order": zeroed memory is a complete free list.
//  `further` is a hint which nobody believes: slots that come later in the chain that this one was
//  given back in, so that who takes it can have them fetched before the links lead there.
struct SlotRecord {
    Atomic<std::uint64_t> word;
    Atomic<std::uint64_t> lease_mask;
    Atomic<std::uint64_t> sequence;
    Atomic<std::uint64_t> publish_time_ns;
    Atomic<std::uint64_t> user_word;
    Atomic<std::uint32_t> payload_bytes;
    Atomic<std::uint32_t> payload_offset;
    Atomic<std::uint32_t> link;
    Atomic<std::uint32_t> publisher_index;
    Atomic<std::uint64_t> further;
};
static_assert(sizeof(SlotRecord) == cache_line_bytes, "the table above says 64");
static_assert(std::is_standard_layout_v<SlotRecord>);
static_assert(offsetof(SlotRecord, word) == 0 && offsetof(SlotRecord, lease_mask) == 8,
              "a lease is given up by an exchange of both");

/// Encoding of `link`; see the note below the table. Indices stay far below `link_end`.
inline constexpr std::uint32_t link_end = no_slot;

[[nodiscard]] constexpr std::uint32_t stored_link(std::uint32_t next_index) {
    return next_index == no_slot ? link_end : next_index + 1;
}
[[nodiscard]] constexpr std::uint32_t loaded_link(std::uint32_t stored, std::uint32_t own_index,
                                                  std::uint32_t slot_count) {
    if (stored == 0) return own_index + 1 < slot_count ? own_index + 1 : no_slot;
    return stored == link_end ? no_slot : stored - 1;
}

/// Further slots of a chain: so many links on, or not there. near + 1 : 32 | far + 1 : 32
inline constexpr std::uint32_t near_links = 4;
inline constexpr std::uint32_t far_links = 16;

[[nodiscard]] constexpr std::uint64_t make_further(std::uint32_t near, std::uint32_t far) {
    return (std::uint64_t{far + 1} << 32) | (near + 1);
}
/// no_slot + 1 is 0, and 0 - 1 is no_slot again.
[[nodiscard]] constexpr std::uint32_t further_near(std::uint64_t further) {
    return static_cast<std::uint32_t>(further) - 1;
}
[[nodiscard]] constexpr std::uint32_t further_far(std::uint64_t further) {
    return static_cast<std::uint32_t>(further >> 32) - 1;
}

}  // namespace shmpool
