// SPDX-License-Identifier: Apache-2.0
/// Beacons of threads of this process: for the kernel they are as good as peers.
#include "host/beacon_watcher.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/host/daemon.hpp"

namespace shmpool::host {
namespace {

using test::eventually;

/// A thread that holds a beacon until it is told to end.
class Holder {
public:
    Holder() : memory_(*create_beacon_memory()) {
        thread_ = std::thread([this] {
            beacon_ = *Beacon::hold(memory_);  // Never let go: the thread dies with it.
            held_.store(true);
            while (!end_.load()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        });
        while (!held_.load()) std::this_thread::yield();
    }
    ~Holder() { die(); }
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;

    void die() {
        end_.store(true);
        if (thread_.joinable()) thread_.join();
    }
    [[nodiscard]] BeaconWatch watch() const { return *BeaconWatch::watch(memory_); }

private:
    Descriptor memory_;
    Beacon beacon_;  // Its end on another thread than the holder's does nothing.
    std::atomic<bool> held_{false};
    std::atomic<bool> end_{false};
    std::thread thread_;
};

std::vector<BeaconWatcher::Notice> wait_for_notices(BeaconWatcher& watcher, std::size_t count) {
    std::vector<BeaconWatcher::Notice> all;
    const bool complete = eventually([&] {
        for (const auto& notice : watcher.collect()) all.push_back(notice);
        return all.size() >= count;
    });
    EXPECT_TRUE(complete) << all.size() << " of " << count;
    return all;
}

TEST(BeaconWatcher, AnnouncesTheEndOfTheThreadThatHoldsABeacon) {
    const auto watcher = *BeaconWatcher::create();
    Holder living;
    Holder dying;
    ASSERT_TRUE(watcher->watch({1, 7}, living.watch()));
    ASSERT_TRUE(watcher->watch({2, 9}, dying.watch()));
    EXPECT_TRUE(watcher->collect().empty());
    dying.die();
    const auto notices = wait_for_notices(*watcher, 1);
    EXPECT_EQ(notices.size(), 1U);
    EXPECT_EQ(notices[0].peer, (PeerId{2, 9}));
    EXPECT_GT(notices[0].noticed_ns, 0U);
}

TEST(BeaconWatcher, FindsABeaconThatIsHeldLaterThanItIsWatched) {
    const auto watcher = *BeaconWatcher::create();
    const Descriptor memory = *create_beacon_memory();
    ASSERT_TRUE(watcher->watch({1, 1}, *BeaconWatch::watch(memory)));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    Beacon beacon;
    std::thread([&] { beacon = *Beacon::hold(memory); }).join();
    watcher->look_again({1, 1});
    EXPECT_EQ(wait_for_notices(*watcher, 1).size(), 1U);
}

TEST(BeaconWatcher, WatchesMoreBeaconsThanOneThreadCan) {
    const auto watcher = *BeaconWatcher::create();
    std::vector<std::unique_ptr<Holder>> holders;
    for (std::uint32_t i = 0; i < 300; ++i) {
        holders.push_back(std::make_unique<Holder>());
        ASSERT_TRUE(watcher->watch({i, 1}, holders.back()->watch()));
    }
    for (const std::size_t i : {0U, 126U, 127U, 299U}) holders[i]->die();
    EXPECT_EQ(wait_for_notices(*watcher, 4).size(), 4U);
}

TEST(BeaconWatcher, SaysNothingOfABeaconThatIsForgotten) {
    const auto watcher = *BeaconWatcher::create();
    Holder forgotten;
    Holder other;
    ASSERT_TRUE(watcher->watch({1, 1}, forgotten.watch()));
    ASSERT_TRUE(watcher->watch({2, 1}, other.watch()));
    watcher->forget({1, 1});
    // The sleeper takes it off its list before it can look at the other again.
    other.die();
    EXPECT_EQ(wait_for_notices(*watcher, 1)[0].peer, (PeerId{2, 1}));
    forgotten.die();
    EXPECT_TRUE(watcher->collect().empty());
}

TEST(BeaconWatcher, IsNotKeptBusyByAPeerThatPlaysWithItsWord) {
    const auto watcher = *BeaconWatcher::create();
    const Descriptor memory = *create_beacon_memory();
    const BeaconWatch mine = *BeaconWatch::watch(memory);
    std::atomic<bool> end{false};
    std::thread player([&] {
        for (std::uint32_t value = 1; !end.load(); ++value) {
            mine.word().store(value & 0xFFFF, std::memory_order_relaxed);
            futex_wake(mine.word(), 1);
        }
    });
    ASSERT_TRUE(watcher->watch({1, 1}, *BeaconWatch::watch(memory)));
    Holder honest;
    ASSERT_TRUE(watcher->watch({2, 1}, honest.watch()));
    honest.die();
    const auto notices = wait_for_notices(*watcher, 1);
    EXPECT_EQ(notices.at(0).peer, (PeerId{2, 1}));
    end.store(true);
    player.join();
}

}  // namespace
}  // namespace shmpool::host
