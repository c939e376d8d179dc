// SPDX-License-Identifier: Apache-2.0
/// A heap of the stack family as one process has it, whatever its kind: linear, first_fit,
/// ghost_tree, slab_stack, checked_slab. Its memory is one array of bytes that grows and shrinks
/// at its end; a block is a handle of 16 bytes (stack_handle.hpp), the same in every process.
///
/// Processes, threads, holders, and what a death leaves: as byte_heap.hpp says. Each kind has a
/// table of its operations by what a kill in the middle of them leaves, in its header.
///
/// What is true of every kind:
///   A block that was handed out is zero, and so is what `realloc` adds to one.
///   But for linear: 0 bytes are the null handle, which nothing is kept for; `realloc` of it is
///   `alloc`, `realloc` to 0 is `dealloc`, `dealloc` of it does nothing.
///   A handle is used as it was handed out. One of a heap with another origin is refused; a part of
///   one where it can be told: first_fit, exactly; ghost_tree and slabs, if it needs another number
///   of their units; linear, if it reaches behind the end.
///
/// Errors: no_memory, invalid_argument (nothing can begin there, or the block has another length),
/// not_allocated (nothing live begins there), unsupported, would_block, heap_damaged. After an
/// error everything is as it was, and the handle still good.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "shmpool/heap/heap_census.hpp"
#include "shmpool/heap/heap_format.hpp"
#include "shmpool/heap/heap_origin.hpp"
#include "shmpool/heap/heap_owner.hpp"
#include "shmpool/heap/stack_handle.hpp"

namespace shmpool {

/// What the family has in common with what is kept in one process only (manual_stack.hpp,
/// debug_checking.hpp).
template <typename Allocator>
concept StackAllocator = requires(Allocator& allocator, HeapHolder holder,
                                  const StackHandle& handle, std::uint64_t len) {
    { allocator.alloc(holder, len) } -> std::same_as<Outcome<StackHandle>>;
    { allocator.realloc(holder, handle, len) } -> std::same_as<Outcome<StackHandle>>;
    { allocator.dealloc(holder, handle) } -> std::same_as<Outcome<void>>;
    { allocator.len(holder) } -> std::same_as<Outcome<std::uint64_t>>;
    { allocator.is_empty(holder) } -> std::same_as<Outcome<bool>>;
    { allocator.stack() } -> std::same_as<Outcome<std::span<std::byte>>>;
};

/// Those that hand out, or take back, many blocks in one operation.
template <typename Allocator>
concept StackBulkAllocator = StackAllocator<Allocator> &&
    requires(Allocator& allocator, HeapHolder holder, std::span<const std::uint64_t> lengths,
             std::span<const StackHandle> handles) {
    { allocator.alloc_bulk(holder, lengths) } -> std::same_as<Outcome<std::vector<StackHandle>>>;
    { allocator.dealloc_bulk(holder, handles) } -> std::same_as<Outcome<void>>;
};

struct StackStatistics {
    std::uint64_t capacity = 0;    ///< What the stack can grow to.
    std::uint64_t len = 0;         ///< What it has grown to, with what the heap keeps in it.
    std::uint64_t used_bytes = 0;  ///< Of live blocks, overhead included.
    std::uint64_t blocks = 0;      ///< How many are live; linear: 0, nobody counts.
};

/// Does not own the memory.
class StackHeap {
public:
    virtual ~StackHeap() = default;

    [[nodiscard]] virtual HeapKind kind() const = 0;
    /// Of a block, with its overhead; 0 if blocks are of any length.
    [[nodiscard]] virtual std::uint64_t block_bytes() const = 0;
    /// How many bytes at the beginning of the stack are their users', for what they like.
    [[nodiscard]] virtual std::uint64_t user_bytes() const = 0;

    [[nodiscard]] virtual Outcome<StackHandle> alloc(HeapHolder holder, std::uint64_t len) = 0;
    /// It may have moved. unsupported: linear, and it is not the last one.
    [[nodiscard]] virtual Outcome<StackHandle> realloc(HeapHolder holder, const StackHandle& handle,
                                                       std::uint64_t len) = 0;
    virtual Outcome<void> dealloc(HeapHolder holder, const StackHandle& handle) = 0;

    /// All or none, in this order, one behind the other. unsupported: first_fit.
    [[nodiscard]] virtual Outcome<std::vector<StackHandle>> alloc_bulk(
        HeapHolder holder, std::span<const std::uint64_t> lengths) = 0;
    /// All or none, in any order; a block that is named twice is an error.
    virtual Outcome<void> dealloc_bulk(HeapHolder holder, std::span<const StackHandle> handles) = 0;

    /// Of the stack, with what the heap keeps in it: only linear is ever empty.
    [[nodiscard]] virtual Outcome<std::uint64_t> len(HeapHolder holder) = 0;
    [[nodiscard]] virtual Outcome<bool> is_empty(HeapHolder holder) = 0;
    [[nodiscard]] virtual Outcome<StackStatistics> statistics(HeapHolder holder) = 0;

    /// Looks for what was lost, beside whoever uses the heap, and takes it back; the first call of
    /// anything through this object does it too. How many blocks it could not judge: 0 is clean.
    virtual Outcome<std::uint64_t> recover(HeapHolder holder) = 0;
    /// Reads everything. Empty: all is right.
    [[nodiscard]] virtual Outcome<std::vector<HeapFinding>> audit(HeapHolder holder) = 0;

    /// None: no heap of this family is owned.
    virtual Outcome<std::uint64_t> reclaim(HeapHolder holder, const IsGone& is_gone) = 0;

    /// All that the stack can ever be, as this process sees it; it stays when the heap is closed.
    [[nodiscard]] virtual Outcome<std::span<std::byte>> stack() = 0;

    /// The kernel says that who was this holder is dead. Call it before the number is another's.
    virtual void holder_died(HeapHolder holder) = 0;
};
static_assert(StackBulkAllocator<StackHeap>);

/// Of any kind of the family. `memory` is what format_heap had, at any address of that alignment,
/// and outlives the heap. wrong_magic, wrong_layout_version, damaged_header, misaligned_base,
/// config_mismatch (a heap of another kind, or blocks of another length), unsupported.
[[nodiscard]] Result<std::unique_ptr<StackHeap>> open_stack_heap(
    std::span<std::byte> memory, std::chrono::nanoseconds patience = heap_patience,
    HeapOrigin origin = {});

}  // namespace shmpool
