// SPDX-License-Identifier: Apache-2.0
/// Goal: whatever somebody writes into a page_chain, nobody who uses it crashes, hangs, or touches
/// memory that is not the heap's, and an audit finds it. Method: every word of it is overwritten,
/// each with some values; then everything is called.
#include <random>

#include "tests/shmpool/heap/own_page_chain.hpp"

namespace shmpool {
namespace {

using test::broken;
using test::OwnPageChain;

constexpr HeapHolder me = OwnPageChain::me;
constexpr HeapOwner ann = 11;
constexpr HeapOwner bob = 12;
constexpr HeapOwner cid = 13;

bool ann_is_gone(HeapOwner owner) {
    return owner == ann;
}

void call_everything(PageChain& heap) {
    for (PageId page = 0; page < 20; ++page) {
        (void)heap.allocate({me, ann});
        (void)heap.pin({me, bob}, page);
        (void)heap.unpin({me, bob}, page / 2);
        (void)heap.free(me, page);
        (void)heap.state(me, page);
        (void)heap.set_owner(me, page, cid);
    }
    (void)heap.reclaim(me, ann_is_gone);
    (void)heap.snapshot(me);
    (void)heap.statistics(me);
    (void)heap.audit(me);
    (void)heap.reclaim(me, [](HeapOwner) { return true; });
}

void furnish(OwnPageChain& own) {
    own.allocate_many(5);
    for (PageId page = 2; page < 5; ++page) EXPECT_TRUE(own.heap->pin({me, ann}, page));
    EXPECT_TRUE(own.heap->pin({me, bob}, 2));
    EXPECT_TRUE(own.heap->unpin({me, ann}, 3));
    own.free(5);
    own.free(6);
}

TEST(PageChainNonsense, CrashesAndHangsNobody) {
    std::mt19937_64 random(7);
    const std::size_t bytes = 64 << 10;
    for (const bool owned : {false, true}) {
        const PageChainPlan plan = PageChainPlan::of(bytes, page_bytes, page_bytes, owned).value();
        // Every word: of the header, the journal, the engine, and the first ones of some pages.
        for (HeapOffset at = 0; at < plan.begin + 6 * page_bytes; at += 8) {
            if (at > plan.begin && at % page_bytes > 16) continue;
            for (const std::uint64_t value : {std::uint64_t{0}, ~std::uint64_t{0}, random(),
                                              random() % 16, std::uint64_t{1} << (random() % 64)}) {
                OwnPageChain own(bytes, owned);
                furnish(own);
                own.word(at) = at == 64 ? value & 0xFFFF'FFFF'0000'0000U : value;  // No lock.
                own.abandon();
                if (const auto heap = open_page_chain(own.memory.view(), {})) {
                    call_everything(**heap);
                }
            }
        }
    }
}

TEST(PageChainNonsense, IsFoundByAnAudit) {
    OwnPageChain own(1 << 20, true);
    furnish(own);
    const PageChainPlan plan = own.plan();
    const HeapOffset words[] = {plan.word(chain_words::total_pages),
                                plan.word(chain_words::free_head),
                                plan.word(chain_words::free_count),
                                plan.word(chain_words::pin_head),
                                plan.word(chain_words::pin_places),
                                plan.states,
                                plan.states + 8,
                                plan.states + 8 * 20,
                                plan.pins,
                                plan.pins + 16,
                                plan.offset_of(6),
                                plan.offset_of(5) + 8};
    for (const HeapOffset at : words) {
        for (const std::uint64_t change : {1U, 2U, 64U}) {
            own.word(at) ^= change;
            EXPECT_NE(broken(*own.heap, me), "") << at << " " << change;
            own.word(at) ^= change;
        }
    }
}

}  // namespace
}  // namespace shmpool
