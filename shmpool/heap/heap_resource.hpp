// SPDX-License-Identifier: Apache-2.0
/// A heap as a memory resource, for what one process alone uses: the containers of std::pmr hold
/// addresses of this process. For what several use: offset_allocator.hpp.
#pragma once

#include <memory_resource>
#include <new>

#include "shmpool/heap/block_source.hpp"

namespace shmpool {

/// Threads.
class HeapResource final : public std::pmr::memory_resource {
public:
    /// `source` outlives this.
    explicit HeapResource(BlockSource& source) : source_(source) {}

private:
    // No bytes are no block: an address that is aligned, and that nobody may look at.
    void* do_allocate(std::size_t bytes, std::size_t alignment) override {
        if (bytes == 0) return reinterpret_cast<void*>(alignment);
        const auto block = source_.allocate(bytes, alignment);
        if (!block) throw std::bad_alloc();
        return *block;
    }
    void do_deallocate(void* block, std::size_t bytes, std::size_t) override {
        if (bytes != 0) (void)source_.free(block);
    }
    [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
        const auto* const one = dynamic_cast<const HeapResource*>(&other);
        return one != nullptr && &one->source_.heap() == &source_.heap();
    }

    BlockSource& source_;
};

}  // namespace shmpool
