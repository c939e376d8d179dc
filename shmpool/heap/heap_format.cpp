// SPDX-License-Identifier: Apache-2.0
#include "shmpool/heap/heap_format.hpp"

#include "shmpool/heap/buddy.hpp"
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

Result<void> format_heap(std::span<std::byte> memory, HeapKind kind, const HeapOptions& options) {
    switch (kind) {
        case HeapKind::tlsf: return GuardedHeap<Tlsf>::format(memory, options);
        case HeapKind::buddy: return GuardedHeap<Buddy>::format(memory, options);
        case HeapKind::slab: return GuardedHeap<Slab>::format(memory, options);
        case HeapKind::bitmap_pages: return GuardedPageHeap<>::format(memory, options);
        case HeapKind::page_chain: return GuardedPageChain<>::format(memory, options);
        case HeapKind::ids: return GuardedIdHeap<>::format(memory, options);
        case HeapKind::slab_cache: return GuardedObjectHeap<>::format(memory, options);
        case HeapKind::best_fit: return GuardedBestFit<>::format(memory, options);
        case HeapKind::linear: return GuardedStack<Linear>::format(memory, options);
        case HeapKind::first_fit: return GuardedStack<FirstFit>::format(memory, options);
        case HeapKind::ghost_tree: return GuardedStack<GhostTree>::format(memory, options);
        case HeapKind::slab_stack: return GuardedStack<SlabStack>::format(memory, options);
        case HeapKind::checked_slab: return GuardedStack<CheckedSlab>::format(memory, options);
        case HeapKind::none: break;
    }
    return fail(Errc::unsupported, "this build knows no heap of kind number " +
                                       std::to_string(static_cast<std::uint32_t>(kind)));
}

}  // namespace shmpool
