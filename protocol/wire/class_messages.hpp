// SPDX-License-Identifier: Apache-2.0
/// The messages about size classes, which are named by the size of their slots; see messages.hpp.
#pragma once

#include <cstdint>

#include "protocol/wire/message_parts.hpp"

namespace shmpool::wire {

//  GrowClass: 16 bytes, to the host. Made again, it changes nothing more.
//     offset  bytes  field
//          0      8  slot_bytes
//          8      4  to_slots     that it is to have, at least
//         12      4  reserved     0
struct GrowClass {
    static constexpr MessageType type = MessageType::grow_class;
    std::uint64_t slot_bytes;
    std::uint32_t to_slots;
    std::uint32_t reserved;
};
static_assert(sizeof(GrowClass) == 16);

//  RelieveClass: 16 bytes, peer to host: I have found none, under grow_when_exhausted.
//     offset  bytes  field
//          0      8  slot_bytes
//          8      4  slots_seen   that it had then; has it more, nothing happens
//         12      4  reserved     0
struct RelieveClass {
    static constexpr MessageType type = MessageType::relieve_class;
    std::uint64_t slot_bytes;
    std::uint32_t slots_seen;
    std::uint32_t reserved;
};
static_assert(sizeof(RelieveClass) == 16);

//  ShrinkClass: 16 bytes, to the host.
//     offset  bytes  field
//          0      8  slot_bytes
//          8      4  keep_slots   that it is not to fall below
//         12      4  reserved     0
struct ShrinkClass {
    static constexpr MessageType type = MessageType::shrink_class;
    std::uint64_t slot_bytes;
    std::uint32_t keep_slots;
    std::uint32_t reserved;
};
static_assert(sizeof(ShrinkClass) == 16);

//  ClassGrown, ClassShrunk: 4 bytes, from the host: how many slots have memory now.
struct ClassGrown {
    static constexpr MessageType type = MessageType::class_grown;
    std::uint32_t slots;
};
struct ClassShrunk {
    static constexpr MessageType type = MessageType::class_shrunk;
    std::uint32_t slots;
};
static_assert(sizeof(ClassGrown) == 4 && sizeof(ClassShrunk) == 4);

}  // namespace shmpool::wire
