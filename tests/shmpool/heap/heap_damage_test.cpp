// SPDX-License-Identifier: Apache-2.0
/// Goal: one word that somebody has overrun keeps from nobody what it does not stand in: all the
/// rest that the dead held is taken back, and an audit says where the damage is.
#include <array>

#include "shmpool/heap/guarded_id_heap.hpp"
#include "shmpool/heap/guarded_page_chain.hpp"
#include "shmpool/heap/guarded_page_heap.hpp"
#include "shmpool/heap/heap_audit.hpp"
#include "shmpool/heap/object_heap.hpp"
#include "tests/shmpool/heap/own_heap.hpp"

namespace shmpool {
namespace {

using test::HeapMemory;
using ::testing::Contains;
using ::testing::Field;
using ::testing::Not;

constexpr HeapHolder me = 1;
constexpr HeapHolder host = 2;
constexpr HeapOwner ann = 11;
constexpr std::uint64_t many = 1000;
constexpr std::uint64_t nonsense = 0xEEEE'EEEE'EEEE'EEEE;

bool ann_is_gone(HeapOwner owner) {
    return owner == ann;
}

HeapOptions owned() {
    HeapOptions options;
    options.owned = true;
    return options;
}

void overrun(std::span<std::byte> memory, HeapOffset at) {
    *reinterpret_cast<std::uint64_t*>(memory.data() + at) = nonsense;
}

class DamagedBytes : public testing::TestWithParam<HeapKind> {
protected:
    void SetUp() override {
        ASSERT_TRUE(format_heap(memory.view(), GetParam(), owned()));
        heap = *open_byte_heap(memory.view());
        for (std::uint64_t i = 0; i < many; ++i) {
            blocks.push_back(heap->allocate({me, ann}, 100, 8).value());
        }
        behind = blocks[1] + heap->usable_bytes(me, blocks[1]).value();
        overrun(memory.view(), behind);
    }
    [[nodiscard]] std::uint64_t left() { return heap->statistics(me)->blocks; }

    HeapMemory memory{4 << 20};
    std::unique_ptr<ByteHeap> heap;
    std::vector<HeapOffset> blocks;
    HeapOffset behind = 0;  ///< The word that the second block's user has written.
};

/// With what is overrun go its neighbours, which can not be joined with it.
constexpr std::uint64_t beside_it = 3;

TEST_P(DamagedBytes, KeepNothingElseOfTheDead) {
    const auto freed = heap->reclaim(host, ann_is_gone);
    ASSERT_TRUE(freed) << explain(freed.error());
    EXPECT_GE(*freed, many - beside_it);
    EXPECT_LE(left(), beside_it);
    const std::uint64_t before = left();
    EXPECT_EQ(heap->reclaim(host, ann_is_gone), 0U) << "no worse the second time";
    EXPECT_EQ(left(), before);
    EXPECT_TRUE(heap->allocate(me, 100, 8)) << "and it goes on";
}

TEST_P(DamagedBytes, AreNamedByAnAudit) {
    const auto findings = audit_heap(memory.view(), me);
    ASSERT_TRUE(findings) << findings.error().message;
    const auto near = testing::AllOf(testing::Ge(blocks[1] - 256), testing::Le(behind + 256));
    EXPECT_THAT(*findings, Contains(Field(&HeapFinding::at, near)));
}

INSTANTIATE_TEST_SUITE_P(Of, DamagedBytes,
                         testing::Values(HeapKind::tlsf, HeapKind::buddy, HeapKind::slab),
                         [](const auto& one) { return std::string(name_of(one.param)); });

TEST(DamagedTlsf, SaysThatItIs) {
    HeapMemory memory(1 << 20);
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::tlsf, owned()));
    const auto heap = *open_byte_heap(memory.view());
    const HeapOffset block = heap->allocate({me, ann}, 100, 8).value();
    ASSERT_TRUE(heap->allocate({me, ann}, 100, 8));
    overrun(memory.view(), block + heap->usable_bytes(me, block).value());
    EXPECT_FALSE(glance_at_heap(memory.view())->damaged);
    EXPECT_EQ(heap->reclaim(host, ann_is_gone), 1U) << "but the one whose size is nonsense";
    EXPECT_TRUE(glance_at_heap(memory.view())->damaged);
}

TEST(DamagedBytesOwner, ThatNobodyCanBeIsNamedByAnAudit) {
    HeapMemory memory(1 << 20);
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::tlsf, owned()));
    const auto heap = *open_byte_heap(memory.view());
    const HeapOffset block = heap->allocate({me, ann}, 100, 8).value();
    overrun(memory.view(), block - 16);
    const auto findings = heap->audit(me);
    ASSERT_TRUE(findings);
    ASSERT_EQ(findings->size(), 1U);
    EXPECT_EQ(findings->front().at, block - 16);
}

/// The only finding is at that word.
template <typename Heap>
void expect_only_finding(Heap& heap, HeapOffset at) {
    const auto findings = heap.audit(me);
    ASSERT_TRUE(findings) << explain(findings.error());
    ASSERT_EQ(findings->size(), 1U);
    EXPECT_EQ(findings->front().at, at);
    EXPECT_EQ(findings->front().text, owner_of_nobody);
}

TEST(DamagedPageOwner, ThatNobodyCanBeIsNamedByAnAudit) {
    HeapMemory memory(1 << 20);
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::bitmap_pages, owned()));
    const PagePlan plan = PagePlan::of(memory.view().size(), page_bytes, page_bytes, true).value();
    const auto heap = *open_page_heap(memory.view());
    const HeapOffset run = heap->allocate_pages({me, ann}, 10, page_bytes).value();
    const HeapOffset fourth = run + 3 * page_bytes;
    const HeapOffset word =
        plan.heap.engine_offset() + plan.shape.bytes() + 8 * (fourth / page_bytes);
    overrun(memory.view(), word);
    overrun(memory.view(), word + 8 * 100);  // Of a page that is free: it counts no more.
    expect_only_finding(*heap, word);
    EXPECT_EQ(heap->reclaim(host, ann_is_gone), 9U);
    expect_only_finding(*heap, word);
    EXPECT_TRUE(heap->free_pages(me, fourth, 1));
    EXPECT_THAT(heap->audit(me).value(), testing::IsEmpty());
}

TEST(DamagedIdOwner, ThatNobodyCanBeIsNamedByAnAudit) {
    HeapMemory memory(1 << 20);
    HeapOptions options = owned();
    options.first_id = 7;
    options.id_count = 1000;
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::ids, options));
    const IdPlan plan = IdPlan::of(memory.view().size(), 7, 1000, true).value();
    const auto heap = *open_id_heap(memory.view());
    ASSERT_EQ(heap->allocate_id({me, ann}, 10, 1), 7U);
    ASSERT_TRUE(heap->allocate_fixed_id(me, 500));
    const HeapOffset words = plan.heap.engine_offset() + 2 * plan.shape.bytes();
    overrun(memory.view(), words + 8 * 3);
    overrun(memory.view(), words + 8 * 100);        // Of one that is free.
    overrun(memory.view(), words + 8 * (500 - 7));  // What is fixed has no owner.
    expect_only_finding(*heap, words + 8 * 3);
    EXPECT_EQ(heap->reclaim(host, ann_is_gone), 9U);
    EXPECT_TRUE(heap->free_id(me, 10, 1));
    EXPECT_THAT(heap->audit(me).value(), testing::IsEmpty());
}

TEST(DamagedChainOwner, ThatNobodyCanBeIsNamedByAnAudit) {
    HeapMemory memory(1 << 20);
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::page_chain, owned()));
    const auto plan = plan_of_page_chain(memory.view()).value();
    const auto heap = *open_page_chain(memory.view());
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(heap->allocate({me, ann}));
    ASSERT_TRUE(heap->free(me, 5));
    const HeapOffset word = plan.owners + 8 * plan.number_of(3);
    overrun(memory.view(), word);
    overrun(memory.view(), plan.owners + 8 * plan.number_of(5));   // It is free.
    overrun(memory.view(), plan.owners + 8 * plan.number_of(50));  // It never was handed out.
    expect_only_finding(*heap, word);
    EXPECT_EQ(heap->reclaim(host, ann_is_gone), 8U);
    EXPECT_TRUE(heap->free(me, 3));
    EXPECT_THAT(heap->audit(me).value(), testing::IsEmpty());
}

TEST(DamagedPinOwner, ThatNobodyCanBeIsNamedByAnAudit) {
    HeapMemory memory(1 << 20);
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::page_chain, owned()));
    const auto plan = plan_of_page_chain(memory.view()).value();
    const auto heap = *open_page_chain(memory.view());
    const PageId page = heap->allocate({me, nobodys}).value();
    for (const HeapOwner pinner : {HeapOwner{12}, ann, HeapOwner{13}}) {
        ASSERT_TRUE(heap->pin({me, pinner}, page));
    }
    const HeapOffset first = plan.pins + 8;  // Of the place: whose it is.
    overrun(memory.view(), first);
    expect_only_finding(*heap, first);
    EXPECT_EQ(heap->reclaim(host, ann_is_gone), 1U) << "of ann, and of nobody else";
    EXPECT_TRUE(heap->unpin({me, 13}, page));
    EXPECT_EQ(heap->state(me, page), PageState::pinned);
    EXPECT_TRUE(heap->unpin({me, nonsense}, page)) << "who is called so can";
    EXPECT_THAT(heap->audit(me).value(), testing::IsEmpty());
}

TEST(DamagedObjects, KeepNothingElseOfTheDead) {
    HeapMemory memory(4 << 20);
    HeapOptions options = owned();
    options.block_bytes = 96;
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::slab_cache, options));
    const auto heap = *open_object_heap(memory.view());
    HeapOffset last = 0;
    for (std::uint64_t i = 0; i < many; ++i) last = heap->allocate({me, ann}).value();
    const HeapOffset slab = last / heap->slab_bytes() * heap->slab_bytes() - heap->slab_bytes();
    overrun(memory.view(), slab);  // Its guard.
    const std::uint64_t in_slab = heap->slab_bytes() / heap->object_bytes();
    const auto freed = heap->reclaim(host, ann_is_gone);
    ASSERT_TRUE(freed) << explain(freed.error());
    EXPECT_GE(*freed, many - in_slab);
    EXPECT_TRUE(glance_at_heap(memory.view())->damaged);
    EXPECT_EQ(heap->reclaim(host, ann_is_gone), 0U);
    const auto findings = audit_heap(memory.view(), me);
    ASSERT_TRUE(findings) << findings.error().message;
    EXPECT_THAT(*findings, Contains(Field(&HeapFinding::at, slab)));
}

TEST(DamagedPins, KeepNoPagesOfTheDead) {
    HeapMemory memory(1 << 20);
    ASSERT_TRUE(format_heap(memory.view(), HeapKind::page_chain, owned()));
    const auto plan = plan_of_page_chain(memory.view()).value();
    const auto heap = *open_page_chain(memory.view());
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(heap->allocate({me, ann}));
    overrun(memory.view(), plan.word(chain_words::pin_places));
    EXPECT_EQ(heap->reclaim(host, ann_is_gone), 20U);
    const auto findings = audit_heap(memory.view(), me);
    ASSERT_TRUE(findings) << findings.error().message;
    EXPECT_THAT(*findings, Not(testing::IsEmpty()));
}

/// All words that a heap keeps for itself, one at a time.
TEST(DamagedHeap, OfAnyKindIsAuditedWithoutAnError) {
    for (const HeapKind kind : {HeapKind::tlsf, HeapKind::buddy, HeapKind::slab,
                                HeapKind::bitmap_pages, HeapKind::page_chain, HeapKind::linear,
                                HeapKind::first_fit, HeapKind::ghost_tree, HeapKind::slab_stack}) {
        SCOPED_TRACE(name_of(kind));
        HeapMemory memory(128 << 10);
        ASSERT_TRUE(format_heap(memory.view(), kind));
        std::vector<std::byte> right(memory.view().begin(), memory.view().end());
        const auto& header = *reinterpret_cast<const HeapHeader*>(memory.view().data());
        const HeapOffset engine = header.engine_offset;
        for (HeapOffset at = engine; at < engine + 4096; at += 8) {
            std::ranges::copy(right, memory.view().begin());
            overrun(memory.view(), at);
            const auto findings = audit_heap(memory.view(), me);
            const bool is_refused = !findings && findings.error().code != Errc::heap_damaged;
            ASSERT_TRUE(findings || is_refused) << at;  // Some are not opened at all.
        }
    }
}

}  // namespace
}  // namespace shmpool
