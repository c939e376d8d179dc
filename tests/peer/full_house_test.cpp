// SPDX-License-Identifier: Apache-2.0
/// Goal: the largest numbers that the configuration takes can be had, all at the same time: 1,000
/// peers and 4,096 lanes. Method: 1,000 processes with four or five threads each; every thread
/// holds a slot, reads another's, and dies with it.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "shmpool/layout/abi_constants.hpp"
#include "shmpool/platform/futex.hpp"
#include "shmpool/pool/pool_statistics.hpp"
#include "tests/peer/configured_host.hpp"
#include "tests/protocol/child_process.hpp"

namespace shmpool {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t peers = peer_count_max;
constexpr std::uint32_t lanes = thread_lanes_max;
constexpr std::uint32_t slots = 2 * lanes;
static_assert(peers == 1000 && lanes == 4096, "what is promised");

/// What all of them see.
struct Stage {
    std::array<SlotRef, lanes> slot_of{};
    std::atomic<std::uint32_t> attached{0};
    std::atomic<std::uint32_t> holding{0};
    std::atomic<std::uint32_t> satisfied{0};
    std::atomic<std::uint32_t> dissatisfied{0};
    std::atomic<Errc> one_thread_more{};
    Atomic<std::uint32_t> all_hold{0};
};

void stay_until(const Atomic<std::uint32_t>& word) {
    while (word == 0) futex_wait(word, 0, std::chrono::nanoseconds::max());
}

/// Each reads what the next one has written, of another process for the last thread of each.
bool finds_everything(const Peer& peer, const Stage& stage, std::uint32_t number) {
    for (const std::uint32_t lane : {number, (number + 1) % lanes}) {
        const auto bytes = peer.read_slot(stage.slot_of[lane]);
        if (!bytes || std::memcmp(bytes->data(), &lane, sizeof(lane)) != 0) return false;
    }
    return true;
}

void use_a_lane(Peer& peer, Stage& stage, std::uint32_t number) {
    const auto slot = peer.allocate(sizeof(number));
    if (!slot) {
        stage.dissatisfied += 1;
        return;
    }
    std::memcpy(peer.slot_data(*slot)->data(), &number, sizeof(number));
    stage.slot_of[number] = *slot;
    stage.holding += 1;
    stay_until(stage.all_hold);
    (finds_everything(peer, stage, number) ? stage.satisfied : stage.dissatisfied) += 1;
    for (;;) ::pause();
}

std::uint32_t first_lane_of(std::uint32_t peer) {
    return static_cast<std::uint32_t>(std::uint64_t{lanes} * peer / peers);
}

void play(const std::string& pool, std::uint32_t number, Stage& stage) {
    PeerOptions options;
    options.wait_for_host = 30s;  // Which may drop who connects and does not come to speak.
    auto peer = Peer::attach(pool, options);
    if (!peer) return;
    stage.attached += 1;
    std::vector<std::thread> threads;
    for (std::uint32_t lane = first_lane_of(number); lane < first_lane_of(number + 1); ++lane) {
        threads.emplace_back([&, lane] { use_a_lane(*peer, stage, lane); });
    }
    if (number == 0) {
        stay_until(stage.all_hold);
        const auto none = peer->allocate(1);
        stage.one_thread_more = none ? Errc{} : none.error();
    }
    for (std::thread& one : threads) one.join();
}

TEST(FullHouse, HasAllPeersAndAllLanesAtTheSameTime) {
    ConfiguredHost configured("[limits]\npeers = 1000\nlanes = 4096\n",
                              {"--class", "64B:" + std::to_string(slots)});
    const std::string& pool = configured.host().pool();
    const testing_protocol::SharedWithChildren<Stage> stage;
    std::vector<std::unique_ptr<Child>> children;
    for (std::uint32_t i = 0; i < peers; ++i) {
        children.push_back(std::make_unique<Child>([&, i] { play(pool, i, *stage); }));
    }
    EXPECT_TRUE(eventually([&] { return stage->holding == lanes; }));
    EXPECT_EQ(stage->attached, peers);
    const auto one_more = Peer::attach(pool);
    ASSERT_FALSE(one_more);
    EXPECT_EQ(one_more.error().code, Errc::no_peer_slot) << one_more.error().message;
    stage->all_hold = 1;
    futex_wake(stage->all_hold, 0x7FFF'FFFF);
    EXPECT_TRUE(eventually([&] { return stage->satisfied + stage->dissatisfied == lanes; }));
    EXPECT_EQ(stage->satisfied, lanes);
    EXPECT_TRUE(eventually([&] { return stage->one_thread_more == Errc::no_lane; }));

    for (const auto& one : children) one->signal(SIGKILL);
    for (const auto& one : children) one->wait();
    Peer next = configured.attach("next");
    const auto held = [&] {
        const ClassStatistics statistics = read_statistics(next.pool().view())[0];
        return statistics.slot_count - statistics.free - statistics.cached;
    };
    EXPECT_TRUE(eventually([&] { return held() == 0; })) << held() << " slots are still held";
    for (std::uint32_t i = 0; i < slots; ++i) ASSERT_TRUE(next.allocate(1)) << i;
}

}  // namespace
}  // namespace shmpool
