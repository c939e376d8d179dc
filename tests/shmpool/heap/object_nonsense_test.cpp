// SPDX-License-Identifier: Apache-2.0
/// Goal: whatever stands in the words of a slab cache, nobody crashes, hangs or gets what another
/// one has; and what is wrong is said. Each word is flipped by itself, then many at once.
#include <random>
#include <set>

#include "tests/shmpool/heap/own_objects.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::HeapMemory;

constexpr HeapHolder me = 1;
constexpr std::uint64_t part = 128 << 10;

HeapOptions options() {
    HeapOptions all;
    all.block_bytes = 100;
    all.bytes_per_page = 1024;
    all.first_region = {64 << 10, 8 * 1024};
    all.owned = true;
    return all;
}

/// Some live, some freed, some never handed out.
std::vector<HeapOffset> begin(std::span<std::byte> memory) {
    EXPECT_TRUE(format_heap(memory, HeapKind::slab_cache, options()));
    const auto heap = *open_object_heap(memory);
    std::vector<HeapOffset> objects;
    for (int i = 0; i < 40; ++i) objects.push_back(heap->allocate({me, 7}).value());
    for (int i = 0; i < 40; i += 3)
        EXPECT_TRUE(heap->free(me, objects[static_cast<std::size_t>(i)]));
    return objects;
}

/// Everything that can be done with it.
void use(ObjectHeap& heap, const std::vector<HeapOffset>& objects) {
    std::set<HeapOffset> handed_out;
    for (int i = 0; i < 30; ++i) {
        if (const auto object = heap.allocate({me, 7})) {
            EXPECT_TRUE(handed_out.insert(*object).second) << "to two";
        }
    }
    for (const HeapOffset object : objects) {
        (void)heap.is_live(me, object);
        (void)heap.set_owner(me, object, 8);
        (void)heap.free(me, object);
    }
    (void)heap.reclaim(me, [](HeapOwner owner) { return owner == 7; });
    (void)heap.add_memory(me, {part, 4096});
    (void)heap.statistics(me);
    (void)heap.audit(me);
}

/// Opened as anybody would: nonsense in the header is refused.
bool opens_and_is_used(std::span<std::byte> memory, const std::vector<HeapOffset>& objects) {
    const auto heap = open_object_heap(memory, std::chrono::nanoseconds::zero());
    if (!heap) return false;
    use(**heap, objects);
    return true;
}

TEST(ObjectNonsense, InOneWordIsSeenOrHarmless) {
    HeapMemory memory(256 << 10);
    const auto view = memory.view();
    (void)begin(view);
    std::vector<std::byte> right(view.begin(), view.end());
    auto* const words = reinterpret_cast<std::uint64_t*>(view.data());
    const std::uint64_t slabs = (64 << 10) / 8;
    const auto visit = [&](std::uint64_t index) {
        for (const std::uint64_t flip :
             {~std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 40, std::uint64_t{0xFFFF},
              std::uint64_t{1024}}) {
            std::ranges::copy(right, view.begin());
            const auto objects = begin(view);
            words[index] ^= flip;
            (void)opens_and_is_used(view, objects);
        }
    };
    const auto& header = *reinterpret_cast<const HeapHeader*>(view.data());
    const std::uint64_t engine = header.engine_offset / 8;
    for (std::uint64_t i = 0; i < sizeof(HeapHeader) / 8; ++i) visit(i);
    for (std::uint64_t i = engine; i < engine + object_slab::engine_bytes / 8; ++i) visit(i);
    for (std::uint64_t i = slabs; i < slabs + 1024 * 5 / 8; ++i) visit(i);
}

TEST(ObjectNonsense, InManyWordsComesToAnEnd) {
    HeapMemory memory(256 << 10);
    const unsigned seed = 20261122;
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    auto* const words = reinterpret_cast<std::uint64_t*>(memory.view().data());
    std::uint64_t damaged = 0;
    for (int round = 0; round < 500; ++round) {
        const auto objects = begin(memory.view());
        auto& header = *reinterpret_cast<HeapHeader*>(memory.view().data());
        const std::uint64_t engine = header.engine_offset / 8;
        const std::uint64_t slabs = (64 << 10) / 8;
        const auto spoil = [&](std::uint64_t first, std::uint64_t end) {
            for (std::uint64_t i = first; i < end; ++i) {
                if (random() % 16 == 0) words[i] = random() >> (random() % 64);
            }
        };
        spoil(offsetof(HeapHeader, journal_count) / 8, sizeof(HeapHeader) / 8);
        spoil(engine, engine + object_slab::engine_bytes / 8);
        spoil(slabs, slabs + 5 * 1024 / 8);
        (void)opens_and_is_used(memory.view(), objects);
        ASSERT_EQ(header.lock.load(), 0U);
        damaged += header.damaged.load();
    }
    EXPECT_GT(damaged, 200U) << "it was met";
}

struct Wrong {
    const char* what;
    HeapOffset at;  ///< In a slab, but for those of the engine.
    std::uint64_t value;
};

class ObjectDamage : public testing::TestWithParam<Wrong> {};

/// Two slabs, one full; the other has free objects 5, then 3.
TEST_P(ObjectDamage, IsNeverHandedOutAndIsFoundByAnAudit) {
    HeapMemory memory(256 << 10);
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::slab_cache, options()));
    const auto heap = *open_object_heap(memory.view());
    const auto shape = object_slab::Shape::of(100, 1024, true);
    std::vector<HeapOffset> objects;
    for (std::uint64_t i = 0; i < shape.objects + 7; ++i) objects.push_back(*heap->allocate(me));
    const HeapOffset slab = shape.slab_of(objects.back());
    for (const std::size_t i : {3U, 5U}) {
        ASSERT_TRUE(heap->free(me, objects[shape.objects + i]));
    }
    ASSERT_EQ(broken(*heap, me), "");
    reinterpret_cast<std::uint64_t*>(memory.view().data())[(slab + GetParam().at) / 8] =
        GetParam().value;
    EXPECT_NE(broken(*heap, me), "");
    std::set<HeapOffset> live(objects.begin(), objects.end());
    live.erase(objects[shape.objects + 3]);
    live.erase(objects[shape.objects + 5]);
    while (const auto object = heap->allocate(me)) {
        ASSERT_TRUE(live.insert(*object).second) << "to two";
    }
    EXPECT_EQ(heap->allocate(me).error(), Errc::heap_damaged);
}

constexpr std::uint64_t counts_of(std::uint64_t free, std::uint64_t fresh) {
    return free | fresh << 16;
}
constexpr std::uint64_t entries_of(std::uint64_t entry_of_5) {
    return object_slab::live | entry_of_5 << 16 | object_slab::live << 32;
}

INSTANTIATE_TEST_SUITE_P(
    Of, ObjectDamage,
    testing::Values(
        Wrong{"its_guard", object_slab::guard, 1},
        Wrong{"a_first_one_that_is_live", object_slab::counts, counts_of(2, 7)},
        Wrong{"a_first_one_that_was_never_handed_out", object_slab::counts, counts_of(7, 7)},
        Wrong{"more_than_there_are", object_slab::counts, counts_of(5, 99)},
        Wrong{"a_full_one_in_the_stack", object_slab::counts, counts_of(object_slab::none, 9)},
        Wrong{"a_list_in_a_circle", object_slab::entries + 8, entries_of(5)},
        Wrong{"a_list_to_a_live_one", object_slab::entries + 8, entries_of(4)},
        Wrong{"a_list_to_nowhere", object_slab::entries + 8, entries_of(4711)}),
    [](const auto& one) { return std::string(one.param.what); });

}  // namespace
}  // namespace shmpool
