// SPDX-License-Identifier: Apache-2.0
/// What a slab cache must do. Ids in brackets are of the list of features.
#include "shmpool/heap/object_heap.hpp"

#include <set>

#include "shmpool/heap/heap_audit.hpp"
#include "tests/shmpool/heap/own_objects.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::HeapMemory;
using test::OwnObjects;
using ::testing::HasSubstr;

constexpr HeapHolder me = OwnObjects::me;

class EachSize : public testing::TestWithParam<std::pair<std::uint64_t, std::uint64_t>> {
protected:
    [[nodiscard]] static std::uint64_t object_bytes() { return GetParam().first; }
    [[nodiscard]] static std::uint64_t slab_bytes() { return GetParam().second; }
};

TEST_P(EachSize, HasItsObjectsBehindTheSlabsOwnWordsAndNoTwoOverlap) {  // T-AS-10, AS-03
    for (const bool owned : {false, true}) {
        OwnObjects own({object_bytes(), slab_bytes(), 1 << 20, {}, owned});
        const std::uint64_t per_slab = own.shape.objects;
        const std::uint64_t beside = object_slab::entries + per_slab * (owned ? 10 : 2);
        EXPECT_EQ(own.heap->object_alignment(), own.shape.alignment());
        std::set<HeapOffset> slabs;
        HeapOffset last = 0;
        for (const HeapOffset object : own.allocate(2 * per_slab + 1)) {
            EXPECT_GE(object, last) << "in this order from the beginning, and none overlaps";
            last = object + object_bytes();
            EXPECT_EQ(object % own.heap->object_alignment(), 0U);
            const HeapOffset slab = object & ~(own.heap->slab_bytes() - 1);
            slabs.insert(slab);
            EXPECT_GE(object - slab, beside) << "its own words";
            EXPECT_LE(object + object_bytes(), slab + slab_bytes());
        }
        EXPECT_EQ(slabs.size(), 3U);
        EXPECT_EQ(own.now().slabs, 3U);
        // One more would have no room.
        EXPECT_GT(beside + (per_slab + 1) * object_bytes() + (owned ? 10 : 2),
                  slab_bytes() - 8 - own.heap->object_alignment());
    }
}

TEST_P(EachSize, HandsOutAllThatItSaysAndAllOfItAgain) {
    OwnObjects own({object_bytes(), slab_bytes()});
    const std::uint64_t total = own.now().total_objects;
    const auto objects = own.allocate_all();
    EXPECT_EQ(objects.size(), total);
    EXPECT_EQ(own.heap->allocate(me).error(), Errc::no_memory);
    EXPECT_EQ(broken(*own.heap, me), "");
    for (const HeapOffset object : objects) own.free(object);
    EXPECT_EQ(own.now().used_objects, 0U);
    const auto again = own.allocate_all();
    EXPECT_EQ(std::set(again.begin(), again.end()), std::set(objects.begin(), objects.end()));
}

TEST_P(EachSize, FindsThePlaceOfAnObjectAsDividingDoes) {
    const auto shape = object_slab::Shape::of(object_bytes(), slab_bytes(), false);
    const HeapOffset slab = 3 * slab_bytes();
    for (HeapOffset at = slab; at < slab + slab_bytes(); ++at) {
        const HeapOffset behind = at - slab - shape.first;  // Very large in front of the first.
        const bool is_one = behind % object_bytes() == 0 && behind / object_bytes() < shape.objects;
        ASSERT_EQ(shape.index_of(at), is_one ? behind / object_bytes() : shape.objects) << at;
    }
}

INSTANTIATE_TEST_SUITE_P(Of, EachSize,
                         testing::Values(std::pair{4, 512}, std::pair{16, 512}, std::pair{12, 4096},
                                         std::pair{64, 4096}, std::pair{100, 4096},
                                         std::pair{1024, 4096}, std::pair{4096, 65536},
                                         std::pair{3000, 4096}, std::pair{4, 65536}),
                         [](const auto& one) {
                             return std::to_string(one.param.first) + "_in_" +
                                    std::to_string(one.param.second);
                         });

TEST(ObjectHeap, CutsASlabWhenAllAreFullAndKeepsIt) {  // T-AS-11
    OwnObjects own;
    const auto first = own.allocate(own.shape.objects);
    EXPECT_EQ(own.now().slabs, 1U);
    const HeapOffset second = own.allocate();
    EXPECT_EQ(own.now().slabs, 2U);
    EXPECT_EQ(own.shape.slab_of(second), own.shape.slab_of(first[0]) + own.shape.slab_bytes);
    own.free(second);
    EXPECT_EQ(own.allocate(), second);
    EXPECT_EQ(own.now().slabs, 2U) << "no third one is cut";
}

TEST(ObjectHeap, HandsOutTheLatestThatWasFreed) {  // T-AS-19
    OwnObjects own;
    const auto objects = own.allocate(10);
    for (const std::size_t i : {3U, 7U, 5U}) own.free(objects[i]);
    for (const std::size_t i : {5U, 7U, 3U}) EXPECT_EQ(own.allocate(), objects[i]);
    EXPECT_EQ(own.allocate(), objects.back() + 64) << "behind them those never handed out";
    const auto rest = own.allocate(5 * own.shape.objects);
    for (const std::size_t i : {0U, 100U, 200U}) own.free(rest[i]);
    for (const std::size_t i : {200U, 100U, 0U}) EXPECT_EQ(own.allocate(), rest[i]);
}

TEST(ObjectHeap, FindsEveryFreeThatIsNotRight) {  // T-AS-16, T-AS-17, D-AS-1
    OwnObjects own({100, 4096});
    const auto objects = own.allocate(3 * own.shape.objects);
    const HeapOffset slab = own.shape.slab_of(objects[0]);
    own.free(objects[1]);
    own.expect_free_fails(objects[1]);
    for (HeapOffset inside = objects[4] + 1; inside < objects[5]; ++inside) {
        own.expect_free_fails(inside);
    }
    for (HeapOffset at = slab; at < objects[0]; ++at) own.expect_free_fails(at);
    for (const HeapOffset foreign :
         {HeapOffset{0}, HeapOffset{8}, slab - 100, slab - 4096 + (objects[0] - slab),
          objects[0] + 3 * 4096, HeapOffset{1} << 20, ~HeapOffset{0}, ~HeapOffset{3}}) {
        own.expect_free_fails(foreign);
    }
    own.free(objects[0]);
    own.expect_free_fails(objects[0]);
    own.free(objects[2]);
    own.expect_free_fails(objects[1]);
}

TEST(ObjectHeap, DoesNotKnowWhatWasNeverHandedOut) {
    OwnObjects own;
    const HeapOffset only = own.allocate();
    // As if it were live: what stands there from an earlier life of the memory is not asked.
    own.word(own.shape.slab_of(only) + object_slab::entries) = ~std::uint64_t{0};
    own.expect_free_fails(only + 64);
    own.free(only);
    own.expect_free_fails(only);
}

TEST(ObjectHeap, LosesNothingWhenAFreedObjectIsWrittenTo) {
    OwnObjects own({8, 4096});
    const auto objects = own.allocate(own.shape.objects);
    for (std::size_t i = 0; i < objects.size(); i += 2) {
        own.free(objects[i]);
        own.word(objects[i]) = ~std::uint64_t{0};
    }
    EXPECT_EQ(broken(*own.heap, me), "");
    for (std::size_t i = 0; i < objects.size(); i += 2) own.allocate();
    EXPECT_EQ(own.now().slabs, 1U);
}

TEST(ObjectHeap, SeesWhoWritesOverTheEndOfASlab) {  // T-AS-16, D-AS-8
    OwnObjects own({16, 512});
    const auto objects = own.allocate(2 * own.shape.objects);
    const HeapOffset second = own.shape.slab_of(objects.back());
    std::uint64_t& guard = own.word(second);
    const std::uint64_t right = guard;
    guard = 77;
    EXPECT_THAT(broken(*own.heap, me), HasSubstr("a slab without its guard"));
    EXPECT_EQ(own.heap->free(me, objects.back()).error(), Errc::heap_damaged);
    EXPECT_EQ(own.header().damaged.load(), 1U);
    EXPECT_TRUE(own.heap->free(me, objects.front())) << "of another slab";
    guard = right;
    EXPECT_TRUE(own.heap->free(me, objects.back()));
}

TEST(ObjectHeap, HasSeveralPartsOfTheMemory) {
    const std::uint64_t begin = 64 << 10;
    OwnObjects own({64, 4096, 1 << 20, {begin, 2 * 4096 + 100}});
    EXPECT_EQ(own.now().total_objects, 2 * own.shape.objects) << "whole slabs only";
    const auto first = own.allocate_all();
    EXPECT_EQ(own.heap->add_memory(me, {begin + 4096, 4096}).error(), Errc::memory_overlap);
    EXPECT_EQ(own.heap->add_memory(me, {512 << 10, 4088}).error(), Errc::region_too_small);
    EXPECT_EQ(own.heap->add_memory(me, {0, 8192}).error(), Errc::invalid_argument);
    EXPECT_TRUE(own.heap->add_memory(me, {(512 << 10) + 8, 3 * 4096}));
    EXPECT_EQ(own.now().total_objects, 4 * own.shape.objects);
    const auto second = own.allocate_all();
    EXPECT_EQ(second.size(), 2 * own.shape.objects);
    EXPECT_EQ(own.shape.slab_of(second[0]), (512U << 10) + 4096);
    for (std::uint32_t i = 2; i < heap_regions_max; ++i) {
        EXPECT_TRUE(own.heap->add_memory(me, {(256U << 10) + i * 8192, 4096}));
    }
    EXPECT_EQ(own.heap->add_memory(me, {768 << 10, 4096}).error(), Errc::no_memory);
    EXPECT_EQ(own.allocate_all().size(), 14 * own.shape.objects);
    for (const HeapOffset object : first) own.free(object);
    for (const HeapOffset object : second) own.free(object);
}

TEST(ObjectHeap, IsOneHeapAtTwoAddresses) {  // T-AS-13
    OwnObjects own;
    const auto other = *open_object_heap(own.memory.map());
    const HeapOffset object = own.allocate();
    EXPECT_EQ(other->allocate(2).value(), object + 64);
    EXPECT_TRUE(other->free(2, object));
    own.expect_free_fails(object);
    own.free(object + 64);
    EXPECT_EQ(other->statistics(2)->used_objects, 0U);
}

TEST(ObjectHeap, OfAnotherSizeLiesBesideIt) {  // T-AS-22
    OwnObjects small({4, 512});
    OwnObjects large({4000, 8192});
    const HeapOffset one = small.allocate();
    const auto many = large.allocate(3);
    EXPECT_EQ(small.heap->object_bytes(), 4U);
    EXPECT_EQ(large.heap->object_bytes(), 4000U);
    small.free(one);
    for (const HeapOffset object : many) large.free(object);
}

TEST(ObjectHeap, RefusesObjectsAndSlabsThatAreNone) {
    HeapMemory memory(1 << 20);
    const auto error_of = [&](std::uint64_t object_bytes, std::uint64_t slab_bytes,
                              std::uint64_t alignment = 1 << 16) {
        HeapMemory aligned(1 << 20, alignment);
        HeapOptions options;
        options.block_bytes = object_bytes;
        options.bytes_per_page = slab_bytes;
        options.map_alignment = alignment;
        const auto formatted = format_heap(aligned.view(), HeapKind::slab_cache, options);
        EXPECT_FALSE(formatted);
        EXPECT_EQ(formatted.error().code, Errc::invalid_argument);
        return formatted.error().message;
    };
    for (const std::uint64_t bytes : {0U, 2U, 3U, 6U, 4097U}) {
        EXPECT_THAT(error_of(bytes, 4096),
                    HasSubstr("block_size (block_bytes) is " + std::to_string(bytes)));
    }
    EXPECT_THAT(error_of(4096, 4096), HasSubstr("no room for one"));
    EXPECT_THAT(error_of(~std::uint64_t{3}, 4096), HasSubstr("no room for one"));
    for (const std::uint64_t bytes : {0U, 256U, 4095U, 5000U, 1U << 17}) {
        EXPECT_THAT(error_of(64, bytes),
                    HasSubstr("page_size (bytes_per_page) is " + std::to_string(bytes)));
    }
    EXPECT_THAT(error_of(4, 1 << 20, 1 << 20), HasSubstr("can count 65534"));
}

TEST(ObjectHeap, IsNotOpenedWhereItsSlabsWouldBeMisaligned) {  // T-AS-24
    HeapMemory memory(1 << 20, 1 << 16);
    HeapOptions options;
    options.bytes_per_page = 1 << 16;
    options.map_alignment = 1 << 16;
    EXPECT_EQ(format_heap(memory.view().subspan(4096), HeapKind::slab_cache, options).error().code,
              Errc::misaligned_base);
    const auto half = memory.view().first(1 << 19);
    ASSERT_TRUE(format_heap(half, HeapKind::slab_cache, options));
    const auto shifted = memory.view().subspan(4096, half.size());
    std::memmove(shifted.data(), half.data(), half.size());
    EXPECT_EQ(open_object_heap(shifted).error().code, Errc::misaligned_base);
}

TEST(ObjectHeap, RefusesAHeaderOfNonsense) {
    OwnObjects own;
    for (const std::size_t which : {0U, 1U}) {
        const std::uint64_t right = own.header().settings[which];
        for (const std::uint64_t nonsense :
             {std::uint64_t{0}, std::uint64_t{77}, ~std::uint64_t{0}, std::uint64_t{1} << 63}) {
            own.header().settings[which] = nonsense;
            EXPECT_EQ(open_object_heap(own.memory.view()).error().code, Errc::damaged_header);
        }
        own.header().settings[which] = right;
    }
    EXPECT_TRUE(open_object_heap(own.memory.view()));
}

// --- whose an object is --------------------------------------------------------------------------

constexpr HeapOwner ann = 11;
constexpr HeapOwner bob = 12;
bool ann_is_gone(HeapOwner owner) {
    return owner == ann;
}

TEST(OwnedObjects, AreTakenBackWhenTheirOwnerIsGone) {
    OwnObjects own({40, 512, 1 << 20, {}, true});
    std::vector<HeapOffset> anns;
    for (int i = 0; i < 100; ++i) anns.push_back(own.heap->allocate({me, ann}).value());
    const HeapOffset bobs = own.heap->allocate({me, bob}).value();
    const HeapOffset of_nobody = own.heap->allocate(me).value();
    EXPECT_TRUE(own.heap->set_owner(me, anns[17], nobodys));
    EXPECT_TRUE(own.heap->set_owner(me, anns[18], bob));
    own.free(anns[19]);
    EXPECT_EQ(own.heap->set_owner(me, anns[19], bob).error(), Errc::not_allocated);
    EXPECT_EQ(own.heap->reclaim(me, ann_is_gone), 97U);
    EXPECT_EQ(own.heap->reclaim(me, ann_is_gone), 0U);
    EXPECT_EQ(own.now().used_objects, 4U);
    for (const HeapOffset object : {bobs, of_nobody, anns[17], anns[18]}) own.free(object);
}

TEST(OwnedObjects, AreTakenBackByWhoDoesNotKnowTheKind) {
    OwnObjects own({40, 512, 1 << 20, {}, true});
    EXPECT_TRUE(own.heap->allocate({me, ann}));
    EXPECT_EQ(glance_at_heap(own.memory.view())->used, 40U);
    EXPECT_EQ(glance_at_heap(own.memory.view())->blocks, 1U);
    EXPECT_EQ(reclaim_in_heap(own.memory.view(), me, ann_is_gone).value(), 1U);
    EXPECT_THAT(audit_heap(own.memory.view(), me).value(), testing::IsEmpty());
    EXPECT_EQ(glance_at_heap(own.memory.view())->used, 0U);
}

TEST(OwnedObjects, AreNobodysInAHeapThatIsNotOwned) {
    OwnObjects own;
    const HeapOffset object = own.heap->allocate({me, ann}).value();
    EXPECT_EQ(own.heap->set_owner(me, object, bob).error(), Errc::unsupported);
    EXPECT_EQ(own.heap->reclaim(me, ann_is_gone), 0U);
    own.free(object);
}

}  // namespace
}  // namespace shmpool
