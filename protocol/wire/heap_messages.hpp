// SPDX-License-Identifier: Apache-2.0
/// The messages about heaps; see messages.hpp.
#pragma once

#include <cstdint>

#include "protocol/layout/protocol_images.hpp"
#include "protocol/wire/message_parts.hpp"

namespace shmpool::wire {

//  CreateHeap: 144 bytes, to the host. What a kind does not need is 0.
//     offset  bytes  field          meaning
//          0     64  name
//         64      4  kind           HeapKind
//         68      4  on_death       OnDeath
//         72      8  bytes          from the beginning
//         80      8  ticket         the same for a request that is made again; not 0
//         88      8  map_alignment  of its beginning, in every process
//         96      8  bytes_per_page of bitmap_pages, page_chain; slab_cache: of a slab
//        104      8  first_id       of ids
//        112      8  id_count
//        120      8  id_capacity
//        128      8  block_bytes    of slab_stack, checked_slab; slab_cache: of an object
//        136      8  max_bytes      that it may grow to; less than `bytes`: it can not grow
struct CreateHeap {
    static constexpr MessageType type = MessageType::create_heap;
    Text<name_bytes> name;
    std::uint32_t kind;
    std::uint32_t on_death;
    std::uint64_t bytes;
    std::uint64_t ticket;
    std::uint64_t map_alignment;
    std::uint64_t bytes_per_page;
    std::uint64_t first_id;
    std::uint64_t id_count;
    std::uint64_t id_capacity;
    std::uint64_t block_bytes;
    std::uint64_t max_bytes;
};
static_assert(sizeof(CreateHeap) == 144);

//  OpenHeap: 64 bytes, peer to host: a name.
struct OpenHeap {
    static constexpr MessageType type = MessageType::open_heap;
    Text<name_bytes> name;
};
static_assert(sizeof(OpenHeap) == 64);

//  HeapCreated, HeapOpened: 8 bytes, from the host. DestroyHeap: the same, to the host; the
//  incarnation protects the next heap that has the index.
//     offset  bytes  field
//          0      4  heap_index
//          4      4  incarnation
struct HeapCreated {
    static constexpr MessageType type = MessageType::heap_created;
    std::uint32_t heap_index;
    std::uint32_t incarnation;
};
struct HeapOpened {
    static constexpr MessageType type = MessageType::heap_opened;
    std::uint32_t heap_index;
    std::uint32_t incarnation;
};
struct DestroyHeap {
    static constexpr MessageType type = MessageType::destroy_heap;
    std::uint32_t heap_index;
    std::uint32_t incarnation;
};
static_assert(sizeof(HeapCreated) == 8 && sizeof(HeapOpened) == 8 && sizeof(DestroyHeap) == 8);

//  CloseHeap: 4 bytes, peer to host: the index that was given at opening.
struct CloseHeap {
    static constexpr MessageType type = MessageType::close_heap;
    std::uint32_t heap_index;
};
static_assert(sizeof(CloseHeap) == 4);

//  GrowHeap: 16 bytes, to the host. Made again, it changes nothing more.
//     offset  bytes  field
//          0      4  heap_index
//          4      4  incarnation
//          8      8  bytes        that it is to have
struct GrowHeap {
    static constexpr MessageType type = MessageType::grow_heap;
    std::uint32_t heap_index;
    std::uint32_t incarnation;
    std::uint64_t bytes;
};
static_assert(sizeof(GrowHeap) == 16);

//  HeapDestroyed, HeapGrown: no body.
struct HeapDestroyed {
    static constexpr MessageType type = MessageType::heap_destroyed;
};
struct HeapGrown {
    static constexpr MessageType type = MessageType::heap_grown;
};

}  // namespace shmpool::wire
