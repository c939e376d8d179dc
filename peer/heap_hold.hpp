// SPDX-License-Identifier: Apache-2.0
/// What was taken out of a heap, and goes back at the end of the scope: a block, pages, ids, an
/// object of a slab cache, a handle of a stack, or an object of a type. Move-only; `release` takes
/// it out of the hold, and `hold` takes it in.
#pragma once

#include <cstdint>
#include <utility>

#include "peer/heaps.hpp"
#include "shmpool/heap/holds_no_addresses.hpp"

namespace shmpool {

struct PageRun {
    HeapOffset offset = 0;
    std::uint64_t count = 0;
};
struct IdRun {
    std::uint64_t start = 0;
    std::uint64_t count = 0;
};

inline Outcome<void> give_back(SharedByteHeap& heap, HeapOffset block) {
    return heap.free(block);
}
inline Outcome<void> give_back(SharedPageHeap& heap, const PageRun& run) {
    return heap.free_pages(run.offset, run.count);
}
inline Outcome<void> give_back(SharedPageChain& heap, PageId page) {
    return heap.free(page);
}
inline Outcome<void> give_back(SharedIdHeap& heap, const IdRun& run) {
    return heap.free_id(run.start, run.count);
}
inline Outcome<void> give_back(SharedObjectHeap& heap, HeapOffset object) {
    return heap.free(object);
}
inline Outcome<void> give_back(SharedStackHeap& heap, const StackHandle& handle) {
    return heap.dealloc(handle);
}

/// The heap outlives it. One thread at a time.
template <typename Heap, typename Held>
class HeapHold {
public:
    HeapHold(Heap& heap, Held held) : heap_(&heap), held_(held) {}
    HeapHold(HeapHold&& other) noexcept
        : heap_(std::exchange(other.heap_, nullptr)), held_(other.held_) {}
    HeapHold& operator=(HeapHold&& other) noexcept {
        std::swap(heap_, other.heap_);
        std::swap(held_, other.held_);
        return *this;
    }
    ~HeapHold() {
        if (heap_ != nullptr) (void)give_back(*heap_, held_);
    }

    [[nodiscard]] explicit operator bool() const { return heap_ != nullptr; }
    [[nodiscard]] Heap& heap() const { return *heap_; }
    [[nodiscard]] const Held& get() const { return held_; }
    /// From now on the caller's.
    Held release() {
        heap_ = nullptr;
        return held_;
    }

private:
    Heap* heap_;
    Held held_;
};

using BlockHold = HeapHold<SharedByteHeap, HeapOffset>;
using PageHold = HeapHold<SharedPageHeap, PageRun>;
using ChainedPageHold = HeapHold<SharedPageChain, PageId>;
using IdHold = HeapHold<SharedIdHeap, IdRun>;
using ObjectHold = HeapHold<SharedObjectHeap, HeapOffset>;
using StackHold = HeapHold<SharedStackHeap, StackHandle>;

/// An object in a heap, destroyed at the end of the scope. What it holds must mean the same in
/// every process: no pointers, no references, no virtual functions; distances and offsets.
/// holds_no_addresses.hpp says how a type is declared so.
template <SharedObject T>
class HeapBox {
public:
    template <typename... Arguments>
    [[nodiscard]] static Outcome<HeapBox> make(SharedByteHeap& heap, Arguments&&... arguments) {
        return heap.allocate(sizeof(T), alignof(T)).map([&](HeapOffset block) {
            BlockHold hold(heap, block);  // If the constructor throws.
            new (heap.at(block)) T(std::forward<Arguments>(arguments)...);
            return HeapBox(std::move(hold));
        });
    }
    /// What another box has released, here or in another process. not_allocated (no block that is
    /// in use begins there); invalid_argument (no T fits there). Of a block in use the caller says
    /// that it is a T and nobody else's.
    [[nodiscard]] static Outcome<HeapBox> adopt(SharedByteHeap& heap, HeapOffset block) {
        return heap.usable_bytes(block).and_then([&](std::uint64_t bytes) -> Outcome<HeapBox> {
            const auto address = reinterpret_cast<std::uintptr_t>(heap.at(block));
            if (bytes < sizeof(T) || address % alignof(T) != 0) return fail(Errc::invalid_argument);
            return HeapBox(BlockHold(heap, block));
        });
    }
    HeapBox(HeapBox&&) noexcept = default;
    HeapBox& operator=(HeapBox&& other) noexcept {
        hold_ = std::move(other.hold_);
        return *this;
    }
    ~HeapBox() {
        if (hold_) get()->~T();
    }

    [[nodiscard]] T* get() const { return static_cast<T*>(hold_.heap().at(hold_.get())); }
    [[nodiscard]] T* operator->() const { return get(); }
    [[nodiscard]] T& operator*() const { return *get(); }
    [[nodiscard]] HeapOffset offset() const { return hold_.get(); }
    /// From now on nobody's here: `adopt` it again, or leave it in the heap.
    HeapOffset release() { return hold_.release(); }

private:
    explicit HeapBox(BlockHold hold) : hold_(std::move(hold)) {}
    BlockHold hold_;
};

}  // namespace shmpool
