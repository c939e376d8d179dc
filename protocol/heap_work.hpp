// SPDX-License-Identifier: Apache-2.0
/// What a verb of the heap directory has begun, and is done piece by piece (heap_directory.hpp).
///
///   create   make ──────────────────────▶ over: open
///              └─ an error, given up ──▶ take_back ──▶ over
///   grow     grow ──────────────────────▶ over: it has more
///              └─ an error, given up ──▶ give_back ──▶ over
///   destroy  take_back ─────────────────▶ over: its place is free
///
/// make and grow end in the hands of the builder (heap_builder.hpp), and whatever is to become of
/// the heap waits until it has let go of it. A growth that nobody waits for any more goes on then,
/// unless the builder could not enter the heap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "protocol/heap_builder.hpp"
#include "protocol/heap_request.hpp"
#include "protocol/heap_table.hpp"

namespace shmpool {

/// So often the builder tries to have a heap take its memory while others are at work in it, for
/// 0.1 ms each.
inline constexpr std::uint32_t heap_growth_tries = 1000;

/// A work is over: of which heap, or why it has come to nothing.
struct HeapDone {
    HeapWorkId work = 0;
    Result<HeapId> result;
};

enum class HeapTask : std::uint8_t { make, grow, give_back, take_back, over };

/// Where the heap lies is not read again from the table: others could write there meanwhile.
struct HeapWork {
    HeapWorkId id = 0;
    HeapWorkId built_as = 0;  ///< The builder has the heap in hand, for that work. 0: it has not.
    HeapTask task = HeapTask::over;
    HeapRequest request{};           ///< Of make; of grow its name.
    HeapId heap{};                   ///< Of make, `nothing` until there is a place for it.
    std::span<std::byte> memory{};   ///< All that is reserved for it.
    std::uint64_t at = 0;            ///< In the heap: where the next piece begins,
    std::uint64_t end = 0;           ///< and where the last one ends.
    std::uint64_t begin = 0;         ///< Of give_back: where the first one began.
    std::uint32_t tries = 0;         ///< Of grow, when it has its memory.
    bool is_given_up = false;        ///< Of grow, while the builder has it in hand.
    std::optional<Error> failure{};  ///< What is said at the end of give_back and take_back.

    [[nodiscard]] bool is_in_hand() const { return built_as != 0; }
    [[nodiscard]] bool has_place() const { return heap.index != nothing; }
    [[nodiscard]] bool has_pieces() const { return at < end; }
    [[nodiscard]] bool gives_back() const {
        return task == HeapTask::give_back || task == HeapTask::take_back;
    }
};

}  // namespace shmpool
