// SPDX-License-Identifier: Apache-2.0
#include "shmpool/heap/page_heap.hpp"

#include "shmpool/heap/built_kinds.hpp"
#include "shmpool/heap/guarded_page_heap.hpp"

namespace shmpool {

Result<std::unique_ptr<PageHeap>> open_page_heap(std::span<std::byte> memory,
                                                 std::chrono::nanoseconds patience,
                                                 HeapOrigin origin) {
    const auto kind = kind_of_heap(memory);
    if (!kind) return tl::unexpected(kind.error());
    if (*kind != HeapKind::bitmap_pages) return wrong_kind(*kind, "a heap of pages (bitmap_pages)");
    const auto& header = *reinterpret_cast<const HeapHeader*>(memory.data());
    // Read once: whoever writes nonsense may do it now.
    const auto plan =
        PagePlan::of(memory.size(), header.settings[0], header.map_alignment, header.owned != 0);
    if (!plan) return fail(Errc::damaged_header, plan.error().message);
    if (auto good = check_header(memory, plan->heap); !good) return tl::unexpected(good.error());
    return if_built<HeapKind::bitmap_pages, std::unique_ptr<PageHeap>>(
        [&](auto) { return std::make_unique<GuardedPageHeap<>>(memory, *plan, patience, origin); });
}

}  // namespace shmpool
