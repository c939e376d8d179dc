// SPDX-License-Identifier: Apache-2.0
/// A buffer of Boost.Interprocess in a pool, between processes: a map and a total that every change
/// keeps equal stay so, whoever is killed in a change, and are read and changed by everybody.
#include "peer/best_fit.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <boost/interprocess/containers/map.hpp>
#include <csignal>
#include <functional>
#include <utility>

#include "tests/peer/peer_fixture.hpp"

namespace shmpool {
namespace {

using Entry = std::pair<const int, int>;
using Ledger = boost::interprocess::map<int, int, std::less<>, BestFitAllocator<Entry>>;

Ledger& ledger(BestFit& buffer) {
    return *buffer.find_or_construct<Ledger>("ledger")(buffer.get_segment_manager());
}
int& total(BestFit& buffer) {
    return *buffer.find_or_construct<int>("total")(0);
}
void book(BestFit& buffer, int key, int value) {
    total(buffer) += value;
    ledger(buffer).emplace(key, value);
}
/// How many entries, if they come to the total; else -1.
int entries(SharedBestFitHeap& heap) {
    return heap
        .look([](BestFit& buffer) {
            int sum = 0;
            for (const auto& [key, value] : ledger(buffer)) sum += value;
            return sum == total(buffer) ? static_cast<int>(ledger(buffer).size()) : -1;
        })
        .value();
}

class BestFitOfAPeer : public PeerTest {
protected:
    void create(std::uint64_t max_bytes = 0) {
        HeapSpec spec;
        spec.kind = HeapKind::best_fit;
        spec.bytes = 1 << 20;
        spec.max_bytes = max_bytes;
        const auto created = peer_.create_heap("orders", spec);
        ASSERT_TRUE(created) << created.error().message;
    }
};

TEST_F(BestFitOfAPeer, IsReadAndChangedByAnotherProcess) {
    create();
    auto mine = peer_.best_fit_heap("orders").value();
    ASSERT_TRUE(mine.change([](BestFit& buffer) { book(buffer, 1, 10); }));
    Child child([&] {
        PeerOptions options;
        options.control_thread = false;  // Of a child of fork() under the thread sanitizer.
        auto peer = Peer::attach(host_.pool(), options).value();
        auto its = peer.best_fit_heap("orders").value();
        if (entries(its) != 1) _exit(1);
        if (!its.change([](BestFit& buffer) { book(buffer, 2, 20); })) _exit(2);
        _exit(0);
    });
    EXPECT_EQ(child.wait(), 0);
    EXPECT_EQ(entries(mine), 2);
    EXPECT_THAT(mine.audit().value(), testing::IsEmpty());
}

TEST_F(BestFitOfAPeer, IsWholeWhoeverIsKilledInAChange) {
    create();
    auto mine = peer_.best_fit_heap("orders").value();
    ASSERT_TRUE(mine.change([](BestFit& buffer) { book(buffer, -1, 5); }));
    for (int round = 0; round < 20; ++round) {
        const int before = entries(mine);
        Child child([&] {
            PeerOptions options;
            options.control_thread = false;
            auto peer = Peer::attach(host_.pool(), options).value();
            auto its = peer.best_fit_heap("orders").value();
            for (int key = round * 100'000;; ++key) {
                if (!its.change([&](BestFit& buffer) { book(buffer, key, key % 7); })) _exit(1);
                if (!its.change([&](BestFit& buffer) {
                        const auto oldest = ledger(buffer).begin();
                        total(buffer) -= oldest->second;
                        ledger(buffer).erase(oldest);
                    })) {
                    _exit(2);
                }
            }
        });
        ::usleep(static_cast<useconds_t>(20'000 + 977 * round));
        child.signal(SIGKILL);
        child.wait();
        const int now = entries(mine);
        ASSERT_TRUE(now == before || now == before + 1) << "before " << before << ", now " << now;
        ASSERT_THAT(mine.audit().value(), testing::IsEmpty());
    }
}

TEST_F(BestFitOfAPeer, GrowsWhileItIsOpen) {
    create(16 << 20);
    auto mine = peer_.best_fit_heap("orders").value();
    const auto fill = [&] {
        return mine.change(
            [](BestFit& buffer) { (void)buffer.construct<char>("bytes")[4 << 20]('x'); });
    };
    EXPECT_EQ(fill().error(), Errc::no_memory);
    ASSERT_TRUE(other_.grow_heap("orders", 16 << 20));
    EXPECT_EQ(fill().error(), Errc::change_too_large) << "its journal did not grow";
    ASSERT_TRUE(mine.change([](BestFit& buffer) { (void)buffer.allocate(4 << 20); }));
    EXPECT_THAT(mine.audit().value(), testing::IsEmpty());
}

TEST_F(BestFitOfAPeer, IsNothingElse) {
    create();
    EXPECT_EQ(peer_.byte_heap("orders").error().code, Errc::config_mismatch);
    HeapSpec spec;
    spec.bytes = 1 << 20;
    ASSERT_TRUE(peer_.create_heap("table", spec));
    const auto opened = peer_.best_fit_heap("table");
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::config_mismatch);
    EXPECT_THAT(opened.error().message, testing::HasSubstr("heap 'table'"));
    spec.kind = HeapKind::best_fit;
    spec.on_death = OnDeath::reclaim;
    const auto owned = peer_.create_heap("owned", spec);
    ASSERT_FALSE(owned);
    EXPECT_EQ(owned.error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace shmpool
