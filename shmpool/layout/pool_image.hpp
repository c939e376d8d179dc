// SPDX-License-Identifier: Apache-2.0
/// The pool's part of the control memory: header, size classes, lane cells, extents with their
/// free-list heads, then the slot records of each class. Payload lies in the other memory object.
/// All offsets count from the pool's base (control) or from the payload's base.
///
/// A class has room for `slot_limit` slots, one behind the other; extents cut it into pieces, each
/// with a free list of its own. Extent 0 is there from the beginning. Those behind it are memory
/// only since the host has added them, which one store of `extent_count` decides; what an extent is
/// made of is written before that, and never again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "shmpool/layout/abi_constants.hpp"
#include "shmpool/layout/slot_record.hpp"

namespace shmpool {

inline constexpr std::uint64_t pool_magic = 0x6C6F6F70'6D687301;  // "\1shmpool" in memory order.

//  PoolHeader: 128 bytes at offset 0 of the pool.
//     offset  bytes  field            written by       read by
//          0      8  magic            initialiser      all
//          8      4  layout_version   initialiser,last all       <- 0 means "not yet"
//         12      4  fingerprint      initialiser      all
//         16      4  class_count      initialiser      all
//         20      4  lane_count       initialiser      all       <- with the host's lane 0
//         24      4  block_shift      initialiser      all       <- slots per block, as a shift
//         28      4  config_checksum  initialiser      all
//         32      8  control_bytes    initialiser      all
//         40      8  payload_bytes    initialiser      all
//         48      8  classes_offset   initialiser      all
//         56      8  lanes_offset     initialiser      all
//         64      8  pressure         whoever starves  all       <- one bit per starved class
//         72      4  free_doorbell    freeing lanes    waiters   <- futex
//         76      4  damaged          whoever finds    all
struct PoolHeader {
    std::uint64_t magic;
    Atomic<std::uint32_t> layout_version;
    std::uint32_t fingerprint;
    std::uint32_t class_count;
    std::uint32_t lane_count;
    std::uint32_t block_shift;
    std::uint32_t config_checksum;
    std::uint64_t control_bytes;
    std::uint64_t payload_bytes;
    std::uint64_t classes_offset;
    std::uint64_t lanes_offset;
    alignas(cache_line_bytes) Atomic<std::uint64_t> pressure;
    Atomic<std::uint32_t> free_doorbell;
    Atomic<std::uint32_t> damaged;
};
static_assert(sizeof(PoolHeader) == 2 * cache_line_bytes && std::is_standard_layout_v<PoolHeader>);
static_assert(offsetof(PoolHeader, pressure) == cache_line_bytes);

//  ClassImage: 64 bytes per size class.
//     offset  bytes  field           written by    read by
//          0      8  slot_bytes      initialiser   all
//          8      8  stride_bytes    initialiser   all      <- slot_bytes rounded up to 64
//         16      8  extents_offset  initialiser   all      <- ExtentImage[extent_limit]
//         24      8  records_offset  initialiser   all      <- SlotRecord[slot_limit]
//         32      8  payload_offset  initialiser   all      <- in the payload memory
//         40      4  slot_limit      initialiser   all      <- that it may grow to
//         44      4  extent_limit    initialiser   all
//         48      4  first_block     initialiser   all      <- number in the lanes' block bitmaps
//         52      4  extent_count    host          all      <- one more: it has grown
//         56      8  reserved
struct ClassImage {
    std::uint64_t slot_bytes;
    std::uint64_t stride_bytes;
    std::uint64_t extents_offset;
    std::uint64_t records_offset;
    std::uint64_t payload_offset;
    std::uint32_t slot_limit;
    std::uint32_t extent_limit;
    std::uint32_t first_block;
    Atomic<std::uint32_t> extent_count;
    std::uint64_t reserved;
};
static_assert(sizeof(ClassImage) == cache_line_bytes && std::is_standard_layout_v<ClassImage>);

//  ExtentImage: 128 bytes per class and extent.
//     offset  bytes  field           written by       read by
//          0      4  slot_count      host, once       all
//          4      4  withdrawn       host             host, audits
//         64     16  head            lanes, by CAS    all     <- {top index, last lane and seq}
//  withdrawn: 0, or the extent has no payload and its list is empty. Then 1 + the top of its list
//  as it was when all slots were in it. Indices of the list count from the extent's first slot.
struct ExtentImage {
    Atomic<std::uint32_t> slot_count;
    Atomic<std::uint32_t> withdrawn;
    alignas(cache_line_bytes) Word128 head;
};
static_assert(sizeof(ExtentImage) == 2 * cache_line_bytes &&
              std::is_standard_layout_v<ExtentImage>);
static_assert(offsetof(ExtentImage, head) == cache_line_bytes);

//  LaneCell: 1728 bytes per lane: the fixed memory price of a thread.
//     offset  bytes  field             written by                   read by
//          0      8  owner             claimer by CAS; host         all     <- 0: free
//          8      8  magazines         the lane; host when dead     lanes    <- one bit per class
//         64      8  sequence          the lane                     host
//         72      8  intent            the lane; host when dead     host
//        128      8  seen              whoever overwrites a head    host    <- monotone
//        192    512  touched_blocks    the lane; host when dead     host
//        704    512  allocations       the lane                     all     <- per class, never
//        reset
//       1216    512  exhausted         the lane                     all     <- per class, never
//       reset
struct LaneCell {
    alignas(cache_line_bytes) Atomic<std::uint64_t> owner;
    Atomic<std::uint64_t> magazines;
    alignas(cache_line_bytes) Atomic<std::uint64_t> sequence;
    Atomic<std::uint64_t> intent;
    alignas(cache_line_bytes) Atomic<std::uint64_t> seen;
    alignas(cache_line_bytes) Atomic<std::uint64_t> touched_blocks[block_words];
    Atomic<std::uint64_t> allocations[class_count_max];
    Atomic<std::uint64_t> exhausted[class_count_max];
};
static_assert(sizeof(LaneCell) == 27 * cache_line_bytes, "the table above says 1728");
static_assert(offsetof(LaneCell, intent) == 72 && offsetof(LaneCell, seen) == 128);
static_assert(offsetof(LaneCell, touched_blocks) == 192 && offsetof(LaneCell, allocations) == 704);
static_assert(std::is_standard_layout_v<LaneCell>);
static_assert(Atomic<std::uint64_t>::is_always_lock_free, "a hidden lock is process-local");
static_assert(Atomic<std::uint32_t>::is_always_lock_free, "a hidden lock is process-local");

/// Head of a free list: low = top index (no_slot: empty), high = last lane : 16 | its sequence
/// : 48. Zeroed memory is a full list whose last change nobody made.
inline constexpr std::uint32_t lane_sequence_bits = 48;
inline constexpr std::uint64_t lane_sequence_mask = (std::uint64_t{1} << lane_sequence_bits) - 1;

[[nodiscard]] constexpr std::uint64_t make_change(std::uint32_t lane, std::uint64_t sequence) {
    return (std::uint64_t{lane} << lane_sequence_bits) | (sequence & lane_sequence_mask);
}
[[nodiscard]] constexpr std::uint32_t change_lane(std::uint64_t change) {
    return static_cast<std::uint32_t>(change >> lane_sequence_bits);
}
[[nodiscard]] constexpr std::uint64_t change_sequence(std::uint64_t change) {
    return change & lane_sequence_mask;
}

/// What a lane is about to do to a free list. 0 is idle.
/// count : 24 | first : 24 | extent : 8 | class : 6 | kind : 2
enum class IntentKind : std::uint8_t { idle = 0, pop = 1, push = 2 };

struct Intent {
    IntentKind kind = IntentKind::idle;
    std::uint32_t class_index = 0;
    std::uint32_t extent_index = 0;
    std::uint32_t first = 0;
    std::uint32_t count = 0;
};
[[nodiscard]] constexpr std::uint64_t pack_intent(const Intent& intent) {
    return (std::uint64_t{intent.count} << 40) | (std::uint64_t{intent.first} << 16) |
           (std::uint64_t{intent.extent_index} << 8) | (std::uint64_t{intent.class_index} << 2) |
           static_cast<std::uint64_t>(intent.kind);
}
[[nodiscard]] constexpr Intent unpack_intent(std::uint64_t bits) {
    return Intent{static_cast<IntentKind>(bits & 3), static_cast<std::uint32_t>((bits >> 2) & 63),
                  static_cast<std::uint32_t>((bits >> 8) & 255),
                  static_cast<std::uint32_t>((bits >> 16) & 0xFF'FFFF),
                  static_cast<std::uint32_t>(bits >> 40)};
}

}  // namespace shmpool
