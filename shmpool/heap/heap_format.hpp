// SPDX-License-Identifier: Apache-2.0
/// How a heap begins: one function for all kinds, with the options of each. Who opens it then asks
/// for what it hands out: bytes (byte_heap.hpp), pages (page_heap.hpp, page_chain.hpp), ids
/// (id_heap.hpp), objects (object_heap.hpp) or objects with names (best_fit.hpp).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "shmpool/heap/heap_words.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool {

struct HeapOptions {
    /// Of the memory's address in every process that opens the heap: power of two.
    std::uint64_t map_alignment = page_bytes;
    /// Part of the memory to manage from the beginning; 0 bytes: all that is left. Of bytes
    /// and bitmap_pages.
    HeapExtent first_region{};

    /// How much of the memory is there already, from its beginning; the rest may come later
    /// (`add_memory`), if the kind can grow. 0: all of it.
    std::uint64_t backed_bytes = 0;

    /// Each block, page or id says whose it is (heap_owner.hpp), which takes 16 bytes of a block,
    /// or its alignment if that is more, and 8 bytes for each page or id that there can be.
    bool owned = false;

    /// Of bitmap_pages and page_chain, and what a slab of a slab_cache has: power of two, 4096 (of
    /// a slab 512) or more, no more than map_alignment.
    std::uint64_t bytes_per_page = page_bytes;

    /// Of ids: the smallest, and how many there are from the beginning.
    std::uint64_t first_id = 0;
    std::uint64_t id_count = 0;
    /// How many ids there can ever be; 0: as many as from the beginning.
    std::uint64_t id_capacity = 0;

    /// Of slab_stack and checked_slab: what a block holds; a multiple of 8, and not 0. Of
    /// slab_cache: what an object has; a multiple of 4, and not 0.
    std::uint64_t block_bytes = 64;

    friend bool operator==(const HeapOptions&, const HeapOptions&) = default;
};

/// Memory can be added to a heap of this kind.
[[nodiscard]] constexpr bool can_grow(HeapKind kind) {
    return kind == HeapKind::tlsf || kind == HeapKind::buddy || kind == HeapKind::slab ||
           kind == HeapKind::slab_cache || kind == HeapKind::best_fit ||
           kind == HeapKind::bitmap_pages;
}

inline constexpr std::chrono::seconds heap_patience{10};

/// Writes a new heap into the memory, which nobody else uses yet. region_too_small,
/// misaligned_base, invalid_argument,
/// unsupported.
[[nodiscard]] Result<void> format_heap(std::span<std::byte> memory, HeapKind kind,
                                       const HeapOptions& options = {});

}  // namespace shmpool
