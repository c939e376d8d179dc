// SPDX-License-Identifier: Apache-2.0
#include "shmpool/heap/heap_audit.hpp"

#include <algorithm>
#include <utility>

#include "shmpool/heap/best_fit.hpp"
#include "shmpool/heap/byte_heap.hpp"
#include "shmpool/heap/heap_plan.hpp"
#include "shmpool/heap/id_heap.hpp"
#include "shmpool/heap/object_heap.hpp"
#include "shmpool/heap/page_chain.hpp"
#include "shmpool/heap/page_heap.hpp"
#include "shmpool/heap/stack_heap.hpp"
#include "shmpool/platform/or_out_of_memory.hpp"

namespace shmpool {
namespace {

/// Opens it as what it is, and calls verb(heap).
template <typename Verb>
auto with_open_heap(std::span<std::byte> memory, std::chrono::nanoseconds patience, Verb verb)
    -> decltype(verb(std::declval<ByteHeap&>()).map_error(to_error)) {
    const auto kind = kind_of_heap(memory);
    if (!kind) return tl::unexpected(kind.error());
    const auto call = [&](auto heap) -> decltype(verb(**heap).map_error(to_error)) {
        if (!heap) return tl::unexpected(heap.error());
        return verb(**heap).map_error(to_error);
    };
    switch (*kind) {
        case HeapKind::bitmap_pages: return call(open_page_heap(memory, patience));
        case HeapKind::page_chain: return call(open_page_chain(memory, patience));
        case HeapKind::ids: return call(open_id_heap(memory, patience));
        case HeapKind::slab_cache: return call(open_object_heap(memory, patience));
        case HeapKind::best_fit: return call(open_best_fit_heap_to_audit(memory, patience));
        case HeapKind::linear:
        case HeapKind::first_fit:
        case HeapKind::ghost_tree:
        case HeapKind::slab_stack:
        case HeapKind::checked_slab: return call(open_stack_heap(memory, patience));
        default: return call(open_byte_heap(memory, patience));
    }
}
template <typename Verb>
auto with_heap(std::span<std::byte> memory, std::chrono::nanoseconds patience, Verb verb) {
    return or_out_of_memory([&] { return with_open_heap(memory, patience, verb); });
}

}  // namespace

Result<void> settle_heap(std::span<std::byte> memory, HeapHolder holder,
                         std::chrono::nanoseconds patience) {
    return with_heap(memory, patience, [&](auto& heap) -> Outcome<void> {
        return heap.statistics(holder).map([](const auto&) {});
    });
}

Result<void> grow_heap(std::span<std::byte> memory, HeapHolder holder, std::uint64_t to_bytes,
                       std::chrono::nanoseconds patience) {
    if (auto settled = settle_heap(memory, holder, patience); !settled) return settled;
    const HeapOffset from = end_of_regions(memory);
    if (from >= to_bytes) return {};
    return with_heap(memory, patience, [&](auto& heap) -> Outcome<void> {
        if constexpr (requires { heap.add_memory(holder, HeapExtent{}); }) {
            return heap.add_memory(holder, {from, to_bytes - from});
        } else {
            return fail(Errc::unsupported);
        }
    });
}

HeapOffset end_of_regions(std::span<const std::byte> memory) {
    if (!kind_of_heap(memory)) return 0;
    const auto& header = *reinterpret_cast<const HeapHeader*>(memory.data());
    HeapOffset end = 0;
    for (const HeapRegionImage& region : header.regions) {
        const HeapOffset begin = region.offset.load(std::memory_order_relaxed);
        const std::uint64_t bytes = region.bytes.load(std::memory_order_relaxed);
        const bool lies_inside = begin <= memory.size() && bytes <= memory.size() - begin;
        if (lies_inside && bytes != 0) end = std::max(end, begin + bytes);
    }
    return end;
}

Result<HeapGlance> glance_at_heap(std::span<const std::byte> memory) {
    const auto kind = kind_of_heap(memory);
    if (!kind) return tl::unexpected(kind.error());
    const auto& header = *reinterpret_cast<const HeapHeader*>(memory.data());
    const auto load = [](const auto& word) { return word.load(std::memory_order_relaxed); };
    HeapGlance glance{*kind, load(header.total_bytes), load(header.used_bytes),
                      load(header.blocks)};
    for (const HeapRegionImage& region : header.regions) {
        glance.regions += load(region.bytes) != 0 ? 1U : 0U;
    }
    glance.holder = HeapLock::living_holder_in(load(header.lock));
    glance.damaged = load(header.damaged) != 0;
    return glance;
}

Result<std::vector<HeapFinding>> audit_heap(std::span<std::byte> memory, HeapHolder holder,
                                            std::chrono::nanoseconds patience) {
    return with_heap(memory, patience, [&](auto& heap) { return heap.audit(holder); });
}

Result<std::uint64_t> reclaim_in_heap(std::span<std::byte> memory, HeapHolder holder,
                                      const IsGone& is_gone, std::chrono::nanoseconds patience) {
    return with_heap(memory, patience, [&](auto& heap) { return heap.reclaim(holder, is_gone); });
}

bool orphan_lock_of_heap(std::span<std::byte> memory, HeapHolder holder) {
    if (memory.size() < sizeof(HeapHeader)) return false;
    return HeapLock(reinterpret_cast<HeapHeader*>(memory.data())->lock).orphan(holder);
}

}  // namespace shmpool
