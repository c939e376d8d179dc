// SPDX-License-Identifier: Apache-2.0
#include "shmpool/heap/heap_audit.hpp"

#include "shmpool/heap/byte_heap.hpp"
#include "shmpool/heap/heap_plan.hpp"
#include "shmpool/heap/id_heap.hpp"
#include "shmpool/heap/page_heap.hpp"

namespace shmpool {
namespace {

template <typename Heap>
Result<std::vector<HeapFinding>> audit_opened(const Result<std::unique_ptr<Heap>>& heap,
                                              HeapHolder holder) {
    if (!heap) return tl::unexpected(heap.error());
    return (*heap)->audit(holder).map_error(to_error);
}

}  // namespace

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
    glance.holder = HeapLock::holder_in(load(header.lock));
    glance.damaged = load(header.damaged) != 0;
    return glance;
}

Result<std::vector<HeapFinding>> audit_heap(std::span<std::byte> memory, HeapHolder holder,
                                            std::chrono::nanoseconds patience) {
    const auto kind = kind_of_heap(memory);
    if (!kind) return tl::unexpected(kind.error());
    switch (*kind) {
        case HeapKind::bitmap_pages: return audit_opened(open_page_heap(memory, patience), holder);
        case HeapKind::ids: return audit_opened(open_id_heap(memory, patience), holder);
        default: return audit_opened(open_byte_heap(memory, patience), holder);
    }
}

}  // namespace shmpool
