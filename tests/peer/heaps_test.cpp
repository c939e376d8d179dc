// SPDX-License-Identifier: Apache-2.0
/// Heaps of a real host, between processes: created by one, used by others, and left as they were
/// by whoever is killed in the middle of a change.
#include <gmock/gmock.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "tests/peer/peer_fixture.hpp"

namespace shmpool {
namespace {

HeapSpec spec_of(HeapKind kind, std::uint64_t bytes) {
    HeapSpec spec;
    spec.kind = kind;
    spec.bytes = bytes;
    return spec;
}

HeapSpec reclaimed(HeapKind kind) {
    HeapSpec spec = spec_of(kind, 1 << 20);
    spec.on_death = OnDeath::reclaim;
    if (kind == HeapKind::ids) spec.options.id_count = 100;
    return spec;
}

/// The thread sanitizer lets the child of a process with threads start none.
Peer attach_in_child(const std::string& pool) {
    PeerOptions options;
    options.control_thread = false;
    return Peer::attach(pool, options).value();
}

class HeapsTest : public PeerTest {
protected:
    void create(const char* name, const HeapSpec& spec = spec_of(HeapKind::tlsf, 1 << 20)) {
        const auto created = peer_.create_heap(name, spec);
        ASSERT_TRUE(created) << created.error().message;
    }
    static Errc code_of(const Result<HeapId>& result) {
        return result ? Errc::internal_fault : result.error().code;
    }
};

TEST_F(HeapsTest, WhatOnePeerWritesAnotherReadsAtTheSameOffset) {
    create("table");
    auto mine = peer_.byte_heap("table").value();
    const HeapOffset block = mine.allocate(1000).value();
    std::memcpy(mine.at(block), "shared", 7);
    EXPECT_EQ(mine.offset_of(mine.at(block)), block);

    auto theirs = other_.byte_heap("table").value();
    EXPECT_NE(mine.memory().data(), theirs.memory().data()) << "the same bytes, mapped twice";
    EXPECT_STREQ(static_cast<const char*>(theirs.at(block)), "shared");
    EXPECT_TRUE(theirs.free(block));
    EXPECT_EQ(mine.free(block).error(), Errc::not_allocated);
    EXPECT_EQ(mine.statistics()->blocks, 0U);
    EXPECT_THAT(mine.audit().value(), testing::IsEmpty());
}

TEST_F(HeapsTest, OfEveryKindCanBeUsedByAnyPeer) {
    create("pages", spec_of(HeapKind::bitmap_pages, 1 << 20));
    auto pages = other_.page_heap("pages").value();
    const HeapOffset run = pages.allocate_pages(3).value();
    EXPECT_TRUE(pages.free_pages(run, 3));

    create("chain", spec_of(HeapKind::page_chain, 1 << 20));
    auto chain = other_.page_chain("chain").value();
    const PageId page = chain.allocate().value();
    auto mine = peer_.page_chain("chain").value();
    EXPECT_TRUE(chain.pin(page));
    EXPECT_EQ(mine.free(page).error(), Errc::pinned);
    chain.bytes(page)[100] = std::byte{7};
    EXPECT_EQ(mine.bytes(page)[100], std::byte{7}) << "the same bytes, mapped twice";
    EXPECT_EQ(mine.state(page), PageState::pinned);
    EXPECT_TRUE(mine.unpin(page)) << "in a heap that only keeps, pins are counted and no more";
    EXPECT_TRUE(mine.free(page));
    EXPECT_EQ(mine.snapshot()->free_head, page);
    EXPECT_TRUE(mine.bytes(1).empty());

    create("buddies", spec_of(HeapKind::buddy, 1 << 20));
    EXPECT_TRUE(other_.byte_heap("buddies").value().allocate(100));

    HeapSpec ids = spec_of(HeapKind::ids, 1 << 16);
    ids.options.first_id = 100;
    ids.options.id_count = 1000;
    create("ids", ids);
    EXPECT_EQ(other_.id_heap("ids").value().allocate_id().value(), 100U);
}

TEST_F(HeapsTest, AreListedWithWhoHasThemOpen) {  // T-AR-25
    create("table");
    auto mine = peer_.byte_heap("table").value();
    {
        auto theirs = other_.byte_heap("table").value();
        auto again = other_.byte_heap("table").value();
        const auto all = other_.heaps().value();
        ASSERT_EQ(all.size(), 1U);
        EXPECT_EQ(all[0].name, "table");
        EXPECT_EQ(all[0].kind, HeapKind::tlsf);
        EXPECT_EQ(all[0].bytes, 1U << 20);
        EXPECT_THAT(all[0].users, testing::UnorderedElementsAre(peer_.index(), other_.index()));
    }
    EXPECT_THAT(peer_.heaps().value()[0].users, testing::ElementsAre(peer_.index()));
}

TEST_F(HeapsTest, ABadRequestIsRefusedWithItsReasonAndChangesNothing) {
    create("table");
    EXPECT_EQ(code_of(peer_.create_heap("table", spec_of(HeapKind::tlsf, 4096))), Errc::name_taken);
    EXPECT_EQ(code_of(peer_.create_heap("", spec_of(HeapKind::tlsf, 4096))),
              Errc::invalid_argument);
    EXPECT_EQ(code_of(peer_.create_heap(std::string(64, 'x'), spec_of(HeapKind::tlsf, 4096))),
              Errc::invalid_argument);
    EXPECT_EQ(code_of(peer_.create_heap("small", spec_of(HeapKind::tlsf, 0))),
              Errc::invalid_argument);
    EXPECT_EQ(code_of(peer_.create_heap("small", spec_of(HeapKind::tlsf, 4096))),
              Errc::region_too_small);
    EXPECT_EQ(code_of(peer_.create_heap("huge", spec_of(HeapKind::tlsf, ~std::uint64_t{0}))),
              Errc::invalid_argument);
    EXPECT_EQ(code_of(peer_.create_heap("rest", spec_of(HeapKind::tlsf, 1 << 30))),
              Errc::no_heap_room);
    EXPECT_EQ(code_of(peer_.create_heap("what", spec_of(HeapKind{999}, 1 << 20))),
              Errc::unsupported);
    EXPECT_EQ(peer_.byte_heap("nothing").error().code, Errc::no_heap);
    EXPECT_EQ(peer_.id_heap("table").error().code, Errc::config_mismatch);
    EXPECT_EQ(peer_.destroy_heap("nothing").error().code, Errc::no_heap);
    EXPECT_EQ(peer_.heaps().value().size(), 1U);
}

TEST_F(HeapsTest, IsNotDestroyedAsLongAsSomebodyHasItOpen) {
    create("table");
    {
        const auto theirs = other_.byte_heap("table").value();
        const auto refused = peer_.destroy_heap("table");
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::heap_in_use);
        EXPECT_THAT(refused.error().message,
                    testing::HasSubstr("peer " + std::to_string(other_.index())));
    }
    EXPECT_TRUE(peer_.destroy_heap("table"));
    EXPECT_EQ(peer_.byte_heap("table").error().code, Errc::no_heap);
    create("table", spec_of(HeapKind::buddy, 1 << 20));
    EXPECT_EQ(peer_.byte_heap("table").value().statistics()->blocks, 0U);
}

TEST_F(HeapsTest, GrowWhileTheyAreInUse) {
    HeapSpec spec = spec_of(HeapKind::bitmap_pages, 1 << 20);
    spec.max_bytes = 4 << 20;
    create("pages", spec);
    auto theirs = other_.page_heap("pages").value();
    const HeapOffset first = theirs.allocate_pages(100).value();
    EXPECT_EQ(theirs.allocate_pages(300).error(), Errc::no_memory);
    const auto grown = peer_.grow_heap("pages", 4 << 20);
    ASSERT_TRUE(grown) << grown.error().message;
    const HeapOffset second = theirs.allocate_pages(700).value();
    std::memset(theirs.at(second), 1, 700 * page_bytes);
    EXPECT_TRUE(theirs.free_pages(second, 700));
    EXPECT_TRUE(theirs.free_pages(first, 100));
    EXPECT_EQ(peer_.heaps().value()[0].committed_bytes, 4U << 20);
    EXPECT_EQ(peer_.grow_heap("pages", 5 << 20).error().code, Errc::no_heap_room);
    EXPECT_EQ(peer_.grow_heap("nothing", 1).error().code, Errc::no_heap);
    EXPECT_THAT(theirs.audit().value(), testing::IsEmpty());
}

TEST_F(HeapsTest, WhatIsInACellIsFoundByAllAndOutlivesItsAuthor) {
    create("blocks", reclaimed(HeapKind::tlsf));
    auto mine = peer_.byte_heap("blocks").value();
    Child child([&] {
        auto peer = attach_in_child(host_.pool());
        auto its = peer.byte_heap("blocks").value();
        (void)its.allocate(1000).value();
        const HeapOffset block = its.allocate(1000).value();
        std::memcpy(its.at(block), "ready", 6);
        if (!its.keep_in(block, HeapCell::root())) std::abort();
        pause();
    });
    ASSERT_TRUE(eventually([&] { return mine.root() != 0; }));
    EXPECT_STREQ(static_cast<const char*>(mine.at(mine.root())), "ready");
    child.signal(SIGKILL);
    child.wait();
    EXPECT_TRUE(eventually([&] { return mine.statistics()->blocks == 1; }));
    EXPECT_STREQ(static_cast<const char*>(mine.at(mine.root())), "ready");
    EXPECT_EQ(mine.allocate_into(8, HeapCell::root()).error(), Errc::cell_in_use);
    EXPECT_TRUE(mine.free_from(HeapCell::root()));
    EXPECT_EQ(mine.root(), 0U);
    EXPECT_EQ(mine.statistics()->blocks, 0U);
}

TEST_F(HeapsTest, AReadOnlyPeerReadsAndCanNotAllocate) {
    create("table");
    auto mine = peer_.byte_heap("table").value();
    const HeapOffset block = mine.allocate(16).value();
    std::memcpy(mine.at(block), "seen", 5);
    PeerOptions options;
    options.read_only = true;
    auto reader = Peer::attach(host_.pool(), options).value();
    auto theirs = reader.byte_heap("table").value();
    EXPECT_STREQ(static_cast<const char*>(theirs.at(block)), "seen");
    EXPECT_EQ(theirs.allocate(16).error(), Errc::read_only);
    EXPECT_EQ(theirs.free(block).error(), Errc::read_only);
    EXPECT_EQ(code_of(reader.create_heap("mine", spec_of(HeapKind::tlsf, 1 << 20))),
              Errc::read_only);
}

// --- deaths --------------------------------------------------------------------------------------

/// Allocates and frees until it is killed.
[[noreturn]] void play_forever(const std::string& pool) {
    auto peer = attach_in_child(pool);
    auto heap = peer.byte_heap("table").value();
    std::vector<HeapOffset> blocks;
    for (std::uint64_t step = 1;; ++step) {
        if (blocks.size() < 8 || step % 3 != 0) {
            if (const auto block = heap.allocate(32 + step * 97 % 3000)) blocks.push_back(*block);
        }
        if (blocks.size() > 64 || step % 3 == 0) {
            if (!heap.free(blocks[step % blocks.size()])) std::abort();
            blocks[step % blocks.size()] = blocks.back();
            blocks.pop_back();
        }
    }
}

TEST_F(HeapsTest, WhoIsKilledInItLeavesItWholeAndLockedByNobody) {
    create("table", spec_of(HeapKind::tlsf, 16 << 20));
    auto mine = peer_.byte_heap("table").value();
    int held_the_lock = 0;
    for (int round = 0; round < 40; ++round) {
        Child one([&] { play_forever(host_.pool()); });
        Child two([&] { play_forever(host_.pool()); });
        std::this_thread::sleep_for(std::chrono::milliseconds(10 + round % 7));
        one.signal(SIGSTOP);
        one.signal(SIGKILL);
        one.wait();
        const HeapLock lock(reinterpret_cast<HeapHeader*>(mine.memory().data())->lock);
        held_the_lock += lock.holder() != 0 ? 1 : 0;
        const auto block = mine.allocate(100);
        ASSERT_TRUE(block) << explain(block.error()) << " in round " << round;
        ASSERT_TRUE(mine.free(*block));
        two.signal(SIGKILL);
        two.wait();
        const auto findings = mine.audit();
        ASSERT_TRUE(findings) << explain(findings.error());
        for (const auto& finding : *findings) ADD_FAILURE() << round << ": " << finding.text;
    }
    RecordProperty("held_the_lock", held_the_lock);
}

TEST_F(HeapsTest, TheDeathOfALocksHolderIsNoticedByTheKernelsWord) {
    create("table");
    auto mine = peer_.byte_heap("table").value();
    HeapLock lock(reinterpret_cast<HeapHeader*>(mine.memory().data())->lock);
    Child holder([&] {
        auto peer = attach_in_child(host_.pool());
        auto heap = peer.byte_heap("table").value();
        (void)heap.allocate(100);  // Now this thread has a lane.
        const PoolView& pool = peer.pool().view();
        std::uint32_t lane = 1;
        while (peer_of_owner(pool.lanes[lane].owner.load()) != peer.index()) ++lane;
        HeapLock its(reinterpret_cast<HeapHeader*>(heap.memory().data())->lock);
        if (!its.lock(lane + 1, std::chrono::seconds(1))) std::abort();
        pause();
    });
    ASSERT_TRUE(eventually([&] { return lock.holder() != 0; }));
    holder.signal(SIGKILL);
    holder.wait();
    const auto block = mine.allocate(100);  // Waits for the host's word, not for its own patience.
    EXPECT_TRUE(block) << explain(block.error());
    EXPECT_TRUE(eventually([&] {
        return peer_.heaps().value()[0].users == std::vector<std::uint32_t>{peer_.index()};
    }));
}

/// As of one that was killed between unlocking and waking: found by `scripts/crash sweep`.
TEST_F(HeapsTest, WhoWaitsLooksAgainWhenSomebodyHasDied) {
    create("table");
    auto mine = peer_.byte_heap("table").value();
    Atomic<std::uint32_t>& word = reinterpret_cast<HeapHeader*>(mine.memory().data())->lock;
    Child child([&] {
        auto peer = attach_in_child(host_.pool());
        auto heap = peer.byte_heap("table").value();
        pause();
    });
    ASSERT_TRUE(eventually([&] { return peer_.heaps().value()[0].users.size() == 2; }));
    ASSERT_TRUE(HeapLock(word).lock(4711, std::chrono::seconds(1)));
    std::thread waiting([&] { EXPECT_TRUE(mine.allocate(100)); });
    ASSERT_TRUE(eventually([&] { return (word.load() >> 31) != 0; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // Until it sleeps.
    word = 0;                                                    // Nobody is woken.
    const auto begin = std::chrono::steady_clock::now();
    child.signal(SIGKILL);
    child.wait();
    waiting.join();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, heap_patience / 2) << "it was not told";
}

TEST_F(HeapsTest, WhatTheDeadHeldIsTakenBackIfTheHeapSaysSo) {
    create("blocks", reclaimed(HeapKind::tlsf));
    create("pages", reclaimed(HeapKind::bitmap_pages));
    create("ids", reclaimed(HeapKind::ids));
    create("kept");
    auto blocks = peer_.byte_heap("blocks").value();
    auto pages = peer_.page_heap("pages").value();
    auto ids = peer_.id_heap("ids").value();
    auto kept = peer_.byte_heap("kept").value();
    (void)blocks.allocate(100).value();
    Child child([&] {
        auto peer = attach_in_child(host_.pool());
        auto its_blocks = peer.byte_heap("blocks").value();
        for (int i = 0; i < 100; ++i) (void)its_blocks.allocate(1000).value();
        (void)its_blocks.keep(its_blocks.allocate(1000).value());
        (void)peer.page_heap("pages").value().allocate_pages(7).value();
        (void)peer.id_heap("ids").value().allocate_id(3).value();
        (void)peer.byte_heap("kept").value().allocate(100).value();
        pause();
    });
    ASSERT_TRUE(eventually([&] { return kept.statistics()->blocks == 1; }));
    EXPECT_EQ(blocks.statistics()->blocks, 102U);
    child.signal(SIGKILL);
    child.wait();
    EXPECT_TRUE(eventually([&] { return blocks.statistics()->blocks == 2; }));
    EXPECT_TRUE(eventually([&] { return pages.statistics()->used_pages == 0; }));
    EXPECT_TRUE(eventually([&] { return ids.statistics()->used == 0; }));
    EXPECT_EQ(kept.statistics()->blocks, 1U);
    EXPECT_THAT(blocks.audit().value(), testing::IsEmpty());
}

TEST_F(HeapsTest, PinsOfTheDeadAreTakenOff) {  // T-PG-30
    create("chain", reclaimed(HeapKind::page_chain));
    auto chain = peer_.page_chain("chain").value();
    const PageId mine = chain.allocate().value();
    Child child([&] {
        auto peer = attach_in_child(host_.pool());
        auto its_chain = peer.page_chain("chain").value();
        for (int i = 0; i < 3; ++i) (void)its_chain.pin(mine);
        for (int i = 0; i < 10; ++i) (void)its_chain.pin(its_chain.allocate().value());
        pause();
    });
    ASSERT_TRUE(eventually([&] {
        return chain.statistics()->allocated == 13 && chain.state(12) == PageState::pinned;
    }));
    EXPECT_TRUE(chain.pin(2));
    EXPECT_TRUE(chain.pin(7)) << "it outlives who has allocated it";
    EXPECT_EQ(chain.free(mine).error(), Errc::pinned);
    child.signal(SIGKILL);
    child.wait();
    EXPECT_TRUE(eventually([&] { return chain.statistics()->allocated == 4; }));
    EXPECT_EQ(chain.state(7), PageState::pinned);
    EXPECT_TRUE(chain.unpin(7));
    EXPECT_EQ(chain.state(7), PageState::free);
    EXPECT_TRUE(chain.unpin(mine));
    EXPECT_TRUE(chain.free(mine));
    EXPECT_THAT(chain.audit().value(), testing::IsEmpty());
}

TEST_F(HeapsTest, WhatTheDeadHeldIsTakenBackByTheNextHostToo) {
    create("blocks", reclaimed(HeapKind::buddy));
    auto blocks = peer_.byte_heap("blocks").value();
    Child child([&] {
        auto peer = attach_in_child(host_.pool());
        (void)peer.byte_heap("blocks").value().allocate(1000).value();
        pause();
    });
    ASSERT_TRUE(eventually([&] { return blocks.statistics()->blocks == 1; }));
    host_.signal(SIGKILL);
    host_.wait();
    child.signal(SIGKILL);
    child.wait();
    EXPECT_EQ(blocks.statistics()->blocks, 1U) << "there is nobody to do it";
    host_.start();
    EXPECT_TRUE(eventually([&] { return blocks.statistics()->blocks == 0; }));
}

TEST_F(HeapsTest, SurviveTheirHost) {
    create("table");
    auto mine = peer_.byte_heap("table").value();
    const HeapOffset block = mine.allocate(100).value();
    std::memcpy(mine.at(block), "still here", 11);
    auto closed_meanwhile = std::optional(other_.byte_heap("table").value());
    host_.signal(SIGKILL);
    host_.wait();
    EXPECT_TRUE(mine.allocate(100)) << "needs no host";
    closed_meanwhile.reset();
    host_.start();
    EXPECT_TRUE(eventually([&] { return !peer_.host_gone() && !other_.host_gone(); }));
    auto theirs = attach("later").byte_heap("table").value();
    EXPECT_STREQ(static_cast<const char*>(theirs.at(block)), "still here");
    EXPECT_TRUE(eventually([&] {
        const auto users = peer_.heaps().value()[0].users;
        return std::ranges::find(users, other_.index()) == users.end();
    })) << "what was closed while there was no host is closed when the peer is back";
    EXPECT_EQ(peer_.destroy_heap("table").error().code, Errc::heap_in_use);
}

}  // namespace
}  // namespace shmpool
