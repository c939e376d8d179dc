// SPDX-License-Identifier: Apache-2.0
/// Goal: in a pool with several heaps, what one has handed out no other takes for its own, nor does
/// the next heap in its place (XC-13); all that is of the same heap is the same for every peer.
#include <gtest/gtest.h>

#include "tests/peer/peer_fixture.hpp"

namespace shmpool {
namespace {

class HeapsApart : public PeerTest {
protected:
    void create(const char* name, HeapKind kind, std::uint64_t bytes = 1 << 20) {
        HeapSpec spec;
        spec.kind = kind;
        spec.bytes = bytes;
        spec.options.block_bytes = 64;
        const auto created = peer_.create_heap(name, spec);
        ASSERT_TRUE(created) << created.error().message;
    }
    void create_two(HeapKind kind) {
        create("one", kind);
        create("two", kind);
    }
};

TEST_F(HeapsApart, KnowTheBlocksOfEachOther) {
    create_two(HeapKind::tlsf);
    auto one = peer_.byte_heap("one").value();
    auto two = peer_.byte_heap("two").value();
    const HeapOffset its = one.allocate(100).value();
    const HeapOffset mine = two.allocate(100).value();
    EXPECT_NE(mine, its) << "both are the first blocks of their heaps";
    EXPECT_EQ(two.free(its).error(), Errc::not_allocated);
    EXPECT_EQ(two.at(its), nullptr);
    EXPECT_EQ(two.offset_of(one.at(its)), 0U);

    auto for_other = other_.byte_heap("two").value();
    EXPECT_EQ(for_other.usable_bytes(mine).value(), two.usable_bytes(mine).value());
    std::memcpy(two.at(mine), "shared", 7);
    EXPECT_STREQ(static_cast<const char*>(for_other.at(mine)), "shared");
    EXPECT_EQ(for_other.offset_of(for_other.at(mine)), mine);
    EXPECT_TRUE(for_other.free(mine));
}

TEST_F(HeapsApart, KnowTheBlocksOfTheHeapThatWasThereBefore) {
    create_two(HeapKind::tlsf);
    const HeapOffset before = [&] { return peer_.byte_heap("two")->allocate(100).value(); }();
    ASSERT_TRUE(peer_.destroy_heap("two"));
    create("two", HeapKind::tlsf);
    auto next = peer_.byte_heap("two").value();
    const HeapOffset first = next.allocate(100).value();
    EXPECT_NE(first, before) << "it lies where that one lay";
    EXPECT_EQ(next.free(before).error(), Errc::not_allocated);
    EXPECT_EQ(next.at(before), nullptr);
    EXPECT_TRUE(next.free(first));
}

/// Neither the row of the table nor the size is what it was.
TEST_F(HeapsApart, KnowTheBlocksOfAnyHeapThatWasThereBefore) {
    create_two(HeapKind::tlsf);
    const HeapOffset before = [&] { return peer_.byte_heap("one")->allocate(100).value(); }();
    ASSERT_TRUE(peer_.destroy_heap("one"));
    create("larger", HeapKind::tlsf, 2 << 20);  // Has the row, and lies elsewhere.
    create("there", HeapKind::tlsf);            // Has the place, and another row.
    for (const char* name : {"two", "larger", "there"}) {
        auto heap = peer_.byte_heap(name).value();
        const HeapOffset first = heap.allocate(100).value();
        EXPECT_NE(first, before) << name;
        EXPECT_EQ(heap.free(before).error(), Errc::not_allocated) << name;
        EXPECT_EQ(heap.at(before), nullptr) << name;
        EXPECT_TRUE(heap.free(first)) << name;
    }
}

TEST_F(HeapsApart, KnowTheirPages) {
    create_two(HeapKind::bitmap_pages);
    auto one = peer_.page_heap("one").value();
    auto two = peer_.page_heap("two").value();
    const HeapOffset its = one.allocate_pages(2).value();
    const HeapOffset mine = two.allocate_pages(2).value();
    EXPECT_EQ(two.free_pages(its, 2).error(), Errc::not_allocated);
    EXPECT_EQ(two.at(its), nullptr);
    EXPECT_TRUE(other_.page_heap("two")->free_pages(mine, 2));
}

TEST_F(HeapsApart, KnowTheirObjects) {
    create_two(HeapKind::slab_cache);
    auto one = peer_.object_heap("one").value();
    auto two = peer_.object_heap("two").value();
    const HeapOffset its = one.allocate().value();
    const HeapOffset mine = two.allocate().value();
    EXPECT_EQ(two.free(its).error(), Errc::not_allocated);
    EXPECT_EQ(two.at(its), nullptr);
    EXPECT_TRUE(other_.object_heap("two")->free(mine));
}

TEST_F(HeapsApart, KnowTheirHandles) {
    create_two(HeapKind::first_fit);
    auto one = peer_.stack_heap("one").value();
    auto two = peer_.stack_heap("two").value();
    const StackHandle its = one.alloc(100).value();
    const StackHandle mine = two.alloc(100).value();
    EXPECT_FALSE(two.dealloc(its));
    EXPECT_TRUE(two.bytes(its).empty());
    two.bytes(mine)[99] = std::byte{7};
    auto for_other = other_.stack_heap("two").value();
    EXPECT_EQ(for_other.bytes(mine)[99], std::byte{7});
    EXPECT_TRUE(for_other.dealloc(mine));
}

TEST_F(HeapsApart, HaveHandlesOfWhatLiesAtTheBeginningOfAStack) {
    create_two(HeapKind::linear);
    auto two = peer_.stack_heap("two").value();
    const StackHandle first = two.alloc(40).value();
    ASSERT_TRUE(two.alloc(60));
    EXPECT_EQ(two.handle_of(0, 40), first);
    EXPECT_EQ(two.bytes(two.handle_of(0, 100)).data(), two.bytes(first).data());
    EXPECT_TRUE(two.dealloc(two.handle_of(0, 100))) << "all of it";
    EXPECT_EQ(two.len().value(), 0U);
}

/// Of every kind: an offset and its address name each other, and what is written there is the
/// block's and nobody else's.
TEST_F(HeapsApart, TranslateTheOffsetsOfTheirBlocks) {
    const auto expect_one = [](auto& heap, HeapOffset block, const char* kind) {
        void* const address = heap.at(block);
        ASSERT_NE(address, nullptr) << kind;
        EXPECT_EQ(heap.offset_of(address), block) << kind;
        std::memset(address, 0xAB, 64);
        EXPECT_TRUE(heap.audit().value().empty()) << kind;
        EXPECT_EQ(heap.offset_of(&heap), 0U) << kind;
        EXPECT_EQ(heap.offset_of(heap.memory().data() + heap.memory().size()), 0U) << kind;
    };
    for (const auto kind : {HeapKind::tlsf, HeapKind::buddy, HeapKind::slab}) {
        const std::string name(name_of(kind));
        create(name.c_str(), kind);
        auto heap = peer_.byte_heap(name).value();
        ASSERT_TRUE(heap.allocate(64));
        expect_one(heap, heap.allocate(64).value(), name.c_str());
    }
    create("pages", HeapKind::bitmap_pages);
    auto pages = peer_.page_heap("pages").value();
    expect_one(pages, pages.allocate_pages(1).value(), "pages");
    create("objects", HeapKind::slab_cache);
    auto objects = peer_.object_heap("objects").value();
    expect_one(objects, objects.allocate().value(), "objects");
    create("chain", HeapKind::page_chain);
    auto chain = peer_.page_chain("chain").value();
    const auto page = chain.bytes(chain.allocate().value());
    expect_one(chain, chain.offset_of(page.data()), "chain");
}

TEST_F(HeapsApart, TranslateTheHandlesOfTheirStacks) {
    for (const auto kind : {HeapKind::linear, HeapKind::first_fit, HeapKind::ghost_tree,
                            HeapKind::slab_stack, HeapKind::checked_slab}) {
        const std::string name(name_of(kind));
        create(name.c_str(), kind);
        auto heap = peer_.stack_heap(name).value();
        const StackHandle first = heap.alloc(200).value();
        const StackHandle second = heap.alloc(4096).value();
        for (const StackHandle& one : {first, second}) {
            const auto bytes = heap.bytes(one);
            ASSERT_EQ(bytes.size(), one.len) << name;
            EXPECT_EQ(heap.at(one.offset), bytes.data()) << name;
            EXPECT_EQ(heap.at(one.offset + 17), &bytes[17]) << name;
            EXPECT_EQ(heap.offset_of(bytes.data()), one.offset) << name;
            EXPECT_EQ(heap.offset_of(&bytes[17]), one.offset + 17) << name;
            std::memset(heap.at(one.offset), 0xAB, one.len);
        }
        EXPECT_TRUE(heap.audit().value().empty()) << name << ": only the blocks were written to";
        EXPECT_EQ(heap.offset_of(heap.memory().data()), 0U) << name << ": its header is no block";
        EXPECT_EQ(heap.at(0), nullptr) << name;

        EXPECT_EQ(heap.at(heap.root()), nullptr) << name << ": nobody has said so";
        ASSERT_TRUE(heap.set_root(second.offset));
        std::memcpy(heap.bytes(second).data(), "shared", 7);
        auto for_other = other_.stack_heap(name).value();
        EXPECT_STREQ(static_cast<const char*>(for_other.at(for_other.root())), "shared") << name;
        EXPECT_TRUE(for_other.dealloc(second)) << name;
        EXPECT_TRUE(for_other.dealloc(first)) << name;
        EXPECT_TRUE(heap.audit().value().empty()) << name;
    }
}

TEST_F(HeapsApart, KnowWhatTheirCellsName) {
    create_two(HeapKind::tlsf);
    auto two = peer_.byte_heap("two").value();
    const HeapOffset block = two.allocate_into(100, HeapCell::root()).value();
    auto for_other = other_.byte_heap("two").value();
    EXPECT_EQ(for_other.root(), block);
    EXPECT_NE(for_other.at(for_other.root()), nullptr);
    EXPECT_TRUE(for_other.free_from(HeapCell::root()));
    EXPECT_EQ(two.root(), 0U);
}

}  // namespace
}  // namespace shmpool
