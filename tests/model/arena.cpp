// SPDX-License-Identifier: Apache-2.0
/// See arena.hpp. A heap is a stack of blocks: what is freed is given back when everything above it
/// is free too. Temporaries of a verb come and go in that order, so a heap between two verbs holds
/// nothing but what lasts, and two histories that end alike have the same bytes.
#include "arena.hpp"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

namespace shmpool::model {
namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t arena_bytes = shared_bytes + actors_max * (heap_bytes + stack_bytes);

struct HeapHead {
    std::uint64_t used;  ///< From the heap's base; 0 until the first allocation.
    std::uint64_t last;  ///< Offset of the topmost block's head; 0: none.
};

struct BlockHead {
    std::uint32_t begin;     ///< Where the heap ended before this block.
    std::uint32_t previous;  ///< Offset of the head of the block below.
    std::uint32_t bytes;
    std::uint32_t freed;
};
static_assert(sizeof(HeapHead) == 16 && sizeof(BlockHead) == 16);

std::byte* arena() {
    static std::byte* const base = [] {
        void* const memory = ::mmap(nullptr, arena_bytes, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) std::abort();
        return static_cast<std::byte*>(memory);
    }();
    return base;
}

std::size_t shared_used = 0;
unsigned current_heap = nobody;

HeapHead& head_of(unsigned actor) {
    auto& head = *reinterpret_cast<HeapHead*>(heap_base(actor));
    if (head.used == 0) head.used = sizeof(HeapHead);
    return head;
}

BlockHead& block_at(unsigned actor, std::uint64_t offset) {
    return *reinterpret_cast<BlockHead*>(heap_base(actor) + offset);
}

void* allocate_in(unsigned actor, std::size_t bytes, std::size_t alignment) {
    HeapHead& head = head_of(actor);
    const std::uint64_t block =
        (head.used + 2 * sizeof(BlockHead) + alignment - 1) / alignment * alignment -
        sizeof(BlockHead);
    const std::uint64_t end = (block + sizeof(BlockHead) + bytes + 15) / 16 * 16;
    if (end > heap_bytes) {
        std::fprintf(stderr, "model: the heap of actor %u is too small\n", actor);
        std::abort();
    }
    std::memset(heap_base(actor) + head.used, 0, end - head.used);
    block_at(actor, block) = {static_cast<std::uint32_t>(head.used),
                              static_cast<std::uint32_t>(head.last),
                              static_cast<std::uint32_t>(bytes), 0};
    head = {end, block};
    return heap_base(actor) + block + sizeof(BlockHead);
}

void free_in(unsigned actor, std::byte* memory) {
    auto& block = *reinterpret_cast<BlockHead*>(memory - sizeof(BlockHead));
    std::memset(memory, 0, block.bytes);
    block.freed = 1;
    HeapHead& head = head_of(actor);
    while (head.last != 0 && block_at(actor, head.last).freed != 0) {
        const BlockHead top = block_at(actor, head.last);
        head = {top.begin, top.previous};
    }
}

void* allocate(std::size_t bytes, std::size_t alignment) {
    void* const memory =
        current_heap == nobody
            ? std::aligned_alloc(alignment, (bytes + alignment) / alignment * alignment)
            : allocate_in(current_heap, bytes, alignment);
    if (memory == nullptr) std::abort();
    return memory;
}

void release(void* memory) noexcept {
    const auto offset = static_cast<std::size_t>(static_cast<std::byte*>(memory) - heap_base(0));
    if (memory == nullptr) return;
    if (offset >= arena_bytes - shared_bytes) return std::free(memory);
    free_in(static_cast<unsigned>(offset / (heap_bytes + stack_bytes)),
            static_cast<std::byte*>(memory));
}

}  // namespace

void wipe_arena() {
    ::madvise(arena(), arena_bytes, MADV_DONTNEED);  // Anonymous memory reads as zero afterwards.
    shared_used = 0;
}

std::span<std::byte> take_shared(std::size_t bytes) {
    const std::span<std::byte> taken(shared_base() + shared_used, bytes);
    shared_used += (bytes + page - 1) / page * page;
    if (shared_used > shared_bytes) {
        std::fprintf(stderr, "model: the shared memory is too small\n");
        std::abort();
    }
    return taken;
}

std::byte* shared_base() {
    return arena();
}
std::byte* heap_base(unsigned actor) {
    return arena() + shared_bytes + actor * (heap_bytes + stack_bytes);
}
std::byte* stack_end(unsigned actor) {
    return heap_base(actor) + heap_bytes + stack_bytes;
}
std::span<std::byte> used_heap(unsigned actor) {
    return {heap_base(actor), head_of(actor).used};
}

HeapScope::HeapScope(unsigned actor) : before_(current_heap) {
    current_heap = actor;
}
HeapScope::~HeapScope() {
    current_heap = before_;
}

}  // namespace shmpool::model

// --- the program's allocation functions --------------------------------------------------------

void* operator new(std::size_t bytes) {
    return shmpool::model::allocate(bytes, 16);
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
    return shmpool::model::allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
    shmpool::model::release(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    shmpool::model::release(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    shmpool::model::release(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    shmpool::model::release(memory);
}
