// SPDX-License-Identifier: Apache-2.0
#include "shmpool/heap/byte_heap.hpp"

#include "shmpool/heap/buddy.hpp"
#include "shmpool/heap/built_kinds.hpp"
#include "shmpool/heap/guarded_heap.hpp"
#include "shmpool/heap/slab.hpp"
#include "shmpool/heap/tlsf.hpp"

namespace shmpool {
namespace {

template <HeapKind Kind, typename Heap>
Result<std::unique_ptr<ByteHeap>> open_as(std::span<std::byte> memory,
                                          std::chrono::nanoseconds patience, HeapOrigin origin) {
    if constexpr (is_built(Kind)) {
        if (auto good = check_header(memory, Heap::plan); !good) {
            return tl::unexpected(good.error());
        }
        return std::make_unique<Heap>(memory, patience, origin);
    } else {
        return not_built(Kind);
    }
}

}  // namespace

Result<std::unique_ptr<ByteHeap>> open_byte_heap(std::span<std::byte> memory,
                                                 std::chrono::nanoseconds patience,
                                                 HeapOrigin origin) {
    const auto kind = kind_of_heap(memory);
    if (!kind) return tl::unexpected(kind.error());
    switch (*kind) {
        case HeapKind::tlsf:
            return open_as<HeapKind::tlsf, GuardedHeap<Tlsf>>(memory, patience, origin);
        case HeapKind::buddy:
            return open_as<HeapKind::buddy, GuardedHeap<Buddy>>(memory, patience, origin);
        case HeapKind::slab:
            return open_as<HeapKind::slab, GuardedHeap<Slab>>(memory, patience, origin);
        default: break;
    }
    return wrong_kind(*kind, "a heap of bytes (tlsf, buddy, slab)");
}

}  // namespace shmpool
