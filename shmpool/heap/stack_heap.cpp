// SPDX-License-Identifier: Apache-2.0
#include "shmpool/heap/stack_heap.hpp"

#include "shmpool/heap/stack_opening.hpp"

namespace shmpool {

Result<std::unique_ptr<StackHeap>> open_stack_heap(std::span<std::byte> memory,
                                                   std::chrono::nanoseconds patience,
                                                   HeapOrigin origin) {
    return open_stack_heap_with(memory, patience, origin, NoStoreHook{});
}

}  // namespace shmpool
