// SPDX-License-Identifier: Apache-2.0
/// Goal: of an owned heap exactly that is taken back whose owner is gone, whatever stands in the
/// blocks, and whoever dies while it is taken back.
#include <array>

#include "shmpool/heap/buddy.hpp"
#include "shmpool/heap/heap_audit.hpp"
#include "shmpool/heap/id_heap.hpp"
#include "shmpool/heap/page_heap.hpp"
#include "shmpool/heap/slab.hpp"
#include "shmpool/heap/tlsf.hpp"
#include "tests/shmpool/heap/dying_bytes.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::HeapMemory;
using ::testing::IsEmpty;

constexpr HeapHolder me = 1;
constexpr HeapOwner ann = 11;
constexpr HeapOwner bob = 12;

bool ann_is_gone(HeapOwner owner) {
    return owner == ann;
}

HeapOptions owned(std::uint64_t map_alignment = page_bytes) {
    HeapOptions options;
    options.owned = true;
    options.map_alignment = map_alignment;
    return options;
}

class OwnedBytes : public testing::TestWithParam<HeapKind> {
protected:
    void SetUp() override {
        ASSERT_TRUE(format_heap(memory.view(), GetParam(), owned()));
        heap = *open_byte_heap(memory.view());
    }
    void TearDown() override { EXPECT_EQ(broken(*heap, me), ""); }
    HeapOffset allocate(HeapOwner owner, std::uint64_t bytes = 100, std::uint64_t alignment = 8) {
        return heap->allocate({me, owner}, bytes, alignment).value();
    }

    HeapMemory memory{1 << 20};
    std::unique_ptr<ByteHeap> heap;
};

TEST_P(OwnedBytes, AreTakenBackWhenTheirOwnerIsGone) {
    for (int i = 0; i < 100; ++i) {
        allocate(ann, 50 + 7U * static_cast<unsigned>(i), 8U << (i % 9));
    }
    const HeapOffset bobs = allocate(bob);
    const HeapOffset of_nobody = allocate(nobodys);
    const HeapOffset given = allocate(ann);
    EXPECT_TRUE(heap->set_owner(me, given, bob));
    const HeapOffset kept = allocate(ann);
    EXPECT_TRUE(heap->set_owner(me, kept, nobodys));
    EXPECT_EQ(heap->reclaim(me, ann_is_gone), 100U);
    EXPECT_EQ(heap->reclaim(me, ann_is_gone), 0U);
    EXPECT_EQ(heap->statistics(me)->blocks, 4U);
    for (const HeapOffset block : {bobs, of_nobody, given, kept}) {
        EXPECT_TRUE(heap->free(me, block));
        EXPECT_EQ(heap->set_owner(me, block, bob).error(), Errc::not_allocated);
    }
    EXPECT_EQ(heap->statistics(me)->used_bytes, 0U);
}

TEST_P(OwnedBytes, AreNotFreedByWhatTheirUserHasWrittenIntoThem) {
    const HeapOffset block = allocate(ann, 4096);
    auto* const words = reinterpret_cast<std::uint64_t*>(memory.view().data() + block);
    for (std::uint64_t i = 0; i < 512; ++i) words[i] = 16 * (i + 2);  // As far as the block begins.
    for (HeapOffset inside = block + 16; inside < block + 4096; inside += 16) {
        EXPECT_EQ(heap->free(me, inside).error(), Errc::not_allocated) << inside - block;
    }
    for (std::uint64_t i = 0; i < 512; ++i) words[i] = std::uint64_t{16} << (i % 8);
    for (HeapOffset inside = block + 8; inside < block + 4096; inside += 8) {
        EXPECT_EQ(heap->free(me, inside).error(), Errc::not_allocated) << inside - block;
    }
    EXPECT_EQ(heap->free(me, 0).error(), Errc::not_allocated);
    EXPECT_EQ(heap->free(me, ~HeapOffset{0} & ~HeapOffset{15}).error(), Errc::not_allocated);
    EXPECT_TRUE(heap->free(me, block));
}

TEST_P(OwnedBytes, AnAuditSeesAPrefixThatSomebodyHasOverwritten) {
    const HeapOffset block = allocate(ann);
    auto* const prefix = reinterpret_cast<std::uint64_t*>(memory.view().data() + block - 8);
    *prefix = 48;
    EXPECT_NE(broken(*heap, me), "");
    *prefix = 16;
}

INSTANTIATE_TEST_SUITE_P(Of, OwnedBytes,
                         testing::Values(HeapKind::tlsf, HeapKind::buddy, HeapKind::slab),
                         [](const auto& one) { return std::string(name_of(one.param)); });

TEST(OwnedHeap, OfAnotherKindThanOwnedTakesNothingBack) {
    HeapMemory memory(1 << 20);
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::tlsf));
    const auto heap = *open_byte_heap(memory.view());
    const HeapOffset block = heap->allocate({me, ann}, 100, 8).value();
    EXPECT_EQ(heap->reclaim(me, ann_is_gone), 0U);
    EXPECT_EQ(heap->set_owner(me, block, bob).error(), Errc::unsupported);
    EXPECT_TRUE(heap->free(me, block));
}

TEST(OwnedPages, AreTakenBackWhenTheirOwnerIsGone) {
    HeapMemory memory(1 << 20);
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::bitmap_pages, owned()));
    const auto heap = *open_page_heap(memory.view());
    const HeapOffset anns = heap->allocate_pages({me, ann}, 10, page_bytes).value();
    const HeapOffset bobs = heap->allocate_pages({me, bob}, 3, page_bytes).value();
    EXPECT_TRUE(heap->free_pages(me, anns + page_bytes, 1));
    EXPECT_EQ(heap->set_owner(me, anns, 2, bob).error(), Errc::not_allocated);
    EXPECT_TRUE(heap->set_owner(me, anns + 2 * page_bytes, 2, nobodys));
    EXPECT_EQ(heap->reclaim(me, ann_is_gone), 7U) << "ten, one was free, two are nobody's";
    EXPECT_EQ(heap->statistics(me)->used_pages, 5U);
    EXPECT_TRUE(heap->free_pages(me, bobs, 3));
    EXPECT_TRUE(heap->free_pages(me, anns + 2 * page_bytes, 2));
    EXPECT_EQ(broken(*heap, me), "");
}

TEST(OwnedIds, AreTakenBackWhenTheirOwnerIsGoneButNotTheFixed) {
    HeapMemory memory(1 << 20);
    HeapOptions options = owned();
    options.first_id = 7;
    options.id_count = 1000;
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::ids, options));
    const auto heap = *open_id_heap(memory.view());
    EXPECT_TRUE(heap->allocate_fixed_id(me, 8));
    const std::uint64_t anns = heap->allocate_id({me, ann}, 100, 1).value();
    EXPECT_TRUE(heap->allocate_id({me, bob}, 5, 1));
    EXPECT_TRUE(heap->set_owner(me, anns, 1, nobodys));
    EXPECT_EQ(heap->reclaim(me, ann_is_gone), 99U);
    EXPECT_EQ(heap->statistics(me)->used, 7U);
    EXPECT_EQ(heap->set_owner(me, 900, 1, bob).error(), Errc::not_allocated);
    EXPECT_EQ(broken(*heap, me), "");
}

TEST(OwnedHeap, OfAnyKindIsLookedAtAndTakenBackWithoutKnowingIt) {
    for (const HeapKind kind :
         {HeapKind::tlsf, HeapKind::buddy, HeapKind::slab, HeapKind::bitmap_pages}) {
        HeapMemory memory(1 << 20);
        ASSERT_TRUE(format_heap(memory.view(), kind, owned()));
        if (kind == HeapKind::bitmap_pages) {
            ASSERT_TRUE((*open_page_heap(memory.view()))->allocate_pages({me, ann}, 1, page_bytes));
        } else {
            ASSERT_TRUE((*open_byte_heap(memory.view()))->allocate({me, ann}, 1, 8));
        }
        EXPECT_GT(glance_at_heap(memory.view())->used, 0U);
        EXPECT_EQ(reclaim_in_heap(memory.view(), me, ann_is_gone).value(), 1U);
        EXPECT_EQ(glance_at_heap(memory.view())->used, 0U);
        EXPECT_THAT(audit_heap(memory.view(), me).value(), IsEmpty());
    }
    const HeapMemory nothing(page_bytes);
    EXPECT_EQ(glance_at_heap(nothing.view()).error().code, Errc::wrong_magic);
    EXPECT_EQ(audit_heap(nothing.view(), me).error().code, Errc::wrong_magic);
}

// --- deaths --------------------------------------------------------------------------------------

using test::doomed;
using test::next;

template <template <typename> typename EngineOf>
struct OwnedPlay : test::BytePlay<EngineOf> {
    static HeapOptions options() {
        HeapOptions options = test::BytePlay<EngineOf>::options();
        options.owned = true;
        return options;
    }
};

HeapOffset of_the_play = 0;

template <typename Heap>
std::vector<test::Operation<Heap>> operations() {
    const auto has_one = [](Heap& heap) {
        (void)heap.allocate({next, bob}, 100, 8);
        of_the_play = heap.allocate({next, ann}, 100, 64).value();
        (void)heap.allocate({next, bob}, 100, 8);
    };
    return {
        {"allocate", [](Heap&) {},
         [](Heap& heap) {
             return heap.allocate({doomed, ann}, 100, 8).has_value();
         }},
        {"allocate aligned", has_one,
         [](Heap& heap) {
             return heap.allocate({doomed, ann}, 100, 1024).has_value();
         }},
        {"free", has_one, [](Heap& heap) { return heap.free(doomed, of_the_play).has_value(); }},
        {"take back", has_one, [](Heap& heap) { return heap.reclaim(doomed, ann_is_gone) == 1U; }},
        {"give away", has_one,
         [](Heap& heap) { return heap.set_owner(doomed, of_the_play, bob).has_value(); }},
    };
}

template <typename Play>
class OwnedStoreByStore : public testing::Test {};
using Plays = testing::Types<OwnedPlay<Tlsf>, OwnedPlay<Buddy>, OwnedPlay<Slab>>;
TYPED_TEST_SUITE(OwnedStoreByStore, Plays);

TYPED_TEST(OwnedStoreByStore, ADeathLeavesItDoneOrNotBegun) {
    for (const auto& operation : operations<typename TypeParam::Heap>()) {
        SCOPED_TRACE(operation.name);
        test::Deaths<TypeParam>(operation).leave_it_done_or_not_begun();
        test::Deaths<TypeParam>(operation).may_be_in_the_repair_too();
    }
}

}  // namespace
}  // namespace shmpool
