// SPDX-License-Identifier: Apache-2.0
/// What is true of a peer's handle of a heap, whatever the heap hands out.
#include <gmock/gmock.h>

#include "tests/peer/peer_fixture.hpp"

namespace shmpool {
namespace {

class HandlesOfHeaps : public PeerTest {
protected:
    static HeapSpec spec_of(HeapKind kind, std::uint64_t bytes) {
        HeapSpec spec;
        spec.kind = kind;
        spec.bytes = bytes;
        return spec;
    }
    void create(const char* name, const HeapSpec& spec = spec_of(HeapKind::tlsf, 1 << 20)) {
        const auto created = peer_.create_heap(name, spec);
        ASSERT_TRUE(created) << created.error().message;
    }
};

TEST_F(HandlesOfHeaps, ThatOnlyKeepKeepWithoutDoingAnything) {
    create("table");
    auto bytes = peer_.byte_heap("table").value();
    const HeapOffset block = bytes.allocate(100).value();
    EXPECT_TRUE(bytes.keep(block));
    EXPECT_TRUE(bytes.free(block));
    EXPECT_EQ(bytes.keep(block).error(), Errc::not_allocated);

    create("pages", spec_of(HeapKind::bitmap_pages, 1 << 20));
    auto pages = peer_.page_heap("pages").value();
    const HeapOffset run = pages.allocate_pages(3).value();
    EXPECT_TRUE(pages.keep_pages(run, 3));
    EXPECT_EQ(pages.keep_pages(run, 4).error(), Errc::not_allocated);
    EXPECT_TRUE(pages.free_pages(run, 3));

    create("chain", spec_of(HeapKind::page_chain, 1 << 20));
    auto chain = peer_.page_chain("chain").value();
    const PageId page = chain.allocate().value();
    EXPECT_TRUE(chain.keep(page));
    EXPECT_TRUE(chain.free(page));
    EXPECT_EQ(chain.keep(page).error(), Errc::not_allocated);

    HeapSpec spec = spec_of(HeapKind::ids, 1 << 16);
    spec.options.id_count = 100;
    create("ids", spec);
    auto ids = peer_.id_heap("ids").value();
    const std::uint64_t first = ids.allocate_id(3).value();
    EXPECT_TRUE(ids.keep_id(first, 3));
    EXPECT_EQ(ids.keep_id(first, 4).error(), Errc::not_allocated);
    EXPECT_TRUE(ids.free_id(first, 3));

    create("objects", spec_of(HeapKind::slab_cache, 1 << 20));
    auto objects = peer_.object_heap("objects").value();
    const HeapOffset object = objects.allocate().value();
    EXPECT_TRUE(objects.keep(object));
    EXPECT_TRUE(objects.free(object));
    EXPECT_EQ(objects.keep(object).error(), Errc::not_allocated);
    const auto expect_whole = [](auto& heap) {
        EXPECT_THAT(heap.audit().value(), testing::IsEmpty());
    };
    expect_whole(bytes);
    expect_whole(pages);
    expect_whole(chain);
    expect_whole(ids);
    expect_whole(objects);
}

TEST_F(HandlesOfHeaps, ThatWereMovedFromHaveNothing) {
    const auto expect_nothing = [](const auto& heap) {
        EXPECT_TRUE(heap.memory().empty());
        EXPECT_EQ(heap.root(), 0U);
        EXPECT_EQ(heap.at(0), nullptr);
        EXPECT_EQ(heap.at(1 << 16), nullptr);
        EXPECT_EQ(heap.offset_of(&heap), 0U);
        EXPECT_EQ(heap.offset_of(nullptr), 0U);
    };
    create("table");
    auto bytes = peer_.byte_heap("table").value();
    const auto its_bytes = std::move(bytes);
    expect_nothing(bytes);
    EXPECT_EQ(bytes.allocate(1).error(), Errc::moved_from);
    EXPECT_EQ(bytes.set_root(1).error(), Errc::moved_from);

    create("stack", spec_of(HeapKind::first_fit, 1 << 20));
    auto stack = peer_.stack_heap("stack").value();
    const StackHandle block = stack.alloc(100).value();
    auto its_stack = std::move(stack);
    expect_nothing(stack);
    EXPECT_TRUE(stack.bytes(block).empty());
    EXPECT_EQ(stack.dealloc(block).error(), Errc::moved_from);
    EXPECT_TRUE(its_stack.dealloc(block));

    create("chain", spec_of(HeapKind::page_chain, 1 << 20));
    auto chain = peer_.page_chain("chain").value();
    const auto its_chain = std::move(chain);
    expect_nothing(chain);
    EXPECT_TRUE(chain.bytes(2).empty());

    create("objects", spec_of(HeapKind::slab_cache, 1 << 20));
    auto objects = peer_.object_heap("objects").value();
    const auto its_objects = std::move(objects);
    expect_nothing(objects);
    EXPECT_EQ(objects.object_bytes(), 0U);
    EXPECT_EQ(objects.object_alignment(), 0U);
}

}  // namespace
}  // namespace shmpool
