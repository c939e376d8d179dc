// SPDX-License-Identifier: Apache-2.0
/// A word in a heap where its users find a block: 0, or the block's offset. What goes into a cell,
/// goes there in one step with its allocation, and comes out in one step with being freed, so no
/// death leaves a block that nobody can find, nor a cell that names what is free. It then belongs
/// to the cell, and to no peer: it outlives whoever has allocated it.
///
/// Anybody may read a cell at any time, with acquire: what it names is allocated for good. That it
/// is empty may be undone, when who was emptying it has died. It is written by the heap alone.
#pragma once

#include <cstdint>

#include "shmpool/heap/heap_answer.hpp"
#include "shmpool/heap/heap_origin.hpp"
#include "shmpool/heap/heap_words.hpp"

namespace shmpool {

struct HeapCell {
    HeapOffset block = 0;  ///< A live block, or page, of the same heap; 0: its header.
    std::uint64_t at = 0;  ///< Where in it: a multiple of 8.

    /// The heap's root.
    [[nodiscard]] static constexpr HeapCell root() { return {0, offsetof(HeapHeader, root)}; }
    friend bool operator==(const HeapCell&, const HeapCell&) = default;
};

/// Entries of the journal that a cell takes.
inline constexpr std::uint32_t cell_journal_limit = 2;

/// Where the cell lies, as the engine calls it. `usable_bytes(block)`: Answer or Outcome; of a live
/// block. invalid_argument, not_allocated, and what `usable_bytes` says.
template <typename UsableBytes>
[[nodiscard]] Answer<HeapOffset> place_of(HeapOrigin origin, const HeapCell& cell,
                                          UsableBytes usable_bytes) {
    if (cell == HeapCell::root()) return cell.at;
    const HeapOffset block = origin.inside(cell.block);
    const auto bytes = usable_bytes(block);
    if (!bytes) return tl::unexpected(bytes.error());
    constexpr std::uint64_t cell_bytes = sizeof(HeapOffset);
    const bool is_word = (block + cell.at) % cell_bytes == 0;
    if (!is_word || *bytes < cell_bytes || cell.at > *bytes - cell_bytes) {
        return fail(Errc::invalid_argument);
    }
    return block + cell.at;
}

/// The same of one that is to get a block. cell_in_use.
template <typename Words, typename UsableBytes>
[[nodiscard]] Answer<HeapOffset> empty_place_of(Words& words, HeapOrigin origin,
                                                const HeapCell& cell, UsableBytes usable_bytes) {
    const Answer<HeapOffset> place = place_of(origin, cell, usable_bytes);
    if (place && words.get(*place) != 0) return fail(Errc::cell_in_use);
    return place;
}

}  // namespace shmpool
