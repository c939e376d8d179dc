// SPDX-License-Identifier: Apache-2.0
#include "shmpool/heap/id_heap.hpp"

#include "shmpool/heap/built_kinds.hpp"
#include "shmpool/heap/guarded_id_heap.hpp"

namespace shmpool {

Result<std::unique_ptr<IdHeap>> open_id_heap(std::span<std::byte> memory,
                                             std::chrono::nanoseconds patience) {
    const auto kind = kind_of_heap(memory);
    if (!kind) return tl::unexpected(kind.error());
    if (*kind != HeapKind::ids) return wrong_kind(*kind, "a heap of ids (ids)");
    const auto& header = *reinterpret_cast<const HeapHeader*>(memory.data());
    // Read once: whoever writes nonsense may do it now.
    const auto plan =
        IdPlan::of(memory.size(), header.settings[0], header.settings[1], header.owned != 0);
    if (!plan) return fail(Errc::damaged_header, plan.error().message);
    if (auto good = check_header(memory, plan->heap); !good) return tl::unexpected(good.error());
    return if_built<HeapKind::ids, std::unique_ptr<IdHeap>>(
        [&](auto) { return std::make_unique<GuardedIdHeap<>>(memory, *plan, patience); });
}

}  // namespace shmpool
