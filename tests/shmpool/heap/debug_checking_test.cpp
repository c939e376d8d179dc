// SPDX-License-Identifier: Apache-2.0
/// The two that live in one process: the one that has no memory, and the one that remembers. Ids
/// in brackets are of the list of features.
#include "shmpool/heap/debug_checking.hpp"

#include "shmpool/heap/manual_stack.hpp"
#include "tests/shmpool/heap/own_stack.hpp"

namespace shmpool {
namespace {

using test::OwnStack;
using Kind = StackViolation::Kind;

constexpr HeapHolder me = OwnStack::me;

TEST(ManualStack, HasNoMemory) {  // T-BS-85
    ManualStack& manual = ManualStack::get();
    EXPECT_EQ(&manual, &ManualStack::get());
    EXPECT_EQ(manual.alloc(me, 8).error(), Errc::unsupported);
    EXPECT_EQ(manual.realloc(me, {8, 8}, 16).error(), Errc::unsupported);
    EXPECT_EQ(manual.len(me).error(), Errc::unsupported);
    EXPECT_EQ(manual.is_empty(me).error(), Errc::unsupported);
    EXPECT_EQ(manual.stack().error(), Errc::unsupported) << "nothing to read or write through";
    EXPECT_TRUE(manual.dealloc(me, {8, 8}));
    EXPECT_EQ(handle_of(token_of({8, 9})), (StackHandle{8, 9}));
}

TEST(StackRanges, KnowWhatOverlaps) {  // T-BS-80
    EXPECT_FALSE(overlap({0, 4}, {4, 4})) << "adjacent";
    EXPECT_FALSE(overlap({4, 4}, {0, 4}));
    EXPECT_TRUE(overlap({0, 5}, {4, 4}));
    EXPECT_TRUE(overlap({4, 4}, {0, 8})) << "within";
    EXPECT_TRUE(overlap({4, 4}, {4, 4}));
    EXPECT_FALSE(overlap({4, 0}, {0, 8})) << "empty";
    EXPECT_FALSE(overlap({0, 8}, {4, 0}));
    EXPECT_FALSE(overlap({4, 0}, {4, 0}));
}

/// Hands out what the test tells it to.
class Puppet {
public:
    Outcome<StackHandle> alloc(HeapHolder, std::uint64_t) { return next; }
    Outcome<StackHandle> realloc(HeapHolder, const StackHandle&, std::uint64_t) { return next; }
    Outcome<void> dealloc(HeapHolder, const StackHandle&) {
        ++frees;
        return {};
    }
    Outcome<std::vector<StackHandle>> alloc_bulk(HeapHolder, std::span<const std::uint64_t>) {
        return std::vector{next};
    }
    Outcome<void> dealloc_bulk(HeapHolder, std::span<const StackHandle>) {
        ++frees;
        return {};
    }
    Outcome<std::uint64_t> len(HeapHolder) { return 0; }
    Outcome<bool> is_empty(HeapHolder) { return true; }
    Outcome<std::span<std::byte>> stack() { return std::span<std::byte>{}; }

    StackHandle next;
    int frees = 0;
};

/// A second life of a place has the handle of the first: only who has got it knows.
TEST(DebugCheckingOfTwo, TakesBackWhatSomebodyElseWasHanded) {
    OwnStack own(HeapKind::first_fit);
    int violations = 0;
    DebugChecking<StackHeap> mine(*own.heap, [&](const StackViolation&) { ++violations; });
    const StackHandle first = mine.alloc(me, 100).value();
    const StackHandle kept = mine.alloc(me, 100).value();
    ASSERT_TRUE(mine.dealloc(me, first));
    const StackHandle its = own.heap->alloc(2, 100).value();  // Not by way of this one.
    ASSERT_EQ(its, first) << "a place of the same name";

    EXPECT_EQ(mine.dealloc(me, its).error(), Errc::double_free) << "for all that is known here";
    EXPECT_EQ(violations, 1);
    EXPECT_TRUE(mine.adopt(its));
    EXPECT_EQ(mine.allocated_count(), 2U);
    EXPECT_EQ(mine.freed_count(), 0U);
    EXPECT_TRUE(mine.dealloc(me, its));
    EXPECT_EQ(mine.dealloc(me, its).error(), Errc::double_free) << "now it is one";
    EXPECT_EQ(violations, 2);
    EXPECT_EQ(mine.adopt(kept).error(), Errc::memory_overlap) << "it is live here";
    EXPECT_EQ(violations, 3);
    EXPECT_TRUE(mine.dealloc(me, kept));
}

class DebugCheckingTest : public testing::Test {
protected:
    void hand_out(const StackHandle& handle) {
        puppet.next = handle;
        EXPECT_EQ(checking.alloc(me, handle.len).value(), handle);
    }
    void expect_free_fails(Errc code, Kind kind, const StackHandle& handle) {
        const int frees = puppet.frees;
        EXPECT_EQ(checking.dealloc(me, handle).error(), code);
        ASSERT_FALSE(told.empty());
        EXPECT_EQ(told.back().kind, kind);
        EXPECT_EQ(told.back().range, handle);
        EXPECT_EQ(puppet.frees, frees) << "checked before";
        told.clear();
    }
    void expect_counts(std::size_t allocated, std::size_t freed) {
        EXPECT_EQ(checking.allocated_count(), allocated);
        EXPECT_EQ(checking.freed_count(), freed);
    }

    Puppet puppet;
    std::vector<StackViolation> told;
    DebugChecking<Puppet> checking{puppet,
                                   [this](const StackViolation& one) { told.push_back(one); }};
};

TEST_F(DebugCheckingTest, RefusesWhatCanNotBeRight) {  // T-BS-81
    hand_out({0, 8});
    hand_out({8, 8});  // Adjacent.
    hand_out({100, 8});
    EXPECT_TRUE(checking.dealloc(me, {50, 8})) << "of an earlier session";
    expect_free_fails(Errc::double_free, Kind::double_free, {50, 8});
    expect_free_fails(Errc::double_free, Kind::double_free, {54, 1});
    expect_free_fails(Errc::invalid_argument, Kind::partial, {2, 4});
    expect_free_fails(Errc::invalid_argument, Kind::partial, {96, 16});
    expect_free_fails(Errc::invalid_argument, Kind::spanning, {4, 8});
    expect_free_fails(Errc::invalid_argument, Kind::spanning, {0, 16});
    EXPECT_TRUE(checking.dealloc(me, {0, 8}));
    EXPECT_TRUE(checking.dealloc(me, {4, 0})) << "an empty one overlaps nothing";
    expect_counts(2, 2);
    puppet.next = {12, 8};
    EXPECT_EQ(checking.alloc(me, 8).error(), Errc::memory_overlap);
    EXPECT_EQ(told.back().other, (StackHandle{8, 8}));
    expect_counts(2, 2);
}

TEST_F(DebugCheckingTest, CutsWhatIsHandedOutAgainOutOfWhatWasFreed) {  // T-BS-82
    DebugChecking<Puppet> middle(puppet);
    for (const StackHandle& again :
         {StackHandle{40, 20}, StackHandle{0, 20}, StackHandle{80, 20}, StackHandle{0, 100}}) {
        const StackHandle freed[] = {{0, 100}};
        auto seeded = DebugChecking<Puppet>::with_state(puppet, {}, freed);
        puppet.next = again;
        EXPECT_TRUE(seeded.alloc(me, again.len));
        const bool is_all = again.len == 100;
        EXPECT_EQ(seeded.freed_count(), is_all ? 0U : again.offset == 40 ? 2U : 1U);
        EXPECT_TRUE(seeded.dealloc(me, again));
        if (again.offset != 0) {
            EXPECT_EQ(seeded.dealloc(me, {0, 20}).error(), Errc::double_free);
        }
    }
}

TEST_F(DebugCheckingTest, KnowsWhatItIsTold) {  // T-BS-83
    const StackHandle allocated[] = {{0, 8}, {8, 8}};
    const StackHandle freed[] = {{16, 8}};
    auto seeded = DebugChecking<Puppet>::with_state(puppet, allocated, freed);
    EXPECT_EQ(seeded.describe(), "DebugChecking{an allocator, allocated: 2, freed: 1}");
    EXPECT_EQ(seeded.dealloc(me, {16, 8}).error(), Errc::double_free);
    EXPECT_EQ(seeded.dealloc(me, {0, 16}).error(), Errc::invalid_argument);
    EXPECT_TRUE(seeded.dealloc(me, {8, 8}));
    EXPECT_EQ(&seeded.inner(), &puppet);
    EXPECT_EQ(&seeded.into_inner(), &puppet);
    EXPECT_EQ(seeded.freed_count(), 0U);
}

TEST_F(DebugCheckingTest, FollowsABlockThatMoves) {  // T-BS-84, D-BS-18
    hand_out({0, 8});
    EXPECT_TRUE(checking.dealloc(me, {0, 8}));
    hand_out({100, 8});
    puppet.next = {0, 16};
    EXPECT_EQ(checking.realloc(me, {100, 8}, 16).value(), puppet.next);
    expect_free_fails(Errc::double_free, Kind::double_free, {100, 8});  // The old one.
    EXPECT_EQ(checking.realloc(me, {100, 8}, 16).error(), Errc::double_free);
    EXPECT_TRUE(checking.dealloc(me, {0, 16})) << "was freed once, long ago";
    hand_out({200, 32});
    puppet.next = {200, 8};
    EXPECT_TRUE(checking.realloc(me, {200, 32}, 8)) << "shrinks";
    expect_free_fails(Errc::double_free, Kind::double_free, {208, 24});
    EXPECT_TRUE(checking.dealloc(me, {200, 8}));
    hand_out({300, 8});
    hand_out({400, 8});
    puppet.next = {404, 8};
    EXPECT_EQ(checking.realloc(me, {300, 8}, 8).error(), Errc::memory_overlap);
    EXPECT_TRUE(checking.dealloc(me, {300, 8})) << "it is as before";
}

TEST_F(DebugCheckingTest, ChecksAllOfManyBeforeItFreesAny) {
    hand_out({0, 8});
    hand_out({8, 8});
    const StackHandle twice[] = {{0, 8}, {8, 8}, {0, 8}};
    EXPECT_EQ(checking.dealloc_bulk(me, twice).error(), Errc::double_free);
    expect_counts(2, 0);
    EXPECT_EQ(puppet.frees, 0);
    EXPECT_TRUE(checking.dealloc_bulk(me, std::span(twice).first(2)));
    EXPECT_EQ(puppet.frees, 1);
    expect_counts(0, 2);
}

class Around : public testing::TestWithParam<HeapKind> {};

TEST_P(Around, AnyHeapRemembers) {
    OwnStack own(GetParam());
    DebugChecking<StackHeap> checking(*own.heap);
    const auto a = checking.alloc(me, 100).value();
    const auto b = checking.alloc(me, 100).value();
    EXPECT_TRUE(checking.dealloc(me, b));
    EXPECT_EQ(checking.dealloc(me, b).error(), Errc::double_free);
    const auto grown = checking.realloc(me, a, 500).value();
    EXPECT_EQ(checking.allocated_count(), 1U);
    EXPECT_TRUE(checking.dealloc(me, grown));
    EXPECT_EQ(checking.len(me).value(), own.len());
    EXPECT_TRUE(checking.stack());
    if (GetParam() == HeapKind::first_fit) return;
    const auto many = checking.alloc_bulk(me, std::vector<std::uint64_t>{40, 0, 40}).value();
    EXPECT_TRUE(checking.dealloc_bulk(me, many));
    EXPECT_EQ(checking.allocated_count(), 0U);
}

TEST(AroundManual, AlsoTheOneWithoutMemory) {
    DebugChecking<ManualStack> checking(ManualStack::get());
    EXPECT_EQ(checking.alloc(me, 8).error(), Errc::unsupported);
    EXPECT_TRUE(checking.dealloc(me, {8, 8}));
    EXPECT_EQ(checking.dealloc(me, {8, 8}).error(), Errc::double_free);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Around, testing::ValuesIn(test::stack_kinds),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

}  // namespace
}  // namespace shmpool
