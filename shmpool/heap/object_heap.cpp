// SPDX-License-Identifier: Apache-2.0
#include "shmpool/heap/object_heap.hpp"

#include "shmpool/heap/built_kinds.hpp"
#include "shmpool/heap/guarded_object_heap.hpp"

namespace shmpool {

Result<std::unique_ptr<ObjectHeap>> open_object_heap(std::span<std::byte> memory,
                                                     std::chrono::nanoseconds patience,
                                                     HeapOrigin origin) {
    const auto kind = kind_of_heap(memory);
    if (!kind) return tl::unexpected(kind.error());
    if (*kind != HeapKind::slab_cache) return wrong_kind(*kind, "a heap of objects (slab_cache)");
    const auto& header = *reinterpret_cast<const HeapHeader*>(memory.data());
    // Read once: whoever writes nonsense may do it now.
    const auto plan = ObjectPlan::of(header.settings[0], header.settings[1], header.map_alignment,
                                     header.owned != 0);
    if (!plan) return fail(Errc::damaged_header, plan.error().message);
    if (auto good = check_header(memory, plan->heap); !good) return tl::unexpected(good.error());
    return if_built<HeapKind::slab_cache, std::unique_ptr<ObjectHeap>>([&](auto) {
        return std::make_unique<GuardedObjectHeap<>>(memory, *plan, patience, origin);
    });
}

}  // namespace shmpool
