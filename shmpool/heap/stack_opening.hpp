// SPDX-License-Identifier: Apache-2.0
/// How a heap of the stack family is opened, whatever is called before and behind its stores.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>

#include "shmpool/heap/built_kinds.hpp"
#include "shmpool/heap/first_fit.hpp"
#include "shmpool/heap/ghost_tree.hpp"
#include "shmpool/heap/guarded_stack.hpp"
#include "shmpool/heap/linear.hpp"
#include "shmpool/heap/slab_list.hpp"

namespace shmpool {

template <HeapKind Kind, template <typename> typename EngineOf, typename StoreHook>
Result<std::unique_ptr<StackHeap>> open_stack_as(std::span<std::byte> memory,
                                                 std::chrono::nanoseconds patience,
                                                 HeapOrigin origin, StoreHook hook) {
    if constexpr (is_built(Kind)) {
        using Heap = GuardedStack<EngineOf, StoreHook>;
        // Read once: whoever writes nonsense may do it now.
        const std::uint64_t block_bytes =
            reinterpret_cast<const HeapHeader*>(memory.data())->settings[0];
        if (!Heap::Engine::may_have_blocks_of(block_bytes)) {
            return fail(Errc::damaged_header, "the heap says that its blocks have " +
                                                  std::to_string(block_bytes) + " bytes");
        }
        const StackPlan plan = StackPlan::of(Heap::Engine::shape(block_bytes), memory.size());
        if (auto good = check_header(memory, plan.heap); !good) return tl::unexpected(good.error());
        auto heap = std::make_unique<Heap>(memory, plan, patience, origin, hook);
        if (auto good = heap->check(); !good) {
            return fail(good.error(),
                        "the heap is damaged: what it begins with is no beginning of a " +
                            std::string(name_of(plan.shape.kind)) +
                            " of its size; get it from a copy, or make it anew");
        }
        return heap;
    } else {
        return not_built(Kind);
    }
}

/// As open_stack_heap.
template <typename StoreHook>
Result<std::unique_ptr<StackHeap>> open_stack_heap_with(std::span<std::byte> memory,
                                                        std::chrono::nanoseconds patience,
                                                        HeapOrigin origin, StoreHook hook) {
    const auto kind = kind_of_heap(memory);
    if (!kind) return tl::unexpected(kind.error());
    switch (*kind) {
        case HeapKind::linear:
            return open_stack_as<HeapKind::linear, Linear>(memory, patience, origin, hook);
        case HeapKind::first_fit:
            return open_stack_as<HeapKind::first_fit, FirstFit>(memory, patience, origin, hook);
        case HeapKind::ghost_tree:
            return open_stack_as<HeapKind::ghost_tree, GhostTree>(memory, patience, origin, hook);
        case HeapKind::slab_stack:
            return open_stack_as<HeapKind::slab_stack, SlabStack>(memory, patience, origin, hook);
        case HeapKind::checked_slab:
            return open_stack_as<HeapKind::checked_slab, CheckedSlab>(memory, patience, origin,
                                                                      hook);
        default: break;
    }
    return wrong_kind(*kind,
                      "a heap of the stack family (linear, first_fit, ghost_tree, slab_stack, "
                      "checked_slab)");
}

}  // namespace shmpool
