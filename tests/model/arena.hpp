// SPDX-License-Identifier: Apache-2.0
/// All memory of a model, at one fixed place, so that a state can be put aside and brought back by
/// copying bytes: the shared memory, and for each actor a heap and a stack of its own. Pointers
/// inside stay right, because nothing ever moves.
///
/// `operator new` of the whole program allocates from an actor's heap while that actor runs or a
/// HeapScope names it, so that production objects with vectors in them lie there too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace shmpool::model {

inline constexpr unsigned actors_max = 7;
inline constexpr unsigned nobody = actors_max;
inline constexpr std::size_t shared_bytes = std::size_t{1} << 18;
inline constexpr std::size_t heap_bytes = std::size_t{1} << 17;
inline constexpr std::size_t stack_bytes = std::size_t{1} << 17;

/// Zeroes everything that was used; nothing in it is destroyed.
void wipe_arena();

/// The next `bytes` of shared memory, on a page of their own.
[[nodiscard]] std::span<std::byte> take_shared(std::size_t bytes);
[[nodiscard]] std::byte* shared_base();
[[nodiscard]] inline bool is_shared(const void* address) {
    return static_cast<std::size_t>(static_cast<const std::byte*>(address) - shared_base()) <
           shared_bytes;
}

/// What an actor's heap holds now; everything behind it is garbage.
[[nodiscard]] std::span<std::byte> used_heap(unsigned actor);
[[nodiscard]] std::byte* heap_base(unsigned actor);
[[nodiscard]] std::byte* stack_end(unsigned actor);  ///< Stacks grow down from here.

/// While it lives, allocations go to this actor's heap (or, for `nobody`, to the process's own).
class HeapScope {
public:
    explicit HeapScope(unsigned actor);
    ~HeapScope();
    HeapScope(const HeapScope&) = delete;
    HeapScope& operator=(const HeapScope&) = delete;

private:
    unsigned before_;
};

}  // namespace shmpool::model
