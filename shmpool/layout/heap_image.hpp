// SPDX-License-Identifier: Apache-2.0
/// What lies at the beginning of a heap's memory: which kind it is, its lock, its journal, and the
/// regions that it manages. Behind it come the words of its engine. All offsets are bytes from the
/// beginning of this memory, so that it may lie at another address in each process; 0 is nowhere.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "shmpool/platform/atomics.hpp"

namespace shmpool {

inline constexpr std::uint64_t heap_magic = 0x706165'686D687301;  // "\1shmheap" in memory order.
inline constexpr std::uint32_t heap_layout_version = 3;
inline constexpr std::uint32_t heap_regions_max = 16;

/// Bytes from the beginning of the heap's memory, or, as its users call it, from its origin
/// (heap_origin.hpp).
using HeapOffset = std::uint64_t;

enum class HeapKind : std::uint32_t {
    none = 0,
    tlsf = 1,
    bitmap_pages = 2,
    ids = 3,
    buddy = 4,
    slab = 5,
    slab_cache = 6,
    page_chain = 7,
    best_fit = 8,
    linear = 16,
    first_fit = 17,
    ghost_tree = 18,
    slab_stack = 19,
    checked_slab = 20,
};

/// All that this build knows.
inline constexpr std::array heap_kinds{
    HeapKind::tlsf,        HeapKind::buddy,     HeapKind::slab,       HeapKind::bitmap_pages,
    HeapKind::page_chain,  HeapKind::ids,       HeapKind::slab_cache, HeapKind::best_fit,
    HeapKind::linear,      HeapKind::first_fit, HeapKind::ghost_tree, HeapKind::slab_stack,
    HeapKind::checked_slab};

[[nodiscard]] constexpr std::string_view name_of(HeapKind kind) {
    switch (kind) {
        case HeapKind::tlsf: return "tlsf";
        case HeapKind::bitmap_pages: return "bitmap_pages";
        case HeapKind::ids: return "ids";
        case HeapKind::buddy: return "buddy";
        case HeapKind::slab: return "slab";
        case HeapKind::slab_cache: return "slab_cache";
        case HeapKind::page_chain: return "page_chain";
        case HeapKind::best_fit: return "best_fit";
        case HeapKind::linear: return "linear";
        case HeapKind::first_fit: return "first_fit";
        case HeapKind::ghost_tree: return "ghost_tree";
        case HeapKind::slab_stack: return "slab_stack";
        case HeapKind::checked_slab: return "checked_slab";
        case HeapKind::none: break;
    }
    return "none";
}

//  HeapRegionImage: 16 bytes.
//     offset  bytes  field   written under the lock
//          0      8  offset  where the memory begins that the engine hands out
//          8      8  bytes   0: not used
struct HeapRegionImage {
    Atomic<std::uint64_t> offset;
    Atomic<std::uint64_t> bytes;
};
static_assert(sizeof(HeapRegionImage) == 16);

//  HeapHeader: 512 bytes at offset 0.
//     offset  bytes  field            written by
//          0      8  magic            creator, last
//          8      4  layout_version   creator
//         12      4  kind             creator        HeapKind
//         16      8  memory_bytes     creator        of the whole, this header included
//         24      8  journal_offset   creator        where its entries lie
//         32      8  journal_limit    creator        how many there are
//         40      8  engine_offset    creator        where the words of the engine begin
//         48      8  map_alignment    creator        of the memory's address, in every process
//         64      4  lock             who locks      see heap_lock.hpp; a futex
//         68      4  damaged          anybody        1: nonsense was found in it
//         72     16  settings[2]      creator        bitmap_pages, page_chain: bytes of a page
//                                                    ids: the first id; how many at most
//                                                    slab_stack, checked_slab: HeapOptions::
//                                                    block_bytes
//                                                    slab_cache: bytes of an object, of a slab
//                                                    best_fit: BOOST_VERSION; journal_limit
//         88      8  owned            creator        1: says of each block whose it is
//        128      8  journal_count    lock's holder  entries of a change that is not yet complete
//        136      8  used_bytes       lock's holder  what is handed out; ids: how many
//        144      8  total_bytes      lock's holder  what can be handed out at most; ids: how many
//        152      8  blocks           lock's holder  how many are handed out; pages, ids: 0
//        160      8  root             anybody        an offset that users begin with; 0: none
//        168      8  decided_at       lock's holder  a word that is still to get `decided_value`,
//                                                    by whoever is next in the heap; 0: none
//        176      8  decided_value    lock's holder
//        184      8  decided_zeros    lock's holder  with `decided_at`: where words begin that are
//                                                    still to become 0
//        192      8  decided_zeros_bytes  lock's holder  0: there are none
//        256    256  regions[16]      lock's holder
struct HeapHeader {
    Atomic<std::uint64_t> magic;
    std::uint32_t layout_version;
    std::uint32_t kind;
    std::uint64_t memory_bytes;
    std::uint64_t journal_offset;
    std::uint64_t journal_limit;
    std::uint64_t engine_offset;
    std::uint64_t map_alignment;
    alignas(cache_line_bytes) Atomic<std::uint32_t> lock;
    Atomic<std::uint32_t> damaged;
    std::uint64_t settings[2];
    std::uint64_t owned;
    std::uint64_t reserved_0[4];
    alignas(cache_line_bytes) Atomic<std::uint64_t> journal_count;
    Atomic<std::uint64_t> used_bytes;
    Atomic<std::uint64_t> total_bytes;
    Atomic<std::uint64_t> blocks;
    Atomic<std::uint64_t> root;
    Atomic<std::uint64_t> decided_at;
    Atomic<std::uint64_t> decided_value;
    Atomic<std::uint64_t> decided_zeros;
    Atomic<std::uint64_t> decided_zeros_bytes;
    std::uint64_t reserved_1[7];
    HeapRegionImage regions[heap_regions_max];
};
static_assert(offsetof(HeapHeader, map_alignment) == 48 && offsetof(HeapHeader, lock) == 64);
static_assert(offsetof(HeapHeader, settings) == 72 && offsetof(HeapHeader, owned) == 88);
static_assert(offsetof(HeapHeader, journal_count) == 128 && offsetof(HeapHeader, blocks) == 152);
static_assert(offsetof(HeapHeader, root) == 160 && offsetof(HeapHeader, decided_value) == 176);
static_assert(offsetof(HeapHeader, decided_zeros_bytes) == 192);
static_assert(offsetof(HeapHeader, regions) == 256, "the table above says 256");
static_assert(sizeof(HeapHeader) == 512 && std::is_standard_layout_v<HeapHeader>);

//  JournalEntry: 16 bytes.
//     offset  bytes  field      written by
//          0      8  offset     lock's holder  of a word
//          8      8  old_value  lock's holder  what it held before the change began
struct JournalEntry {
    Atomic<std::uint64_t> offset;
    Atomic<std::uint64_t> old_value;
};
static_assert(sizeof(JournalEntry) == 16 && std::is_standard_layout_v<JournalEntry>);

}  // namespace shmpool
