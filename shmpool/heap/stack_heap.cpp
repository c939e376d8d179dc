// SPDX-License-Identifier: Apache-2.0
#include "shmpool/heap/stack_heap.hpp"

#include "shmpool/heap/first_fit.hpp"
#include "shmpool/heap/ghost_tree.hpp"
#include "shmpool/heap/guarded_stack.hpp"
#include "shmpool/heap/linear.hpp"
#include "shmpool/heap/slab_list.hpp"

namespace shmpool {
namespace {

template <template <typename> typename EngineOf>
Result<std::unique_ptr<StackHeap>> open_as(std::span<std::byte> memory,
                                           std::chrono::nanoseconds patience) {
    using Heap = GuardedStack<EngineOf>;
    // Read once: whoever writes nonsense may do it now.
    const std::uint64_t block_bytes =
        reinterpret_cast<const HeapHeader*>(memory.data())->settings[0];
    if (!Heap::Engine::may_have_blocks_of(block_bytes)) {
        return fail(Errc::damaged_header,
                    "the heap says that its blocks have " + std::to_string(block_bytes) + " bytes");
    }
    const StackPlan plan = StackPlan::of(Heap::Engine::shape(block_bytes), memory.size());
    if (auto good = check_header(memory, plan.heap); !good) return tl::unexpected(good.error());
    auto heap = std::make_unique<Heap>(memory, plan, patience);
    if (auto good = heap->check(); !good) return tl::unexpected(to_error(good.error()));
    return heap;
}

}  // namespace

Result<std::unique_ptr<StackHeap>> open_stack_heap(std::span<std::byte> memory,
                                                   std::chrono::nanoseconds patience) {
    const auto kind = kind_of_heap(memory);
    if (!kind) return tl::unexpected(kind.error());
    switch (*kind) {
        case HeapKind::linear: return open_as<Linear>(memory, patience);
        case HeapKind::first_fit: return open_as<FirstFit>(memory, patience);
        case HeapKind::ghost_tree: return open_as<GhostTree>(memory, patience);
        case HeapKind::slab_stack: return open_as<SlabStack>(memory, patience);
        case HeapKind::checked_slab: return open_as<CheckedSlab>(memory, patience);
        default: break;
    }
    return wrong_kind(*kind,
                      "a heap of the stack family (linear, first_fit, ghost_tree, slab_stack, "
                      "checked_slab)");
}

}  // namespace shmpool
