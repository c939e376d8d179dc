// SPDX-License-Identifier: Apache-2.0
#include "shmpool/heap/best_fit.hpp"

#include "shmpool/heap/built_kinds.hpp"
#include "shmpool/heap/guarded_best_fit.hpp"

namespace shmpool {

Result<BestFitPlan> plan_of_best_fit(std::span<const std::byte> memory) {
    const auto kind = kind_of_heap(memory);
    if (!kind) return tl::unexpected(kind.error());
    if (*kind != HeapKind::best_fit) {
        return wrong_kind(*kind, "a buffer of Boost.Interprocess (best_fit)");
    }
    const auto& header = *reinterpret_cast<const HeapHeader*>(memory.data());
    // Read once: whoever writes nonsense may do it now.
    const std::uint64_t version = header.settings[0];
    const auto plan = BestFitPlan::of(memory.size(), version, header.settings[1]);
    if (!plan) {
        return fail(Errc::damaged_header, "the header of the heap says nonsense of its journal");
    }
    if (auto good = check_header(memory, plan->heap); !good) return tl::unexpected(good.error());
    if (memory.size() - plan->begin() < BestFit::segment_manager::get_min_size()) {
        return fail(Errc::damaged_header, "the header of the heap leaves no room for the buffer");
    }
    if (version == BOOST_VERSION) return *plan;
    return fail(Errc::config_mismatch,
                "the heap was made with Boost " + std::to_string(version) + ", this program has " +
                    std::to_string(BOOST_VERSION) +
                    ", whose words may lie elsewhere; build both with the same release of Boost");
}

Result<std::unique_ptr<BestFitHeap>> open_best_fit_heap(std::span<std::byte> memory,
                                                        const MemoryPlace& place,
                                                        std::chrono::nanoseconds patience) {
    const auto plan = plan_of_best_fit(memory);
    if (!plan) return tl::unexpected(plan.error());
    auto view = PrivateView::map(place, memory.size());
    if (!view) return tl::unexpected(view.error());
    return if_built<HeapKind::best_fit, std::unique_ptr<BestFitHeap>>([&](auto) {
        return std::make_unique<GuardedBestFit<>>(memory, *plan, std::move(*view), patience);
    });
}

Result<std::unique_ptr<BestFitHeap>> open_best_fit_heap_to_audit(
    std::span<std::byte> memory, std::chrono::nanoseconds patience) {
    const auto plan = plan_of_best_fit(memory);
    if (!plan) return tl::unexpected(plan.error());
    return if_built<HeapKind::best_fit, std::unique_ptr<BestFitHeap>>([&](auto) {
        return std::make_unique<GuardedBestFit<>>(memory, *plan, std::nullopt, patience);
    });
}

}  // namespace shmpool
