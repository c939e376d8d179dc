// SPDX-License-Identifier: Apache-2.0
/// The play of the stack family (dying_heap.hpp), whatever the engine. What the operation is not
/// about, and, until it is done, what it is about too, holds what its user wrote.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "shmpool/heap/guarded_stack.hpp"
#include "tests/shmpool/heap/dying_heap.hpp"

namespace shmpool::test {

/// Of the play; the doomed one knows them.
inline std::vector<StackHandle> play_blocks;

template <template <typename> typename EngineOf>
struct StackPlay {
    using Heap = GuardedStack<EngineOf, Dying>;
    static constexpr bool all_is_logged = false;  // Free memory may hold anything.
    static constexpr bool may_be_finished_by_the_next = true;
    static HeapOptions options() {
        HeapOptions options;
        options.block_bytes = 64;
        return options;
    }
    static std::unique_ptr<Heap> opened(std::span<std::byte> memory) {
        const StackPlan plan = StackPlan::of(Heap::Engine::shape(64), memory.size());
        return std::make_unique<Heap>(memory, plan, std::chrono::nanoseconds::zero());
    }
    static std::string account(Heap& heap, HeapHolder holder) {
        const StackStatistics now = heap.statistics(holder).value();
        return std::to_string(now.len) + " " + std::to_string(now.used_bytes) + " " +
               std::to_string(now.blocks);
    }
    /// Of the blocks of the play, while they are live.
    static std::string contents(Heap& heap) {
        std::string text;
        for (const StackHandle& one : play_blocks) {
            const auto bytes = heap.stack().value().subspan(one.offset, one.len);
            text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
            text += '|';
        }
        return text;
    }
};

}  // namespace shmpool::test
