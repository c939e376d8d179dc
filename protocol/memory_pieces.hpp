// SPDX-License-Identifier: Apache-2.0
/// Memory of a segment is taken from the machine, and given back, piece by piece: the kernel needs
/// up to 0.4 s for 1 GiB, and the host serves others between two pieces. Host only, one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>

#include "shmpool/platform/byte_range.hpp"
#include "shmpool/platform/memory_object.hpp"

namespace shmpool {

/// What is taken from the machine, or given back, in one go; nobody else is served meanwhile. Two
/// virtual cores that others used too: to take 1 MiB is 0.4 ms, to give it back 0.2; 4 MiB are 1.6
/// and 0.8 ms, and whoever asks for something beside them waits 9 ms at p99 instead of 4.
inline constexpr std::uint64_t memory_piece_bytes = 1 << 20;

/// So many pieces later, of whichever work, it is asked again whether there is memory enough,
/// which takes 0.1 ms: others take of it too, and the kernel would rather end processes than
/// refuse.
inline constexpr std::uint64_t pieces_per_check = 64;

/// Where nothing is, a piece is given back in 3 us, however large: so many of them in one go, each
/// twice as large as the one before it, up to so many times a piece. What lies behind a hole is
/// given back in one go up to that.
inline constexpr unsigned empty_pieces_per_turn = 256;
inline constexpr std::uint64_t longest_empty_piece = 64;

/// How memory is taken. Tests take less of it, and have none left when they like.
struct PieceRules {
    using Ask = std::function<Result<void>(const Descriptor& object, std::uint64_t offset,
                                           std::uint64_t bytes)>;
    std::uint64_t bytes = memory_piece_bytes;  ///< Whole pages.
    Ask check = check_memory_for;
    Ask commit = commit_checked;
};

class MemoryPieces {
public:
    explicit MemoryPieces(PieceRules rules) : rules_(std::move(rules)) {}

    /// Whether there is memory enough for all of it; for its first pieces that is not asked again.
    /// Errors as of `commit`.
    [[nodiscard]] Result<void> check(const Descriptor& object, const ByteRange& range);
    /// How much the next piece of `left` is.
    [[nodiscard]] std::uint64_t next_bytes(const ByteRange& left) const {
        return std::min(rules_.bytes, left.bytes);
    }

    /// Takes the next piece of `left`, which is without it then; memory that is there already stays
    /// as it is. Errors as of `commit`: nothing is taken.
    [[nodiscard]] Result<void> commit_next(const Descriptor& object, ByteRange& left);

    /// Gives pieces of `left` back, which is without them then: up to the first in which there was
    /// memory, because nobody knows how far it goes. Nothing is lost if the kernel fails: whoever
    /// gets the place next has the memory.
    void punch_next(const Descriptor& object, ByteRange& left);

    /// Who comes later asks anew whether there is memory enough.
    void forget_checks() { checked_bytes_ = 0; }

private:
    PieceRules rules_;
    std::uint64_t checked_bytes_ = 0;  ///< For so many there was memory, and none of it is taken.
};

}  // namespace shmpool
