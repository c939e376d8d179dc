// SPDX-License-Identifier: Apache-2.0
/// Goal: what one heap has handed out no other takes for its own (XC-13). In each test two heaps of
/// a kind do the same, so all that the one has handed out is live in the other too, if an origin
/// did not tell them apart.
#include "shmpool/heap/heap_origin.hpp"

#include "shmpool/heap/object_heap.hpp"
#include "shmpool/heap/page_heap.hpp"
#include "tests/shmpool/heap/own_stack.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::HeapMemory;

constexpr HeapUser me(1, 0x0000'0001'0000'0003);
constexpr HeapOwner ann = 0x0000'0001'0000'0007;
constexpr std::size_t memory_bytes = 1 << 20;
constexpr HeapOrigin its_origin = HeapOrigin::of(3 * memory_bytes, 7);

/// Two places, and one of them twice.
const HeapOrigin other_origins[] = {HeapOrigin::of(0, 7), HeapOrigin::of(9 * memory_bytes, 7),
                                    HeapOrigin::of(3 * memory_bytes, 8)};

struct Kind {
    HeapKind kind;
    bool owned;
};

HeapOptions options_of(const Kind& kind) {
    HeapOptions options;
    options.owned = kind.owned;
    options.block_bytes = 64;
    return options;
}

/// A heap, and where its memory lies.
template <typename Heap>
struct Own {
    using Open = Result<std::unique_ptr<Heap>> (*)(std::span<std::byte>, std::chrono::nanoseconds,
                                                   HeapOrigin);
    Own(Open open, const Kind& kind, HeapOrigin of) : origin(of) {
        EXPECT_TRUE(format_heap(memory.view(), kind.kind, options_of(kind)));
        heap = *open(memory.view(), heap_patience, origin);
    }
    ~Own() { EXPECT_EQ(broken(*heap, me.holder), ""); }
    Own(const Own&) = delete;
    Own& operator=(const Own&) = delete;

    [[nodiscard]] std::uint64_t& word(HeapOffset at) {
        return *reinterpret_cast<std::uint64_t*>(memory.view().data() + origin.inside(at));
    }

    HeapMemory memory{memory_bytes};
    HeapOrigin origin;
    std::unique_ptr<Heap> heap;
};

template <typename T>
Errc error_of(const Outcome<T>& outcome) {
    return outcome ? Errc::internal_fault : outcome.error();
}

TEST(HeapOrigin, IsOfOnePlaceAndOneIncarnation) {
    EXPECT_EQ(HeapOrigin().given(100), 100U);
    EXPECT_EQ(its_origin.inside(its_origin.given(100)), 100U);
    EXPECT_EQ(HeapOrigin::of(memory_bytes, 0).given(8), memory_bytes + 8);
    for (const HeapOrigin other : other_origins) {
        EXPECT_GE(other.inside(its_origin.given(0)), memory_bytes);
        EXPECT_GE(other.inside(its_origin.given(memory_bytes - 1)), memory_bytes);
    }
}

class OriginOfBytes : public testing::TestWithParam<Kind> {
protected:
    struct Made {
        explicit Made(HeapOrigin origin) : own(open_byte_heap, GetParam(), origin) {
            block = own.heap->allocate(me, 64, 16).value();
            table = own.heap->allocate(me, 64, 16).value();
            own.word(table) = 0;
            own.word(table + 8) = 0;
            kept = own.heap->allocate_into(me.holder, 64, 16, HeapCell{table, 8}).value();
        }
        Own<ByteHeap> own;
        HeapOffset block = 0;
        HeapOffset table = 0;
        HeapOffset kept = 0;
    };
};

TEST_P(OriginOfBytes, IsInAllThatIsHandedOut) {
    Made its(its_origin);
    ByteHeap& heap = *its.own.heap;
    for (const HeapOffset one : {its.block, its.table, its.kept}) {
        EXPECT_LT(its_origin.inside(one), memory_bytes);
        EXPECT_GE(heap.usable_bytes(me.holder, one).value(), 64U);
    }
    EXPECT_EQ(its.own.word(its.table + 8), its.kept) << "a cell names a block as its users do";
    EXPECT_TRUE(heap.free_from(me.holder, {its.table, 8}));
    EXPECT_TRUE(heap.keep_in(me.holder, its.block, {its.table, 0}));
    EXPECT_EQ(its.own.word(its.table), its.block);
    EXPECT_TRUE(heap.free_from(me.holder, {its.table, 0}));
    EXPECT_TRUE(heap.allocate_into(me.holder, 64, 16, HeapCell::root()));
    EXPECT_TRUE(heap.free_from(me.holder, HeapCell::root()));
    EXPECT_EQ(error_of(heap.set_owner(me.holder, its.table, ann)),
              GetParam().owned ? Errc::internal_fault : Errc::unsupported);
    EXPECT_TRUE(heap.free(me.holder, its.table));
    EXPECT_EQ(heap.statistics(me.holder)->blocks, 0U);
}

TEST_P(OriginOfBytes, TellsTheBlocksOfAnotherHeap) {
    Made its(its_origin);
    for (const HeapOrigin other : other_origins) {
        Made mine(other);
        ByteHeap& heap = *mine.own.heap;
        EXPECT_EQ(error_of(heap.free(me.holder, its.block)), Errc::not_allocated);
        EXPECT_EQ(error_of(heap.usable_bytes(me.holder, its.block)), Errc::not_allocated);
        EXPECT_EQ(error_of(heap.keep_in(me.holder, its.block, HeapCell::root())),
                  Errc::not_allocated);
        EXPECT_EQ(error_of(heap.allocate_into(me.holder, 8, 8, {its.table, 0})),
                  Errc::not_allocated);
        EXPECT_EQ(error_of(heap.free_from(me.holder, {its.table, 8})), Errc::not_allocated);
        EXPECT_EQ(error_of(heap.set_owner(me.holder, its.block, ann)),
                  GetParam().owned ? Errc::not_allocated : Errc::unsupported);
        mine.own.word(mine.table + 8) = its.kept;  // Whoever wrote it there.
        EXPECT_EQ(error_of(heap.free_from(me.holder, {mine.table, 8})), Errc::not_allocated);
        mine.own.word(mine.table + 8) = mine.kept;
        EXPECT_EQ(heap.statistics(me.holder)->blocks, 3U);
        for (const HeapOffset one : {mine.block, mine.table, mine.kept}) {
            EXPECT_TRUE(heap.free(me.holder, one));
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Kinds, OriginOfBytes,
                         testing::Values(Kind{HeapKind::tlsf, false}, Kind{HeapKind::tlsf, true},
                                         Kind{HeapKind::buddy, false}, Kind{HeapKind::buddy, true},
                                         Kind{HeapKind::slab, false}, Kind{HeapKind::slab, true}),
                         [](const auto& test) {
                             return std::string(name_of(test.param.kind)) +
                                    (test.param.owned ? "_owned" : "");
                         });

class OriginOfPages : public testing::TestWithParam<bool> {
protected:
    struct Made {
        explicit Made(HeapOrigin origin)
            : own(open_page_heap, {HeapKind::bitmap_pages, GetParam()}, origin) {
            run = own.heap->allocate_pages(me, 2, page_bytes).value();
            table = own.heap->allocate_pages(me, 1, page_bytes).value();
            own.word(table) = 0;
            own.word(table + 8) = 0;
            kept = own.heap->allocate_pages_into(me.holder, 1, page_bytes, {table, 8}).value();
        }
        Own<PageHeap> own;
        HeapOffset run = 0;
        HeapOffset table = 0;
        HeapOffset kept = 0;
    };
};

TEST_P(OriginOfPages, IsInAllThatIsHandedOut) {
    Made its(its_origin);
    PageHeap& heap = *its.own.heap;
    EXPECT_LT(its_origin.inside(its.run), memory_bytes);
    EXPECT_EQ(its.own.word(its.table + 8), its.kept);
    EXPECT_TRUE(heap.free_pages_from(me.holder, 1, {its.table, 8}));
    EXPECT_TRUE(heap.keep_pages_in(me.holder, its.run, 2, {its.table, 0}));
    EXPECT_EQ(its.own.word(its.table), its.run);
    EXPECT_TRUE(heap.free_pages_from(me.holder, 2, {its.table, 0}));
    EXPECT_EQ(heap.allocate_pages_at(me, its.run, 2, page_bytes).value(), its.run);
    EXPECT_TRUE(heap.free_pages(me.holder, its.run, 2));
    EXPECT_TRUE(heap.free_pages(me.holder, its.table, 1));
    EXPECT_EQ(heap.statistics(me.holder)->used_pages, 0U);
}

TEST_P(OriginOfPages, TellsThePagesOfAnotherHeap) {
    Made its(its_origin);
    for (const HeapOrigin other : other_origins) {
        Made mine(other);
        PageHeap& heap = *mine.own.heap;
        EXPECT_EQ(error_of(heap.free_pages(me.holder, its.run, 2)), Errc::not_allocated);
        const HeapOffset free_there = its.kept + page_bytes;
        EXPECT_EQ(error_of(heap.allocate_pages_at(me, free_there, 1, page_bytes)), Errc::no_memory);
        EXPECT_EQ(error_of(heap.keep_pages_in(me.holder, its.run, 2, HeapCell::root())),
                  Errc::not_allocated);
        EXPECT_EQ(error_of(heap.allocate_pages_into(me.holder, 1, page_bytes, {its.table, 0})),
                  Errc::not_allocated);
        EXPECT_EQ(error_of(heap.free_pages_from(me.holder, 1, {its.table, 8})),
                  Errc::not_allocated);
        EXPECT_EQ(error_of(heap.set_owner(me.holder, its.run, 2, ann)),
                  GetParam() ? Errc::not_allocated : Errc::unsupported);
        EXPECT_EQ(heap.statistics(me.holder)->used_pages, 4U);
    }
}

INSTANTIATE_TEST_SUITE_P(Owned, OriginOfPages, testing::Bool());

class OriginOfObjects : public testing::TestWithParam<bool> {
protected:
    struct Made {
        explicit Made(HeapOrigin origin)
            : own(open_object_heap, {HeapKind::slab_cache, GetParam()}, origin) {
            object = own.heap->allocate(me).value();
            table = own.heap->allocate(me).value();
            own.word(table) = 0;
            own.word(table + 8) = 0;
            kept = own.heap->allocate_into(me.holder, {table, 8}).value();
        }
        Own<ObjectHeap> own;
        HeapOffset object = 0;
        HeapOffset table = 0;
        HeapOffset kept = 0;
    };
};

TEST_P(OriginOfObjects, IsInAllThatIsHandedOut) {
    Made its(its_origin);
    ObjectHeap& heap = *its.own.heap;
    EXPECT_LT(its_origin.inside(its.object), memory_bytes);
    EXPECT_TRUE(heap.is_live(me.holder, its.object).value());
    EXPECT_EQ(its.own.word(its.table + 8), its.kept);
    EXPECT_TRUE(heap.free_from(me.holder, {its.table, 8}));
    EXPECT_TRUE(heap.keep_in(me.holder, its.object, {its.table, 0}));
    EXPECT_EQ(its.own.word(its.table), its.object);
    EXPECT_TRUE(heap.free_from(me.holder, {its.table, 0}));
    EXPECT_TRUE(heap.free(me.holder, its.table));
    EXPECT_EQ(heap.statistics(me.holder)->used_objects, 0U);
}

TEST_P(OriginOfObjects, TellsTheObjectsOfAnotherHeap) {
    Made its(its_origin);
    for (const HeapOrigin other : other_origins) {
        Made mine(other);
        ObjectHeap& heap = *mine.own.heap;
        EXPECT_FALSE(heap.is_live(me.holder, its.object).value());
        EXPECT_EQ(error_of(heap.free(me.holder, its.object)), Errc::not_allocated);
        EXPECT_EQ(error_of(heap.keep_in(me.holder, its.object, HeapCell::root())),
                  Errc::not_allocated);
        EXPECT_EQ(error_of(heap.allocate_into(me.holder, {its.table, 0})), Errc::not_allocated);
        EXPECT_EQ(error_of(heap.free_from(me.holder, {its.table, 8})), Errc::not_allocated);
        EXPECT_EQ(error_of(heap.set_owner(me.holder, its.object, ann)),
                  GetParam() ? Errc::not_allocated : Errc::unsupported);
        EXPECT_EQ(heap.statistics(me.holder)->used_objects, 3U);
    }
}

INSTANTIATE_TEST_SUITE_P(Owned, OriginOfObjects, testing::Bool());

class OriginOfStacks : public testing::TestWithParam<HeapKind> {
protected:
    struct Made {
        explicit Made(HeapOrigin origin) : own(open_stack_heap, {GetParam(), false}, origin) {
            first = own.heap->alloc(me.holder, 40).value();
            last = own.heap->alloc(me.holder, 40).value();
        }
        Own<StackHeap> own;
        StackHandle first;
        StackHandle last;
    };
    static bool is_refusal(Errc code) {
        return code == Errc::not_allocated || code == Errc::invalid_argument;
    }
};

TEST_P(OriginOfStacks, IsInAllThatIsHandedOut) {
    Made its(its_origin);
    StackHeap& heap = *its.own.heap;
    EXPECT_LT(its_origin.inside(its.first.offset), memory_bytes);
    const StackHandle larger = heap.realloc(me.holder, its.last, 60).value();
    EXPECT_LT(its_origin.inside(larger.offset), memory_bytes);
    const auto many = heap.alloc_bulk(me.holder, std::vector<std::uint64_t>{10, 0, 20});
    if (!many) {
        EXPECT_EQ(many.error(), Errc::unsupported) << "first_fit hands out one at a time";
    } else {
        EXPECT_LT(its_origin.inside(many->front().offset), memory_bytes);
        EXPECT_EQ((*many)[1].is_null(), GetParam() != HeapKind::linear);
        EXPECT_TRUE(heap.dealloc_bulk(me.holder, *many));
    }
    EXPECT_TRUE(heap.dealloc(me.holder, larger));
    EXPECT_TRUE(heap.dealloc(me.holder, its.first));
    EXPECT_EQ(heap.statistics(me.holder)->blocks, 0U);
}

TEST_P(OriginOfStacks, TellsTheHandlesOfAnotherHeap) {
    Made its(its_origin);
    for (const HeapOrigin other : other_origins) {
        Made mine(other);
        StackHeap& heap = *mine.own.heap;
        const StackStatistics before = heap.statistics(me.holder).value();
        for (const StackHandle& one : {its.first, its.last}) {
            EXPECT_TRUE(is_refusal(error_of(heap.dealloc(me.holder, one))));
            EXPECT_TRUE(is_refusal(error_of(heap.realloc(me.holder, one, 20))));
            const Errc bulk = error_of(heap.dealloc_bulk(me.holder, std::span(&one, 1)));
            EXPECT_TRUE(is_refusal(bulk) || bulk == Errc::unsupported) << name_of(bulk);
        }
        const StackStatistics now = heap.statistics(me.holder).value();
        EXPECT_EQ(now.len, before.len);
        EXPECT_EQ(now.used_bytes, before.used_bytes);
    }
}

TEST_P(OriginOfStacks, LeavesTheNullHandleWhatItIs) {
    Made mine(its_origin);
    StackHeap& heap = *mine.own.heap;
    if (GetParam() == HeapKind::linear) {  // It has none: this is a foreign one.
        EXPECT_FALSE(heap.dealloc(me.holder, StackHandle{}));
        EXPECT_FALSE(heap.alloc(me.holder, 0)->is_null());
        return;
    }
    EXPECT_TRUE(heap.alloc(me.holder, 0)->is_null());
    EXPECT_TRUE(heap.dealloc(me.holder, StackHandle{}));
    EXPECT_TRUE(heap.realloc(me.holder, mine.last, 0)->is_null());
    EXPECT_EQ(heap.realloc(me.holder, StackHandle{}, 8)->len, 8U);
}

INSTANTIATE_TEST_SUITE_P(Kinds, OriginOfStacks, testing::ValuesIn(test::stack_kinds),
                         [](const auto& test) { return std::string(name_of(test.param)); });

}  // namespace
}  // namespace shmpool
