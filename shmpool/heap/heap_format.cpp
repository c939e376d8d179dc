// SPDX-License-Identifier: Apache-2.0
#include "shmpool/heap/heap_format.hpp"

#include "shmpool/heap/buddy.hpp"
#include "shmpool/heap/built_kinds.hpp"
#include "shmpool/heap/first_fit.hpp"
#include "shmpool/heap/ghost_tree.hpp"
#include "shmpool/heap/guarded_best_fit.hpp"
#include "shmpool/heap/guarded_heap.hpp"
#include "shmpool/heap/guarded_id_heap.hpp"
#include "shmpool/heap/guarded_object_heap.hpp"
#include "shmpool/heap/guarded_page_chain.hpp"
#include "shmpool/heap/guarded_page_heap.hpp"
#include "shmpool/heap/guarded_stack.hpp"
#include "shmpool/heap/linear.hpp"
#include "shmpool/heap/slab.hpp"
#include "shmpool/heap/slab_list.hpp"
#include "shmpool/heap/tlsf.hpp"

namespace shmpool {
namespace {

template <HeapKind Kind, typename Heap>
Result<void> format_as(std::span<std::byte> memory, const HeapOptions& options) {
    if constexpr (is_built(Kind)) {
        return Heap::format(memory, options);
    } else {
        return not_built(Kind);
    }
}

}  // namespace

Result<void> format_heap(std::span<std::byte> memory, HeapKind kind, const HeapOptions& options) {
    switch (kind) {
        case HeapKind::tlsf: return format_as<HeapKind::tlsf, GuardedHeap<Tlsf>>(memory, options);
        case HeapKind::buddy:
            return format_as<HeapKind::buddy, GuardedHeap<Buddy>>(memory, options);
        case HeapKind::slab: return format_as<HeapKind::slab, GuardedHeap<Slab>>(memory, options);
        case HeapKind::bitmap_pages:
            return format_as<HeapKind::bitmap_pages, GuardedPageHeap<>>(memory, options);
        case HeapKind::page_chain:
            return format_as<HeapKind::page_chain, GuardedPageChain<>>(memory, options);
        case HeapKind::ids: return format_as<HeapKind::ids, GuardedIdHeap<>>(memory, options);
        case HeapKind::slab_cache:
            return format_as<HeapKind::slab_cache, GuardedObjectHeap<>>(memory, options);
        case HeapKind::best_fit:
            return format_as<HeapKind::best_fit, GuardedBestFit<>>(memory, options);
        case HeapKind::linear:
            return format_as<HeapKind::linear, GuardedStack<Linear>>(memory, options);
        case HeapKind::first_fit:
            return format_as<HeapKind::first_fit, GuardedStack<FirstFit>>(memory, options);
        case HeapKind::ghost_tree:
            return format_as<HeapKind::ghost_tree, GuardedStack<GhostTree>>(memory, options);
        case HeapKind::slab_stack:
            return format_as<HeapKind::slab_stack, GuardedStack<SlabStack>>(memory, options);
        case HeapKind::checked_slab:
            return format_as<HeapKind::checked_slab, GuardedStack<CheckedSlab>>(memory, options);
        case HeapKind::none: break;
    }
    return fail(Errc::unsupported, "this build knows no heap of kind number " +
                                       std::to_string(static_cast<std::uint32_t>(kind)));
}

}  // namespace shmpool
