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
