// SPDX-License-Identifier: Apache-2.0
/// Goal: whoever dies while memory becomes a part of the region in front of it, before any of his
/// stores, leaves the heap as it was: where the region knew its blocks by then, and every word of
/// it (dying_heap.hpp). And the journal has room for the longest of these changes.
#include "shmpool/heap/buddy.hpp"
#include "shmpool/heap/heap_audit.hpp"
#include "shmpool/heap/slab.hpp"
#include "shmpool/heap/tlsf.hpp"
#include "tests/shmpool/heap/dying_bytes.hpp"

namespace shmpool {
namespace {

using test::Dying;
using test::HeapMemory;
using test::next;

constexpr std::uint64_t kib = 1024;
constexpr HeapExtent added{192 * kib, 64 * kib};

template <template <typename> typename EngineOf>
struct JoiningPlay : test::BytePlay<EngineOf> {
    static constexpr std::ptrdiff_t logged_bytes = 192 * kib;
};

template <typename Play>
class JoiningDeaths : public testing::Test {
protected:
    using Heap = typename Play::Heap;
    using Prepare = std::function<void(Heap&)>;

    static std::vector<HeapOffset> take_all(Heap& heap, std::uint64_t bytes) {
        std::vector<HeapOffset> blocks;
        while (const auto block = heap.allocate(next, bytes, 8)) blocks.push_back(*block);
        return blocks;
    }
    static void take_everything(Heap& heap) {
        for (std::uint64_t bytes = 32 * kib; bytes != 0; bytes /= 2) (void)take_all(heap, bytes);
    }
    /// Of every size some, and free ones in between.
    static void take_some(Heap& heap) {
        std::vector<HeapOffset> blocks;
        for (const std::uint64_t bytes : {64U, 128U, 512U, 1024U, 4096U, 8192U, 64U, 100U}) {
            for (int i = 0; i < 9; ++i) {
                if (const auto block = heap.allocate(next, bytes, 8)) blocks.push_back(*block);
            }
        }
        for (std::size_t i = 0; i < blocks.size(); i += 2) (void)heap.free(next, blocks[i]);
        for (std::size_t i = 1; i < 9; i += 2) (void)heap.free(next, blocks[i]);
    }

    static bool join(Heap& heap) { return heap.add_memory(test::doomed, added).has_value(); }

    static void expect_as_before(const Prepare& prepare) {
        HeapMemory memory(test::dying_memory_bytes);
        Dying::lives();
        ASSERT_TRUE(Heap::format(memory.view(), Play::options()));
        const auto heap = Play::opened(memory.view());
        prepare(*heap);
        ASSERT_TRUE(join(*heap));
        ASSERT_EQ(glance_at_heap(memory.view())->regions, 1U) << "that is what dies below";

        const test::Operation<Heap> operation{"join", prepare, join};
        test::Deaths<Play> deaths(operation);
        deaths.leave_it_done_or_not_begun();
        deaths.may_be_in_the_repair_too();
    }
};

using Plays = testing::Types<JoiningPlay<Tlsf>, JoiningPlay<Buddy>, JoiningPlay<Slab>>;
struct Names {
    template <typename Play>
    static std::string GetName(int) {
        return std::string(name_of(Play::Heap::Engine::kind));
    }
};
TYPED_TEST_SUITE(JoiningDeaths, Plays, Names);

TYPED_TEST(JoiningDeaths, LeaveItAsItWasBehindAFreeBlock) {
    this->expect_as_before([](auto&) {});
}

TYPED_TEST(JoiningDeaths, LeaveItAsItWasBehindALiveBlock) {
    this->expect_as_before([](auto& heap) { TestFixture::take_everything(heap); });
}

TYPED_TEST(JoiningDeaths, LeaveItAsItWasBehindBlocksOfManySizes) {
    this->expect_as_before([](auto& heap) { TestFixture::take_some(heap); });
}

/// The seam lies anywhere; what is in front of it is free, or live to the last byte.
TYPED_TEST(JoiningDeaths, FindTheJournalLongEnough) {
    constexpr std::uint64_t begin = 64 * kib;
    std::uint64_t most = 0;
    Dying::lives();
    for (std::uint64_t step = 0; step < 300; ++step) {
        HeapMemory memory(4096 * kib);
        HeapOptions options;
        options.first_region = {begin, 512 * kib + step * 1000};
        ASSERT_TRUE(TypeParam::Heap::format(memory.view(), options));
        const auto heap = TypeParam::opened(memory.view());
        if (step % 2 == 0) TestFixture::take_everything(*heap);
        const HeapOffset end = begin + options.first_region.bytes;
        ASSERT_TRUE(heap->add_memory(next, {end, 4096 * kib - end}));
        ASSERT_EQ(test::broken(*heap, next), "") << step;
        most = std::max(most, test::used_entries(memory.view()));
    }
    EXPECT_LT(most, TypeParam::Heap::Engine::journal_limit);
    EXPECT_GT(most, 5U) << "it is there at all";
    testing::Test::RecordProperty("entries", std::to_string(most));
}

}  // namespace
}  // namespace shmpool
