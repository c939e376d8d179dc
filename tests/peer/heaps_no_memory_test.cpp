// SPDX-License-Identifier: Apache-2.0
/// Goal: a peer that has no memory of its own for what it asks of a heap is told so; the other
/// peers, and its own other threads, find the heap as it was, and nobody in it.
#include <gtest/gtest.h>

#include <thread>

#include "tests/peer/peer_fixture.hpp"
#include "tests/shmpool/heap/failing_new.hpp"

namespace shmpool {
namespace {

class HeapsWithoutMemory : public PeerTest {
protected:
    void create(const char* name, HeapKind kind) {
        HeapSpec spec;
        spec.kind = kind;
        spec.bytes = 1 << 20;
        ASSERT_TRUE(peer_.create_heap(name, spec));
    }
};

TEST_F(HeapsWithoutMemory, LockNobodyOut) {
    create("tree", HeapKind::ghost_tree);
    auto mine = peer_.stack_heap("tree").value();
    auto its = other_.stack_heap("tree").value();
    const StackHandle block = its.alloc(100).value();
    const auto go_on = [&](const auto& result) {
        EXPECT_FALSE(result);
        EXPECT_EQ(result.error(), Errc::out_of_memory);
        const auto taken = its.alloc(200);
        ASSERT_TRUE(taken) << explain(taken.error());
        EXPECT_TRUE(its.dealloc(*taken));
        EXPECT_EQ(its.statistics()->blocks, 1U);
        EXPECT_TRUE(its.audit().value().empty());
    };
    const std::vector<std::uint64_t> lengths{100, 200, 300};
    std::vector<StackHandle> handles;
    // A thread of its own: also what it needs to be known to the pool is not to be had.
    std::thread([&] {
        const auto told = test::at_each_allocation(
            [&] {
                return mine.alloc_bulk(lengths).map(
                    [&](std::vector<StackHandle> all) { handles.swap(all); });
            },
            go_on);
        EXPECT_GT(told.failures, 1U);
        EXPECT_EQ(told.thrown, 0U);
    }).join();
    EXPECT_EQ(handles.size(), 3U);
    EXPECT_TRUE(its.dealloc_bulk(handles));
    EXPECT_TRUE(mine.dealloc(block));
}

TEST_F(HeapsWithoutMemory, AreAuditedByWhoHasSome) {
    create("table", HeapKind::tlsf);
    auto mine = peer_.byte_heap("table").value();
    auto its = other_.byte_heap("table").value();
    ASSERT_TRUE(mine.allocate(100));
    const auto told = test::at_each_allocation([&] { return mine.audit(); },
                                               [&](const auto& result) {
                                                   EXPECT_EQ(result.error(), Errc::out_of_memory);
                                                   const auto taken = its.allocate(100);
            ASSERT_TRUE(taken) << explain(taken.error());
            EXPECT_TRUE(its.free(*taken));
                                                   EXPECT_TRUE(its.audit().value().empty());
                                               });
    EXPECT_GT(told.failures, 0U);
    EXPECT_EQ(told.thrown, 0U);
}

}  // namespace
}  // namespace shmpool
