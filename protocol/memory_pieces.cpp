// SPDX-License-Identifier: Apache-2.0
#include "protocol/memory_pieces.hpp"

#include "shmpool/platform/crash_point.hpp"

namespace shmpool {
namespace {

void shorten(ByteRange& left, std::uint64_t bytes) {
    left.offset += bytes;
    left.bytes -= bytes;
}

}  // namespace

Result<void> MemoryPieces::check(const Descriptor& object, const ByteRange& range) {
    auto enough = rules_.check(object, range.offset, range.bytes);
    const std::uint64_t many = std::min(pieces_per_check * rules_.bytes, range.bytes);
    if (enough) checked_bytes_ = std::max(checked_bytes_, many);
    return enough;
}

Result<void> MemoryPieces::commit_next(const Descriptor& object, ByteRange& left) {
    const std::uint64_t bytes = next_bytes(left);
    if (checked_bytes_ < bytes) {
        const std::uint64_t many = std::min(pieces_per_check * rules_.bytes, left.bytes);
        if (auto enough = rules_.check(object, left.offset, many); !enough) return enough;
        checked_bytes_ = many;
    }
    checked_bytes_ -= bytes;
    auto done = rules_.commit(object, left.offset, bytes);
    SHMPOOL_CRASH_POINT(piece_committed);
    if (done) shorten(left, bytes);
    return done;
}

void MemoryPieces::punch_next(const Descriptor& object, ByteRange& left) {
    const std::uint64_t backed = backed_bytes(object);
    std::uint64_t pieces = 1;
    for (unsigned i = 0; i < empty_pieces_per_turn && left.bytes != 0; ++i) {
        const std::uint64_t bytes = std::min(pieces * rules_.bytes, left.bytes);
        pieces = std::min(2 * pieces, longest_empty_piece);
        (void)punch(object, left.offset, bytes);
        shorten(left, bytes);
        SHMPOOL_CRASH_POINT(piece_given_back);
        if (backed_bytes(object) != backed) return;
    }
}

}  // namespace shmpool
