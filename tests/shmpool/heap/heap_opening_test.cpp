// SPDX-License-Identifier: Apache-2.0
/// What is refused before it is a heap: memory that is too small, misaligned, no heap, another
/// build's heap, or damaged; and memory that is added.
#include "shmpool/heap/byte_heap.hpp"

#include <random>

#include "shmpool/heap/best_fit.hpp"
#include "shmpool/heap/id_heap.hpp"
#include "shmpool/heap/object_heap.hpp"
#include "shmpool/heap/page_chain.hpp"
#include "shmpool/heap/page_heap.hpp"
#include "shmpool/heap/stack_heap.hpp"
#include "tests/shmpool/heap/own_heap.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::HeapMemory;
using ::testing::HasSubstr;

constexpr HeapHolder me = 1;

Errc opening_error(std::span<std::byte> memory) {
    const auto heap = open_byte_heap(memory);
    return heap ? Errc::internal_fault : heap.error().code;
}

TEST(HeapFormat, RefusesMemoryThatIsNothing) {
    HeapMemory memory(1 << 20);
    EXPECT_EQ(format_heap(memory.view().first(1000), HeapKind::tlsf).error().code,
              Errc::region_too_small);
    EXPECT_EQ(format_heap(memory.view().first(8450), HeapKind::tlsf).error().code,
              Errc::region_too_small);
    EXPECT_EQ(format_heap(memory.view().subspan(64), HeapKind::tlsf).error().code,
              Errc::misaligned_base);
    EXPECT_EQ(format_heap(memory.view(), HeapKind::none).error().code, Errc::unsupported);
    EXPECT_EQ(format_heap(memory.view(), HeapKind::tlsf, {.map_alignment = 48}).error().code,
              Errc::invalid_argument);
    EXPECT_EQ(opening_error(memory.view()), Errc::wrong_magic);
}

class HeapOpening : public testing::Test {
protected:
    void SetUp() override { ASSERT_TRUE(format_heap(memory.view(), HeapKind::tlsf)); }
    [[nodiscard]] HeapHeader& header() const {
        return *reinterpret_cast<HeapHeader*>(memory.view().data());
    }
    HeapMemory memory{1 << 20};
};

TEST_F(HeapOpening, RefusesWhatIsNoHeapOfThisBuild) {
    EXPECT_EQ(opening_error(memory.view().first(100)), Errc::region_too_small);
    EXPECT_EQ(opening_error(memory.view().subspan(16)), Errc::misaligned_base);
    header().layout_version = 77;
    EXPECT_EQ(opening_error(memory.view()), Errc::wrong_layout_version);
    EXPECT_THAT(open_byte_heap(memory.view()).error().message, HasSubstr("version 77"));
    header().layout_version = heap_layout_version;
    header().kind = 4711;
    EXPECT_EQ(opening_error(memory.view()), Errc::unsupported);
    EXPECT_THAT(open_byte_heap(memory.view()).error().message, HasSubstr("4711"));
}

TEST_F(HeapOpening, RefusesAHeaderThatDoesNotDescribeItsMemory) {
    EXPECT_EQ(opening_error(memory.view().first(memory.view().size() / 2)), Errc::damaged_header);
    for (std::uint64_t HeapHeader::*field :
         {&HeapHeader::memory_bytes, &HeapHeader::journal_offset, &HeapHeader::journal_limit,
          &HeapHeader::engine_offset}) {
        const std::uint64_t right = header().*field;
        header().*field = right + 8;
        EXPECT_EQ(opening_error(memory.view()), Errc::damaged_header);
        header().*field = right;
    }
    header().map_alignment = std::uint64_t{1} << 60;
    EXPECT_EQ(opening_error(memory.view()), Errc::misaligned_base);
    header().map_alignment = 0;
    EXPECT_EQ(opening_error(memory.view()), Errc::invalid_argument);
}

/// The bits say that there are blocks; the lists begin nowhere, or far away.
class Nonsense : public HeapOpening, public testing::WithParamInterface<std::uint64_t> {};

TEST_P(Nonsense, BehindTheHeaderIsFoundWhenItIsMet) {
    const auto heap = *open_byte_heap(memory.view());
    auto* const words = reinterpret_cast<std::uint64_t*>(memory.view().data());
    const std::uint64_t engine = header().engine_offset / 8;
    for (std::uint64_t i = engine; i < engine + 29; ++i) words[i] = ~std::uint64_t{0};
    for (std::uint64_t i = engine + 29; i < engine + 29 + 28 * 32; ++i) words[i] = GetParam();
    const auto block = heap->allocate(me, 100, 8);
    ASSERT_FALSE(block);
    EXPECT_EQ(block.error(), Errc::heap_damaged);
    EXPECT_EQ(header().damaged.load(), 1U);
    EXPECT_EQ(header().lock.load(), 0U);
    EXPECT_NE(broken(*heap, me), "");
}

INSTANTIATE_TEST_SUITE_P(Heads, Nonsense,
                         testing::Values(0, ~std::uint64_t{7}, std::uint64_t{1} << 40, 12345));

TEST(HeapKinds, AreOpenedAsWhatTheyAre) {
    HeapMemory memory(1 << 20);
    HeapOptions options;
    options.id_count = 100;
    const auto errors_of = [&](HeapKind kind) {
        EXPECT_TRUE(format_heap(memory.view(), kind, options));
        std::vector<Error> errors;
        const auto keep = [&](const auto& opened) {
            if (!opened) errors.push_back(opened.error());
        };
        keep(open_byte_heap(memory.view()));
        keep(open_page_heap(memory.view()));
        keep(open_page_chain(memory.view()));
        keep(open_id_heap(memory.view()));
        keep(open_stack_heap(memory.view()));
        keep(open_object_heap(memory.view()));
        keep(open_best_fit_heap_to_audit(memory.view()));
        return errors;
    };
    for (const HeapKind kind : heap_kinds) {
        const auto errors = errors_of(kind);
        EXPECT_EQ(errors.size(), 6U) << name_of(kind);
        for (const Error& one : errors) {
            EXPECT_EQ(one.code, Errc::config_mismatch);
            EXPECT_THAT(one.message, HasSubstr("is of kind " + std::string(name_of(kind))));
            EXPECT_THAT(one.message, HasSubstr("was wanted"));
        }
    }
    EXPECT_THAT(errors_of(HeapKind::ids)[1].message, HasSubstr("a heap of pages (bitmap_pages)"));
}

class BitmapOpening : public testing::TestWithParam<HeapKind> {
protected:
    void SetUp() override {
        HeapOptions options;
        options.id_count = 100'000;
        ASSERT_TRUE(format_heap(memory.view(), GetParam(), options));
    }
    [[nodiscard]] HeapHeader& header() const {
        return *reinterpret_cast<HeapHeader*>(memory.view().data());
    }
    Errc opening_error() {
        const bool is_pages = GetParam() == HeapKind::bitmap_pages;
        const auto code = [](const auto& opened) {
            return opened ? Errc::internal_fault : opened.error().code;
        };
        return is_pages ? code(open_page_heap(memory.view())) : code(open_id_heap(memory.view()));
    }
    Outcome<std::uint64_t> allocate() {
        if (GetParam() == HeapKind::ids)
            return (*open_id_heap(memory.view()))->allocate_id(1, 1, 1);
        return (*open_page_heap(memory.view()))->allocate_pages(1, 1, page_bytes);
    }
    HeapMemory memory{8 << 20};
};

TEST_P(BitmapOpening, RefusesSettingsThatDoNotFitTheMemory) {
    const std::size_t which = GetParam() == HeapKind::ids ? 1 : 0;
    EXPECT_EQ(opening_error(), Errc::internal_fault) << "it can be opened";
    for (const std::uint64_t nonsense :
         {std::uint64_t{0}, std::uint64_t{77}, std::uint64_t{8192}, ~std::uint64_t{0}}) {
        header().settings[which] = nonsense;
        EXPECT_EQ(opening_error(), Errc::damaged_header) << nonsense;
    }
}

TEST_P(BitmapOpening, FindsNonsenseInTheTreeWhenItMeetsIt) {
    auto* const words = reinterpret_cast<std::uint64_t*>(memory.view().data());
    const auto begin = static_cast<std::ptrdiff_t>(header().engine_offset / 8);
    // All bits of the lowest level are gone; above, they are still there.
    std::fill_n(words + begin, GetParam() == HeapKind::ids ? 1563 : 32, 0);
    EXPECT_EQ(allocate().error(), Errc::heap_damaged);
    EXPECT_EQ(header().damaged.load(), 1U);
    EXPECT_EQ(header().lock.load(), 0U);
    // Now there are too many: none of them is the heap's, or there are more than there are.
    std::fill_n(words + begin, 4, ~std::uint64_t{0});
    header().total_bytes.store(GetParam() == HeapKind::ids ? ~std::uint64_t{0} : 1 << 20);
    EXPECT_EQ(allocate().error(), Errc::heap_damaged);
}

TEST_P(BitmapOpening, ComesToAnEndWhateverItsWordsHold) {
    const unsigned seed = 20261124;
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    auto* const words = reinterpret_cast<std::uint64_t*>(memory.view().data());
    const std::uint64_t begin = offsetof(HeapHeader, journal_count) / 8;
    const std::uint64_t end = header().engine_offset / 8 + 1800;
    for (int round = 0; round < 300; ++round) {
        SetUp();
        for (std::uint64_t i = begin; i < end; ++i) {
            if (random() % 4 == 0) words[i] = random() >> (random() % 64);
        }
        for (int i = 0; i < 4; ++i) (void)allocate();
        if (GetParam() == HeapKind::ids) {
            const auto heap = *open_id_heap(memory.view());
            (void)heap->free_id(1, random() % 1000, random() % 1000);
            (void)heap->audit(1);
        } else {
            const auto heap = *open_page_heap(memory.view());
            (void)heap->free_pages(1, random() % 1000 * page_bytes, random() % 1000);
            (void)heap->add_memory(1, {random() % 1000 * page_bytes, 9 * page_bytes});
            (void)heap->audit(1);
        }
        ASSERT_EQ(header().lock.load(), 0U);
    }
}

INSTANTIATE_TEST_SUITE_P(Kinds, BitmapOpening,
                         testing::Values(HeapKind::bitmap_pages, HeapKind::ids),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

class AddedMemory : public testing::Test {
protected:
    static constexpr std::uint64_t begin = 64 << 10;
    void SetUp() override {
        HeapOptions options;
        options.first_region = {begin, 64 << 10};
        ASSERT_TRUE(format_heap(memory.view(), HeapKind::tlsf, options));
        heap = *open_byte_heap(memory.view());
    }
    void TearDown() override { EXPECT_EQ(broken(*heap, me), ""); }
    Errc adding_error(const HeapExtent& extent) {
        const auto added = heap->add_memory(me, extent);
        return added ? Errc::internal_fault : added.error();
    }
    HeapMemory memory{1 << 20};
    std::unique_ptr<ByteHeap> heap;
};

TEST_F(AddedMemory, IsHandedOutAlthoughItLiesElsewhere) {  // T-AR-6, T-AR-50
    EXPECT_EQ(heap->allocate(me, 100 << 10, 8).error(), Errc::no_memory);
    const std::uint64_t total = heap->statistics(me)->total_bytes;
    ASSERT_TRUE(heap->add_memory(me, {512 << 10, 256 << 10}));
    EXPECT_GT(heap->statistics(me)->total_bytes, total + (250 << 10));
    const auto block = heap->allocate(me, 100 << 10, 8);
    ASSERT_TRUE(block);
    EXPECT_GE(*block, 512U << 10);
    EXPECT_TRUE(heap->free(me, *block));
}

TEST_F(AddedMemory, IsRefusedWhereItOverlapsOrIsNone) {
    EXPECT_EQ(adding_error({begin + 8, 4096}), Errc::memory_overlap);
    EXPECT_EQ(adding_error({begin - 4096, 8192}), Errc::memory_overlap);
    EXPECT_EQ(adding_error({begin - 4096, 1 << 19}), Errc::memory_overlap);
    EXPECT_EQ(adding_error({0, 4096}), Errc::invalid_argument) << "the header";
    EXPECT_EQ(adding_error({(512 << 10) + 1, 4096}), Errc::invalid_argument);
    EXPECT_EQ(adding_error({512 << 10, 1 << 20}), Errc::invalid_argument);
    EXPECT_EQ(adding_error({~std::uint64_t{7}, 4096}), Errc::invalid_argument);
    EXPECT_EQ(adding_error({512 << 10, 32}), Errc::region_too_small);
    for (std::uint32_t i = 1; i < heap_regions_max; ++i) {
        ASSERT_TRUE(heap->add_memory(me, {(128U << 10) + i * 16384, 8192}));
    }
    EXPECT_EQ(adding_error({768 << 10, 8192}), Errc::no_memory) << "the table is full";
}

}  // namespace
}  // namespace shmpool
