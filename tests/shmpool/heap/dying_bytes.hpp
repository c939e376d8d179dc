// SPDX-License-Identifier: Apache-2.0
/// The play of heaps of bytes (dying_heap.hpp), whatever the engine.
#pragma once

#include <memory>
#include <string>

#include "shmpool/heap/guarded_heap.hpp"
#include "tests/shmpool/heap/dying_heap.hpp"

namespace shmpool::test {

template <template <typename> typename EngineOf>
struct BytePlay {
    using Heap = GuardedHeap<EngineOf, Dying>;
    static constexpr bool all_is_logged = false;  // Free memory may hold anything.
    static HeapOptions options() {
        HeapOptions options;
        options.first_region = {Heap::first_free, (192 << 10) - Heap::first_free};
        return options;
    }
    static std::unique_ptr<Heap> opened(std::span<std::byte> memory) {
        return std::make_unique<Heap>(memory, std::chrono::nanoseconds::zero());
    }
    static std::string account(Heap& heap, HeapHolder holder) {
        const HeapStatistics now = heap.statistics(holder).value();
        return std::to_string(now.total_bytes) + " " + std::to_string(now.used_bytes) + " " +
               std::to_string(now.blocks);
    }
};

}  // namespace shmpool::test
