// SPDX-License-Identifier: Apache-2.0
#include "shmpool/heap/byte_heap.hpp"

#include "shmpool/heap/buddy.hpp"
#include "shmpool/heap/guarded_heap.hpp"
#include "shmpool/heap/tlsf.hpp"

namespace shmpool {
namespace heap_layout {

Result<void> check_memory(std::span<const std::byte> memory, const HeapOptions& options) {
    if (!std::has_single_bit(options.map_alignment) || options.map_alignment < page_bytes) {
        return fail(Errc::invalid_argument, "map_alignment is " +
                                                std::to_string(options.map_alignment) +
                                                "; it must be a power of two, and " +
                                                std::to_string(page_bytes) + " or more");
    }
    const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
    if (address % options.map_alignment == 0) return {};
    return fail(Errc::misaligned_base, "the memory of the heap is not aligned to " +
                                           std::to_string(options.map_alignment) +
                                           " bytes, as it is to be for everybody who opens it");
}

Result<void> check_header(std::span<std::byte> memory, std::uint32_t journal_limit) {
    const auto& header = *reinterpret_cast<const HeapHeader*>(memory.data());
    if (header.memory_bytes != memory.size() || header.journal_offset != journal_offset ||
        header.journal_limit != journal_limit ||
        header.engine_offset != engine_offset(journal_limit)) {
        return fail(Errc::damaged_header, "the header of the heap does not describe the " +
                                              std::to_string(memory.size()) +
                                              " bytes that it lies in");
    }
    HeapOptions options;
    options.map_alignment = header.map_alignment;
    return check_memory(memory, options);
}

}  // namespace heap_layout

namespace {

template <typename Heap>
Result<std::unique_ptr<ByteHeap>> open_as(std::span<std::byte> memory,
                                          std::chrono::nanoseconds patience) {
    if (auto good = heap_layout::check_header(memory, Heap::Engine::journal_limit); !good) {
        return tl::unexpected(good.error());
    }
    return std::make_unique<Heap>(memory, patience);
}

}  // namespace

Result<void> format_heap(std::span<std::byte> memory, HeapKind kind, const HeapOptions& options) {
    switch (kind) {
        case HeapKind::tlsf: return GuardedHeap<Tlsf>::format(memory, options);
        case HeapKind::buddy: return GuardedHeap<Buddy>::format(memory, options);
        case HeapKind::none: break;
    }
    return fail(Errc::invalid_argument, "there is no kind of heap with the number " +
                                            std::to_string(static_cast<std::uint32_t>(kind)));
}

Result<std::unique_ptr<ByteHeap>> open_byte_heap(std::span<std::byte> memory,
                                                 std::chrono::nanoseconds patience) {
    const auto& header = *reinterpret_cast<const HeapHeader*>(memory.data());
    if (memory.size() < sizeof(HeapHeader)) {
        return fail(Errc::region_too_small,
                    "no heap lies in " + std::to_string(memory.size()) + " bytes");
    }
    if (header.magic.load(std::memory_order_acquire) != heap_magic) {  // [A-heap-format]
        return fail(Errc::wrong_magic, "no heap begins there");
    }
    if (header.layout_version != heap_layout_version) {
        return fail(Errc::wrong_layout_version,
                    "the heap has layout version " + std::to_string(header.layout_version) +
                        ", this build knows " + std::to_string(heap_layout_version));
    }
    switch (static_cast<HeapKind>(header.kind)) {
        case HeapKind::tlsf: return open_as<GuardedHeap<Tlsf>>(memory, patience);
        case HeapKind::buddy: return open_as<GuardedHeap<Buddy>>(memory, patience);
        case HeapKind::none: break;
    }
    return fail(Errc::unsupported,
                "this build knows no heap of kind number " + std::to_string(header.kind));
}

}  // namespace shmpool
