// SPDX-License-Identifier: Apache-2.0
/// What an owned heap of bytes writes in front of each block: whose it is, and how far in front.
///
///   | owner | prefix | ... | prefix | block of the user
///   ^ aligned as the block; `prefix` bytes in front of it: 16, or its alignment if that is more
///
/// The first `prefix` makes the second one, which may be a user's own word when nonsense is freed,
/// worth believing: no word of a user stands there.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>

#include "shmpool/heap/heap_owner.hpp"
#include "shmpool/heap/heap_words.hpp"

namespace shmpool {

/// The holder of the heap's lock, one thread.
template <typename Words>
class OwnedBlocks {
public:
    /// Entries of the journal that `begin` takes.
    static constexpr std::uint32_t journal_limit = 3;
    static constexpr std::uint64_t prefix_least = 16;

    [[nodiscard]] static constexpr std::uint64_t prefix_for(std::uint64_t alignment) {
        return std::max(alignment, prefix_least);
    }

    explicit OwnedBlocks(Words& words) : words_(words) {}

    /// `piece`: from the engine, with room for the prefix. Where the user's block begins.
    HeapOffset begin(HeapOffset piece, std::uint64_t prefix, HeapOwner owner) {
        words_.set(piece, owner);
        words_.set(piece + 8, prefix);
        if (prefix != prefix_least) words_.set(piece + prefix - 8, prefix);
        return piece + prefix;
    }

    /// Where the engine's piece begins, if this is a block; else some place where no piece begins,
    /// or none.
    [[nodiscard]] std::optional<HeapOffset> piece_of(HeapOffset block) {
        if (block % prefix_least != 0 || !words_.region_holding(block - 1).holds(block - 8)) {
            return std::nullopt;
        }
        const std::uint64_t prefix = words_.get(block - 8);
        if (!std::has_single_bit(prefix) || prefix < prefix_least || prefix >= block) {
            return std::nullopt;
        }
        const HeapOffset piece = block - prefix;
        if (words_.get(piece + 8) != prefix) return std::nullopt;
        return piece;
    }

    /// Of a live piece.
    [[nodiscard]] HeapOwner owner_of(HeapOffset piece) { return words_.get(piece); }
    void set_owner(HeapOffset piece, HeapOwner owner) { words_.set(piece, owner); }
    [[nodiscard]] std::uint64_t prefix_of(HeapOffset piece) { return words_.get(piece + 8); }

private:
    Words& words_;
};

}  // namespace shmpool
