// SPDX-License-Identifier: Apache-2.0
#include "protocol/heap_table.hpp"

#include <bit>
#include <cstring>

namespace shmpool {
namespace {

std::string name_in(const HeapImage& heap) {
    return {heap.name, strnlen(heap.name, name_bytes)};
}

std::vector<std::uint32_t> users_of(const HeapImage& heap) {
    std::vector<std::uint32_t> users;
    for (std::uint32_t word = 0; word < std::size(heap.users); ++word) {
        std::uint64_t bits = heap.users[word].load(std::memory_order_relaxed);
        for (; bits != 0; bits &= bits - 1) {
            users.push_back(64 * word + static_cast<std::uint32_t>(std::countr_zero(bits)));
        }
    }
    return users;
}

}  // namespace

std::optional<HeapEntry> read_heap(const ProtocolView& view, std::uint32_t index) {
    const HeapImage* const heap = view.heaps.find(index);
    if (heap == nullptr || heap->state.load(std::memory_order_acquire) !=  // [A-heaps]
                               static_cast<std::uint32_t>(HeapState::open)) {
        return std::nullopt;
    }
    const auto load = [](const auto& word) { return word.load(std::memory_order_relaxed); };
    return HeapEntry{{index, load(heap->incarnation)},
                     name_in(*heap),
                     static_cast<HeapKind>(load(heap->kind)),
                     static_cast<OnDeath>(load(heap->on_death)),
                     load(heap->bytes),
                     load(heap->committed_bytes),
                     load(heap->created_by),
                     users_of(*heap)};
}

std::vector<HeapEntry> read_heaps(const ProtocolView& view) {
    std::vector<HeapEntry> heaps;
    for (std::uint32_t i = 0; i < view.heaps.count; ++i) {
        if (auto heap = read_heap(view, i)) heaps.push_back(std::move(*heap));
    }
    return heaps;
}

Result<HeapEntry> find_heap(const ProtocolView& view, std::string_view name) {
    for (auto& heap : read_heaps(view)) {
        if (heap.name == name) return std::move(heap);
    }
    return fail(Errc::no_heap, "there is no heap '" + std::string(name) +
                                   "'; 'shmpool heap list' shows those that there are");
}

std::span<std::byte> heap_memory(const Segment::Region& all, const HeapImage& heap) {
    const std::uint64_t offset = heap.offset.load(std::memory_order_relaxed);
    const std::uint64_t bytes = heap.bytes.load(std::memory_order_relaxed);
    const bool lies_inside = offset % page_bytes == 0 && bytes % page_bytes == 0 && bytes != 0 &&
                             offset <= all.bytes.size() && bytes <= all.bytes.size() - offset;
    return lies_inside ? all.bytes.subspan(offset, bytes) : std::span<std::byte>();
}

}  // namespace shmpool
