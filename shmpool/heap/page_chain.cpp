// SPDX-License-Identifier: Apache-2.0
#include "shmpool/heap/page_chain.hpp"

#include "shmpool/heap/built_kinds.hpp"
#include "shmpool/heap/guarded_page_chain.hpp"

namespace shmpool {

Result<std::unique_ptr<PageChain>> open_page_chain(std::span<std::byte> memory,
                                                   std::chrono::nanoseconds patience) {
    const auto plan = plan_of_page_chain(memory);
    if (!plan) return tl::unexpected(plan.error());
    return if_built<HeapKind::page_chain, std::unique_ptr<PageChain>>(
        [&](auto) { return std::make_unique<GuardedPageChain<>>(memory, *plan, patience); });
}

Result<PageChainPlan> plan_of_page_chain(std::span<const std::byte> memory) {
    const auto kind = kind_of_heap(memory);
    if (!kind) return tl::unexpected(kind.error());
    if (*kind != HeapKind::page_chain) {
        return wrong_kind(*kind, "a heap of pages with pins (page_chain)");
    }
    const auto& header = *reinterpret_cast<const HeapHeader*>(memory.data());
    // Read once: whoever writes nonsense may do it now.
    const auto plan = PageChainPlan::of(memory.size(), header.settings[0], header.map_alignment,
                                        header.owned != 0);
    if (!plan) return fail(Errc::damaged_header, plan.error().message);
    if (auto good = check_header(memory, plan->heap); !good) return tl::unexpected(good.error());
    return plan;
}

}  // namespace shmpool
