// SPDX-License-Identifier: Apache-2.0
/// Objects of one type in a slab cache of a real host: between processes, at two addresses, and
/// beside who is killed. Ids in brackets are of the list of features.
#include "shmpool/heap/slab_cache.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <csignal>
#include <random>
#include <thread>

#include "peer/heap_hold.hpp"
#include "tests/peer/peer_fixture.hpp"

namespace shmpool {
namespace {

struct Order {
    std::uint64_t number;
    std::uint64_t check;
};

using Orders = SlabCache<Order, SharedObjectHeap>;

Orders orders_of(Peer& peer) {
    return Orders::over(peer.object_heap("orders").value()).value();
}

class SlabCaches : public PeerTest {
protected:
    void create(OnDeath on_death) {
        HeapSpec spec;
        spec.kind = HeapKind::slab_cache;
        spec.bytes = 1 << 20;
        spec.options = slab_cache_options<Order, 512>();
        spec.on_death = on_death;
        const auto created = peer_.create_heap("orders", spec);
        ASSERT_TRUE(created) << created.error().message;
    }
    static Peer attach_in_child(const std::string& pool) {
        PeerOptions options;
        options.control_thread = false;
        return Peer::attach(pool, options).value();
    }
};

TEST_F(SlabCaches, HandAnObjectToAnotherProcessAtAnotherAddress) {  // T-AS-13
    create(OnDeath::keep);
    auto mine = orders_of(peer_);
    const HeapOffset offset = mine.emplace(Order{5, 6}).value().release();
    ASSERT_TRUE(mine.objects().set_root(offset));
    Child child([&] {
        auto first = attach_in_child(host_.pool());
        auto peer = attach_in_child(host_.pool());  // Mapped twice: one of them is elsewhere.
        const bool is_here =
            orders_of(peer).objects().memory().data() == mine.objects().memory().data();
        auto its = orders_of(is_here ? first : peer);
        bool is_right = its.objects().memory().data() != mine.objects().memory().data();
        {
            const auto box = its.adopt(its.objects().root()).value();
            is_right = is_right && box->number == 5 && box->check == 6;
            (void)its.objects().set_root(its.emplace(Order{7, 8}).value().release());
        }
        _exit(is_right ? 0 : 1);
    });
    EXPECT_EQ(child.wait(), 0);
    EXPECT_EQ(mine.adopt(mine.objects().root())->operator->()->number, 7U);
    EXPECT_EQ(mine.objects().free(offset).error(), Errc::not_allocated) << "freed by the other";
}

/// T-AS-1, in two processes: each fills what it has with its own mark, and looks before it frees.
void trade(Orders orders, std::uint64_t key, int steps) {
    std::mt19937_64 random(key);
    std::vector<Orders::Box> mine;
    for (int step = 0; step < steps; ++step) {
        if (mine.size() < 20 || (mine.size() < 200 && random() % 2 == 0)) {
            const std::uint64_t number = random();
            auto box = orders.emplace(Order{number, number ^ key});
            if (box) mine.push_back(std::move(*box));
        } else {
            std::swap(mine[random() % mine.size()], mine.back());
            if ((mine.back()->number ^ mine.back()->check) != key) std::abort();
            mine.pop_back();
        }
    }
}

TEST_F(SlabCaches, AreUsedByTwentyThreadsAndAnotherProcess) {  // T-AS-1
    create(OnDeath::keep);
    auto orders = orders_of(peer_);
    Child child([&] {
        auto peer = attach_in_child(host_.pool());
        trade(orders_of(peer), 4711, 20'000);
        _exit(0);
    });
    std::vector<std::thread> threads;
    for (std::uint64_t key = 1; key <= 20; ++key) {
        threads.emplace_back([orders, key] { trade(orders, key, 2'000); });
    }
    for (std::thread& one : threads) one.join();
    EXPECT_EQ(child.wait(), 0);
    EXPECT_EQ(orders.objects().statistics()->used_objects, 0U);
    EXPECT_THAT(orders.objects().audit().value(), testing::IsEmpty());
}

TEST_F(SlabCaches, TakeBackWhatTheDeadHeldButNotWhatTheyKept) {  // T-AS-20, T-AS-21
    create(OnDeath::reclaim);
    auto orders = orders_of(peer_);
    const auto box = orders.emplace(Order{1, 2}).value();
    for (int round = 0; round < 10; ++round) {
        Child child([&] {
            auto peer = attach_in_child(host_.pool());
            auto its = orders_of(peer);
            const auto kept = its.emplace(Order{3, 4}).value().release();
            if (!its.objects().keep(kept) || !its.objects().set_root(kept)) _exit(1);
            for (unsigned key = 0;; ++key) trade(its, key, 1'000);
        });
        ASSERT_TRUE(eventually([&] { return orders.objects().root() != 0; }));
        ::usleep(static_cast<useconds_t>(500 * (1 + round)));
        child.signal(SIGKILL);
        child.wait();
        EXPECT_TRUE(eventually([&] { return orders.objects().statistics()->used_objects == 2; }));
        EXPECT_THAT(orders.objects().audit().value(), testing::IsEmpty());
        EXPECT_EQ(orders.adopt(orders.objects().root())->operator->()->number, 3U);
        ASSERT_TRUE(orders.objects().set_root(0));
    }
}

TEST_F(SlabCaches, AreOpenAsLongAsABoxIs) {  // T-AS-12, D-AS-10
    create(OnDeath::keep);
    auto box = [&] { return orders_of(peer_).emplace(Order{1, 2}).value(); }();
    EXPECT_EQ(other_.destroy_heap("orders").error().code, Errc::heap_in_use);
    Child child([&] {
        auto peer = attach_in_child(host_.pool());
        const auto its = orders_of(peer).emplace(Order{1, 2}).value();
        pause();
    });
    ASSERT_TRUE(eventually([&] { return box.shelf()->objects.statistics()->used_objects == 2; }));
    { const auto last = std::move(box); }
    EXPECT_EQ(other_.destroy_heap("orders").error().code, Errc::heap_in_use) << "the child's";
    child.signal(SIGKILL);
    child.wait();
    EXPECT_TRUE(eventually([&] { return other_.destroy_heap("orders").has_value(); }));
}

TEST_F(SlabCaches, AreNoHeapsOfBytesNorTheOtherWayRound) {
    create(OnDeath::keep);
    EXPECT_EQ(peer_.byte_heap("orders").error().code, Errc::config_mismatch);
    HeapSpec table;
    table.bytes = 1 << 20;
    ASSERT_TRUE(peer_.create_heap("table", table));
    EXPECT_EQ(peer_.object_heap("table").error().code, Errc::config_mismatch);
    auto objects = peer_.object_heap("orders").value();
    { const ObjectHold hold(objects, objects.allocate().value()); }
    EXPECT_EQ(objects.statistics()->used_objects, 0U);
}

}  // namespace
}  // namespace shmpool
