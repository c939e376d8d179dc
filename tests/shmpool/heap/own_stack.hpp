// SPDX-License-Identifier: Apache-2.0
/// A heap of the stack family of a test, and what the test may see and do to its bytes.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "shmpool/heap/stack_heap.hpp"
#include "shmpool/heap/stack_plan.hpp"
#include "tests/shmpool/heap/own_heap.hpp"

namespace shmpool::test {

class OwnStack {
public:
    static constexpr HeapHolder me = 1;

    explicit OwnStack(HeapKind kind, std::uint64_t block_bytes = 64,
                      std::size_t memory_bytes = 1 << 20)
        : memory(memory_bytes) {
        HeapOptions options;
        options.block_bytes = block_bytes;
        EXPECT_TRUE(format_heap(memory.view(), kind, options));
        reopen();
    }
    ~OwnStack() {
        if (heap != nullptr) {
            EXPECT_EQ(broken(*heap, me), "");
        }
    }
    OwnStack(const OwnStack&) = delete;
    OwnStack& operator=(const OwnStack&) = delete;

    void reopen() {
        auto opened = open_stack_heap(memory.view());
        ASSERT_TRUE(opened) << opened.error().message;
        heap = std::move(*opened);
    }
    /// Nobody asks whether all is right when it ends.
    void abandon() { heap.reset(); }

    StackHandle alloc(std::uint64_t len) { return heap->alloc(me, len).value(); }
    StackHandle realloc(const StackHandle& handle, std::uint64_t len) {
        return heap->realloc(me, handle, len).value();
    }
    void free(const StackHandle& handle) {
        const auto freed = heap->dealloc(me, handle);
        EXPECT_TRUE(freed) << name_of(freed.error());
    }
    std::vector<StackHandle> alloc_bulk(const std::vector<std::uint64_t>& lengths) {
        return heap->alloc_bulk(me, lengths).value();
    }
    [[nodiscard]] std::uint64_t len() { return heap->len(me).value(); }
    [[nodiscard]] StackStatistics now() { return heap->statistics(me).value(); }

    [[nodiscard]] std::span<std::byte> stack() { return heap->stack().value(); }
    [[nodiscard]] std::span<std::byte> bytes(const StackHandle& handle) {
        return stack().subspan(handle.offset, handle.len);
    }
    void fill(const StackHandle& handle, unsigned value) {
        std::ranges::fill(bytes(handle), std::byte{static_cast<unsigned char>(value)});
    }
    [[nodiscard]] bool holds(const StackHandle& handle, unsigned value) {
        return std::ranges::all_of(bytes(handle), [&](std::byte one) {
            return one == std::byte{static_cast<unsigned char>(value)};
        });
    }
    [[nodiscard]] bool is_zero(const StackHandle& handle) { return holds(handle, 0); }

    /// A word of the stack, whatever it is.
    [[nodiscard]] std::uint64_t& word(HeapOffset at) {
        return *reinterpret_cast<std::uint64_t*>(stack().data() + at);
    }
    [[nodiscard]] std::uint64_t& len_word() {
        const auto& header = *reinterpret_cast<const HeapHeader*>(memory.view().data());
        return *reinterpret_cast<std::uint64_t*>(memory.view().data() + header.engine_offset +
                                                 stack_words::len);
    }

    template <typename Value>
    void expect_error(Errc code, const Outcome<Value>& outcome) {
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error(), code) << name_of(outcome.error());
    }
    /// And nothing changes by it.
    void expect_free_fails(Errc code, const StackHandle& handle) {
        const StackStatistics before = now();
        expect_error(code, heap->dealloc(me, handle));
        expect_error(code, heap->realloc(me, handle, handle.len + 100));
        EXPECT_EQ(now().len, before.len);
        EXPECT_EQ(now().used_bytes, before.used_bytes);
        EXPECT_EQ(now().blocks, before.blocks);
        EXPECT_EQ(broken(*heap, me), "");
    }

    HeapMemory memory;
    std::unique_ptr<StackHeap> heap;
};

inline constexpr HeapKind stack_kinds[] = {HeapKind::linear, HeapKind::first_fit,
                                           HeapKind::ghost_tree, HeapKind::slab_stack,
                                           HeapKind::checked_slab};

}  // namespace shmpool::test
