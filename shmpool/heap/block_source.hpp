// SPDX-License-Identifier: Apache-2.0
/// Bytes of a heap by address, for what knows only addresses: allocators of containers
/// (offset_allocator.hpp) and memory resources (heap_resource.hpp).
///
/// An allocator that lies in shared memory can not hold what is different in each process: who is
/// calling, and how the heap is opened here. So it holds where the heap lies, and each process has
/// a list of the heaps that it has open.
#pragma once

#include <cstdint>

#include "shmpool/layout/heap_image.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool {

/// One heap as this process has it. Threads.
class BlockSource {
public:
    virtual ~BlockSource() = default;

    /// As ByteHeap::allocate.
    [[nodiscard]] virtual Outcome<void*> allocate(std::uint64_t bytes, std::uint64_t alignment) = 0;
    /// As ByteHeap::free; not_allocated for null too.
    virtual Outcome<void> free(void* block) = 0;
    [[nodiscard]] virtual HeapHeader& heap() const = 0;
};

/// The source stands in the list of open heaps as long as this lives. Threads.
class OpenBlockSource {
public:
    /// `source` outlives this.
    explicit OpenBlockSource(BlockSource& source);
    ~OpenBlockSource();
    OpenBlockSource(const OpenBlockSource&) = delete;
    OpenBlockSource& operator=(const OpenBlockSource&) = delete;

private:
    BlockSource& source_;
};

/// By whichever source is open here for that heap; detached if there is none.
[[nodiscard]] Outcome<void*> allocate_in(const HeapHeader* heap, std::uint64_t bytes,
                                         std::uint64_t alignment);
Outcome<void> free_in(const HeapHeader* heap, void* block);

}  // namespace shmpool
