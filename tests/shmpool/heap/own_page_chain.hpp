// SPDX-License-Identifier: Apache-2.0
/// A page_chain of a test, and what the test may see and do to its words.
#pragma once

#include <cstring>
#include <memory>
#include <vector>

#include "shmpool/heap/guarded_page_chain.hpp"
#include "tests/shmpool/heap/own_heap.hpp"

namespace shmpool::test {

class OwnPageChain {
public:
    static constexpr HeapHolder me = 1;

    explicit OwnPageChain(std::size_t memory_bytes = 1 << 20, bool owned = false,
                          std::uint64_t bytes_per_page = page_bytes)
        : memory(memory_bytes, bytes_per_page) {
        HeapOptions options;
        options.bytes_per_page = bytes_per_page;
        options.map_alignment = bytes_per_page;
        options.owned = owned;
        EXPECT_TRUE(format_heap(memory.view(), HeapKind::page_chain, options));
        heap = open_page_chain(memory.view()).value();
    }
    ~OwnPageChain() {
        if (heap) {
            EXPECT_EQ(broken(*heap, me), "");
        }
    }
    OwnPageChain(const OwnPageChain&) = delete;
    OwnPageChain& operator=(const OwnPageChain&) = delete;

    /// Nobody asks whether all is right when it ends.
    void abandon() { heap.reset(); }
    void reopen() { heap = open_page_chain(memory.view()).value(); }

    PageId allocate(HeapOwner owner = nobodys) { return heap->allocate({me, owner}).value(); }
    std::vector<PageId> allocate_many(std::size_t count) {
        std::vector<PageId> pages(count);
        for (PageId& page : pages) page = allocate();
        return pages;
    }
    void free(PageId page) { EXPECT_TRUE(heap->free(me, page)) << page; }
    [[nodiscard]] PageChainStatistics now() { return heap->statistics(me).value(); }
    [[nodiscard]] PageState state(PageId page) { return heap->state(me, page).value(); }
    [[nodiscard]] PageChainPlan plan() { return plan_of_page_chain(memory.view()).value(); }

    /// A word of the memory, whatever it is.
    [[nodiscard]] std::uint64_t& word(HeapOffset at) {
        return *reinterpret_cast<std::uint64_t*>(memory.view().data() + at);
    }
    [[nodiscard]] std::span<std::byte> bytes(PageId page) {
        return memory.view().subspan(heap->offset_of(page).value(), heap->bytes_per_page());
    }
    /// What a free page says of the next one.
    void write_header(PageId page, const FreePageHeader& header) {
        std::memcpy(bytes(page).data(), header.to_bytes().data(), FreePageHeader::bytes);
    }

    /// And nothing changes by it.
    template <typename Value>
    void expect_error(Errc code, const Outcome<Value>& outcome) {
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error(), code) << name_of(outcome.error());
    }

    HeapMemory memory;
    std::unique_ptr<PageChain> heap;
};

inline constexpr PageChainStatistics counts(std::uint64_t allocated, std::uint64_t free,
                                            std::uint64_t total) {
    return {allocated, free, total};
}

}  // namespace shmpool::test
