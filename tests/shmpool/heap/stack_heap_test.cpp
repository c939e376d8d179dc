// SPDX-License-Identifier: Apache-2.0
/// What every heap of the stack family must do, whatever its kind [BS-01]. Ids in brackets are of
/// the list of features.
#include "shmpool/heap/stack_heap.hpp"

#include <climits>

#include "tests/shmpool/heap/dying_heap.hpp"
#include "tests/shmpool/heap/own_stack.hpp"
#include "tests/shmpool/heap/random_steps.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::OwnStack;

constexpr HeapHolder me = OwnStack::me;

class StackHeapTest : public testing::TestWithParam<HeapKind> {
protected:
    [[nodiscard]] bool is_linear() const { return GetParam() == HeapKind::linear; }

    OwnStack own{GetParam(), 512, 16 << 20};
};

/// Steps of a user who writes a mark of his own into every block.
class Steps {
public:
    Steps(OwnStack& own, test::RandomSteps& random) : own_(own), random_(random) {}

    /// As many as `random` says; at most so many.
    void run(std::uint64_t len_max, int at_most = INT_MAX) {
        for (int step = 0; step < at_most && random_.go_on(); ++step) {
            const auto what = random_() % 100;
            if (what < 45) {
                alloc(random_() % (len_max + 1));
            } else if (what < 70) {
                realloc(random_() % (len_max + 1));
            } else {
                free();
            }
            if (random_.is_every(5'000)) {
                ASSERT_EQ(broken(*own_.heap, me), "");
            }
        }
    }
    void free_all() {
        while (!live_.empty()) free();
    }
    [[nodiscard]] std::size_t live() const { return live_.size(); }

private:
    struct Block {
        StackHandle handle;
        unsigned mark;
    };

    void alloc(std::uint64_t len) {
        if (live_.size() > 300) return;
        random_.note("heap->alloc", len);
        const auto handle = own_.heap->alloc(me, len);
        if (!handle && handle.error() == Errc::no_memory) return;  // Runs of slabs are not reused.
        ASSERT_TRUE(handle) << name_of(handle.error());
        ASSERT_EQ(handle->len, len);
        ASSERT_TRUE(own_.is_zero(*handle));
        mark({*handle, 0});
    }
    void realloc(std::uint64_t len) {
        if (live_.empty()) return;
        Block& one = choose();
        random_.note("heap->realloc", one.handle.offset, one.handle.len, len);
        const auto handle = own_.heap->realloc(me, one.handle, len);
        if (!handle && handle.error() == Errc::no_memory) return;
        ASSERT_TRUE(handle) << name_of(handle.error());
        ASSERT_EQ(handle->len, len);
        const std::uint64_t kept = std::min(len, one.handle.len);
        ASSERT_TRUE(own_.holds({handle->offset, kept}, one.mark));
        ASSERT_TRUE(own_.is_zero({handle->offset + kept, len - kept}));
        live_.pop_back();
        mark({*handle, 0});
    }
    void free() {
        if (live_.empty()) return;
        const Block one = choose();
        ASSERT_TRUE(own_.holds(one.handle, one.mark)) << one.handle.offset;
        random_.note("heap->dealloc", one.handle.offset, one.handle.len);
        const auto freed = own_.heap->dealloc(me, one.handle);
        ASSERT_TRUE(freed) << name_of(freed.error());
        live_.pop_back();
    }
    Block& choose() {
        std::swap(live_[random_() % live_.size()], live_.back());
        return live_.back();
    }
    void mark(Block one) {
        one.mark = static_cast<unsigned>(random_() % 255) + 1;
        own_.fill(one.handle, one.mark);
        live_.push_back(one);
    }

    OwnStack& own_;
    test::RandomSteps& random_;
    std::vector<Block> live_;
};

TEST_P(StackHeapTest, KeepsContentsThroughRandomSteps) {  // T-BS-86
    if (is_linear()) GTEST_SKIP() << "gives nothing back in the middle";
    test::RandomSteps random(20'000);
    Steps steps(own, random);
    steps.run(1024);
    steps.free_all();
    EXPECT_EQ(own.now().used_bytes, 0U);
    EXPECT_EQ(own.now().blocks, 0U);
    const auto& header = *reinterpret_cast<const HeapHeader*>(own.memory.view().data());
    const std::uint64_t used = test::used_entries(own.memory.view());
    EXPECT_LT(used, header.journal_limit - 4) << "the journal has room for every change";
    EXPECT_GT(used, 4U) << "it is there at all";
}

TEST_P(StackHeapTest, KeepsContentsWhenItIsOpenedAgainAndAgain) {  // T-BS-87
    if (is_linear()) GTEST_SKIP() << "gives nothing back in the middle";
    test::RandomSteps random(2'000);
    Steps steps(own, random);
    for (int session = 0; session < 20; ++session) {
        own.reopen();
        steps.run(400, 100);
        ASSERT_EQ(own.now().blocks <= steps.live(), true) << "null handles are no blocks";
    }
    steps.free_all();
    EXPECT_EQ(own.now().used_bytes, 0U);
}

TEST_P(StackHeapTest, AnswersZeroSizesWithoutTouchingAnything) {  // T-BS-88, BS-02
    const StackHandle block = own.alloc(100);
    const StackStatistics before = own.now();
    for (int i = 0; i < 1'000; ++i) {
        const StackHandle zero = own.alloc(0);
        EXPECT_EQ(zero.is_null(), !is_linear());
        EXPECT_EQ(zero.offset, is_linear() ? before.len : 0);
        own.free(zero);
    }
    EXPECT_EQ(own.now().len, before.len);
    if (is_linear()) return;
    EXPECT_EQ(own.realloc(block, 0), StackHandle{});
    EXPECT_EQ(own.now().blocks, 0U);
    EXPECT_EQ(own.realloc({}, 40).len, 40U);
    EXPECT_EQ(own.now().blocks, 1U);
}

TEST_P(StackHeapTest, RefusesWhatDoesNotFitAndChangesNothing) {  // XC-11, D-BS-6
    const StackHandle block = own.alloc(100);
    own.fill(block, 7);
    const StackStatistics before = own.now();
    const std::uint64_t capacity = before.capacity;
    for (const std::uint64_t len : {capacity + 1, capacity + 8, ~std::uint64_t{0},
                                    ~std::uint64_t{7}, std::uint64_t{1} << 63}) {
        own.expect_error(Errc::no_memory, own.heap->alloc(me, len));
        own.expect_error(Errc::no_memory, own.heap->realloc(me, block, len));
    }
    EXPECT_EQ(own.now().len, before.len);
    EXPECT_EQ(own.now().used_bytes, before.used_bytes);
    EXPECT_TRUE(own.holds(block, 7));
}

TEST_P(StackHeapTest, IsExhaustedAndRecoversWhole) {
    for (int round = 0; round < 2; ++round) {
        std::vector<StackHandle> blocks;
        for (;;) {
            const auto block = own.heap->alloc(me, 1'000);
            if (!block) {
                own.expect_error(Errc::no_memory, block);
                break;
            }
            blocks.push_back(*block);
        }
        EXPECT_GT(blocks.size(), own.now().capacity / 1'100);
        while (!blocks.empty()) {
            own.free(blocks.back());
            blocks.pop_back();
        }
        EXPECT_EQ(own.now().used_bytes, 0U);
    }
}

TEST_P(StackHeapTest, FindsEveryHandleThatIsNotRight) {  // XC-13, D-BS-2, D-BS-5, D-BS-16
    if (is_linear()) GTEST_SKIP() << "keeps nothing of a block";
    const StackHandle block = own.alloc(200);
    const StackHandle last = own.alloc(200);
    own.fill(block, 1);
    for (std::uint64_t i = 1; i < 200; ++i) {
        const auto inside = *block.subslice(i, 200);
        const auto refused = own.heap->dealloc(me, inside);
        ASSERT_FALSE(refused) << i;
        EXPECT_TRUE(refused.error() == Errc::invalid_argument ||
                    refused.error() == Errc::not_allocated);
    }
    for (const std::uint64_t len : {std::uint64_t{0}, std::uint64_t{1'200}, ~std::uint64_t{0},
                                    ~std::uint64_t{0} - block.offset}) {
        own.expect_free_fails(Errc::invalid_argument, {block.offset, len});
    }
    for (const HeapOffset foreign :
         {HeapOffset{1}, HeapOffset{8}, HeapOffset{1} << 40, ~HeapOffset{0}, ~HeapOffset{15}}) {
        own.expect_free_fails(Errc::invalid_argument, {foreign, 200});
    }
    own.free(block);
    own.expect_free_fails(Errc::not_allocated, block);
    own.free(last);
    own.expect_free_fails(Errc::not_allocated, last);
    own.expect_free_fails(Errc::not_allocated, block);
}

TEST_P(StackHeapTest, FindsAFreeThatIsMadeTwiceAroundAnother) {  // T-BS-89
    if (is_linear()) GTEST_SKIP() << "keeps nothing of a block";
    const StackHandle a = own.alloc(32);
    const StackHandle b = own.alloc(32);
    const StackHandle last = own.alloc(32);
    own.free(a);
    own.free(b);
    own.expect_free_fails(Errc::not_allocated, a);
    EXPECT_NE(own.alloc(32), own.alloc(32));
    own.free(last);
}

TEST_P(StackHeapTest, IsNotFooledByWhatPayloadsHold) {
    if (is_linear()) GTEST_SKIP() << "keeps nothing of a block";
    const StackHandle block = own.alloc(4'000);
    const StackHandle last = own.alloc(100);
    for (std::uint64_t i = 0; i + 32 <= 4'000; i += 8) {
        const std::uint64_t looks_live[] = {16, 0, std::uint64_t{1} << 63 | 1, 24};
        std::memcpy(own.bytes(block).data() + i, &looks_live[i / 8 % 4], 8);
    }
    for (std::uint64_t i = 8; i < 4'000; i += 8) {
        ASSERT_FALSE(own.heap->dealloc(me, {block.offset + i, 16}));
    }
    own.free(last);
    own.free(block);
}

TEST_P(StackHeapTest, IsOneHeapAtTwoAddresses) {
    const auto elsewhere = own.memory.map();
    const auto other = *open_stack_heap(elsewhere);
    const StackHandle block = own.alloc(100);
    own.fill(block, 42);
    EXPECT_EQ(other->stack()->data()[block.offset + 99], std::byte{42});
    EXPECT_TRUE(other->dealloc(2, block));
    EXPECT_EQ(own.now().used_bytes, 0U);
    EXPECT_EQ(broken(*other, 2), "");
}

TEST_P(StackHeapTest, SaysWhatItIs) {  // BS-07
    EXPECT_EQ(own.heap->kind(), GetParam());
    EXPECT_EQ(own.heap->is_empty(me).value(), is_linear());
    EXPECT_EQ(own.len(), is_linear() ? 0U : 48U);
    const std::uint64_t user = own.heap->user_bytes();
    own.fill({0, user}, 0xEE);  // They are the user's.
    const StackHandle block = own.alloc(100);
    own.reopen();
    EXPECT_TRUE(is_linear() || own.holds({0, user}, 0xEE));
    own.free(block);
    EXPECT_EQ(own.heap->recover(me).value(), 0U);
}

TEST_P(StackHeapTest, IsOpenedAsNothingElse) {
    EXPECT_EQ(open_stack_heap(own.memory.view().first(8192)).error().code, Errc::damaged_header);
    test::HeapMemory nothing(1 << 20);
    EXPECT_EQ(open_stack_heap(nothing.view()).error().code, Errc::wrong_magic);
    ASSERT_TRUE(format_heap(nothing.view(), HeapKind::tlsf));
    EXPECT_EQ(open_stack_heap(nothing.view()).error().code, Errc::config_mismatch);
    EXPECT_EQ(format_heap(nothing.view().first(600), GetParam()).error().code,
              Errc::region_too_small);
}

INSTANTIATE_TEST_SUITE_P(Kinds, StackHeapTest, testing::ValuesIn(test::stack_kinds),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

}  // namespace
}  // namespace shmpool
