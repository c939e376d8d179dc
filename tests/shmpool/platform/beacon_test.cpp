// SPDX-License-Identifier: Apache-2.0
/// Beacons of real processes that are killed, replace their program, or lose their thread.
#include "shmpool/platform/beacon.hpp"

#include <gtest/gtest.h>
#include <linux/futex.h>

#include <array>
#include <thread>

#include "shmpool/platform/memory_object.hpp"
#include "shmpool/platform/process.hpp"
#include "tests/shmpool/platform/forked_child.hpp"

namespace shmpool {
namespace {

using std::chrono::nanoseconds;
using test::ForkedChild;
using test::Shared;
using test::sleep_for_ever;
using test::Step;

/// One beacon with its two sides.
struct Pair {
    Descriptor memory = std::move(*create_beacon_memory());
    BeaconWatch watch = std::move(*BeaconWatch::watch(memory));
    Shared<Step> held;

    /// Holds it in a child and then does what `then` says.
    template <typename Then>
    auto holder(Then then) {
        return [this, then]() -> int {
            const auto beacon = Beacon::hold(memory);
            if (!beacon) return 1;
            held->announce();
            return then();
        };
    }
};

void sleep_until_it_changes(BeaconWatch& watch) {
    while (watch.arm()) {
        const std::array targets = {watch.target()};
        (void)futex_wait_any(targets, nanoseconds::max());
    }
}

/// Else lack of memory would be a SIGBUS in whoever touches it first.
TEST(Beacon, HasItsPageBeforeAnybodyTouchesIt) {
    const auto memory = create_beacon_memory();
    ASSERT_TRUE(memory) << memory.error().message;
    EXPECT_EQ(backed_bytes(*memory), 4096U);
}

TEST(Beacon, AnnouncesAKilledProcess) {
    Pair pair;
    const ForkedChild peer(pair.holder([]() -> int { sleep_for_ever(); }));
    pair.held->await();
    ASSERT_TRUE(pair.watch.arm());
    EXPECT_FALSE(pair.watch.owner_died());
    peer.kill();
    sleep_until_it_changes(pair.watch);
    EXPECT_TRUE(pair.watch.owner_died());
}

TEST(Beacon, WakesASleeperThatWasThereBeforeTheDeath) {
    Pair pair;
    const Shared<Atomic<std::uint32_t>> never_rung;
    const ForkedChild peer(pair.holder([]() -> int { sleep_for_ever(); }));
    pair.held->await();
    ASSERT_TRUE(pair.watch.arm());
    const std::array targets = {FutexTarget{&*never_rung, 0}, pair.watch.target()};
    const ForkedChild killer([&] {
        ::usleep(20'000);  // Only makes the interesting order likely; the result is the same.
        peer.kill();
        return 0;
    });
    WaitAnyOutcome outcome = futex_wait_any(targets, nanoseconds::max());
    EXPECT_TRUE(outcome.outcome == WaitOutcome::woken ||
                outcome.outcome == WaitOutcome::value_changed);
    EXPECT_TRUE(pair.watch.owner_died());
}

TEST(Beacon, AnnouncesAProcessThatReplacesItsProgramAndLives) {
    Pair pair;
    const ForkedChild peer(pair.holder([]() -> int {
        ::execl("/bin/sleep", "sleep", "1000", nullptr);
        return 2;
    }));
    const auto pidfd = open_pidfd(peer.pid());
    pair.held->await();
    sleep_until_it_changes(pair.watch);
    EXPECT_TRUE(pair.watch.owner_died());
    EXPECT_FALSE(has_ended(*pidfd));
}

TEST(Beacon, AnnouncesTheEndOfTheThreadThatHoldsIt) {
    Pair pair;
    Beacon kept;  // Outlives the thread that holds it.
    std::thread([&] { kept = std::move(*Beacon::hold(pair.memory)); }).join();
    sleep_until_it_changes(pair.watch);
    EXPECT_TRUE(pair.watch.owner_died());
}

TEST(Beacon, TellsAnOrderlyEndFromADeath) {
    Pair pair;
    {
        const auto beacon = Beacon::hold(pair.memory);
        ASSERT_TRUE(beacon.has_value());
        ASSERT_TRUE(pair.watch.arm());
    }
    EXPECT_FALSE(pair.watch.arm());
    EXPECT_FALSE(pair.watch.owner_died());
}

TEST(Beacon, WakesTheWatchAtAnOrderlyEnd) {
    Pair pair;
    const Shared<Step> go;
    const ForkedChild peer([&]() -> int {
        {
            const auto beacon = Beacon::hold(pair.memory);
            pair.held->announce();
            go->await();
        }
        sleep_for_ever();
    });
    pair.held->await();
    ASSERT_TRUE(pair.watch.arm());
    go->announce();
    sleep_until_it_changes(pair.watch);
    EXPECT_FALSE(pair.watch.owner_died());
}

TEST(Beacon, IsNotArmedBeforeItIsHeld) {
    Pair pair;
    EXPECT_FALSE(pair.watch.arm());
    EXPECT_EQ(pair.watch.word().load(std::memory_order_relaxed), 0U);
}

TEST(Beacon, LeavesTheHoldersOtherRobustMutexesInOrder) {
    Pair first;
    Pair second;
    const ForkedChild peer([&]() -> int {
        const auto one = Beacon::hold(first.memory);
        const auto two = Beacon::hold(second.memory);
        first.held->announce();
        sleep_for_ever();
    });
    first.held->await();
    ASSERT_TRUE(first.watch.arm());
    ASSERT_TRUE(second.watch.arm());
    peer.kill();
    sleep_until_it_changes(first.watch);
    sleep_until_it_changes(second.watch);
    EXPECT_TRUE(first.watch.owner_died());
    EXPECT_TRUE(second.watch.owner_died());
}

TEST(Beacon, PutsNoPointerOfTheHolderIntoSharedMemory) {
    Pair pair;
    const auto beacon = Beacon::hold(pair.memory);
    ASSERT_TRUE(beacon.has_value());
    const auto mapping = SharedMapping::map(pair.memory, page_bytes, Access::read_only);
    for (std::size_t i = 0; i < beacon_word_offset; ++i) {
        ASSERT_EQ(mapping->base()[i], std::byte{0}) << "offset " << i;
    }
    // Lock word, count, owner, users, kind, spins: six 32-bit numbers, none half of an address.
    const auto* words =
        reinterpret_cast<const std::uint32_t*>(mapping->base() + beacon_word_offset);
    const auto tid = static_cast<std::uint32_t>(::getpid());
    EXPECT_EQ(words[0], tid);
    EXPECT_LE(words[1], 1U);
    EXPECT_EQ(words[2], tid);
    EXPECT_LE(words[3], 1U);
    EXPECT_LE(words[4], 0xFFU);
    EXPECT_EQ(words[5], 0U);
}

TEST(Beacon, SurvivesAHolderThatScribblesOverTheWholePage) {
    Pair pair;
    auto mapping = SharedMapping::map(pair.memory, page_bytes, Access::read_write);
    for (const std::uint32_t nonsense :
         {0xFFFF'FFFFU, 0x8000'0000U, 0x4000'0000U, 0x4000'1234U, 0x1234U}) {
        pair.watch.word().store(nonsense, std::memory_order_relaxed);
        EXPECT_FALSE(pair.watch.arm() && pair.watch.owner_died()) << "nothing more will come";
        const std::array targets = {pair.watch.target()};
        (void)futex_wait_any(targets, std::chrono::milliseconds(1));
    }
}

TEST(Beacon, RefusesToBeHeldTwice) {
    Pair pair;
    const auto beacon = Beacon::hold(pair.memory);
    ASSERT_TRUE(beacon.has_value());
    const auto again = Beacon::hold(pair.memory);
    ASSERT_FALSE(again.has_value());
    EXPECT_EQ(again.error().code, Errc::invalid_argument);
}

TEST(Beacon, RefusesMemoryThatIsNotOnePage) {
    const auto memory = create_memory_object("shmpool-test", 2 * page_bytes);
    EXPECT_EQ(Beacon::hold(*memory).error().code, Errc::invalid_argument);
    EXPECT_EQ(BeaconWatch::watch(*memory).error().code, Errc::invalid_argument);
}

TEST(Beacon, RefusesMemoryThatCouldBeCutOff) {
    const Descriptor memory(::memfd_create("shmpool-test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    ASSERT_EQ(::ftruncate(memory.get(), page_bytes), 0);
    EXPECT_EQ(BeaconWatch::watch(memory).error().code, Errc::refused);
    EXPECT_EQ(Beacon::hold(memory).error().code, Errc::refused);
}

TEST(Beacon, StaysWithTheParentAcrossAFork) {
    Pair pair;
    auto beacon = Beacon::hold(pair.memory);
    ASSERT_TRUE(beacon.has_value());
    EXPECT_EQ(ForkedChild([&] {
                  *beacon = Beacon();
                  return 0;
              }).wait(),
              0);
    EXPECT_TRUE(pair.watch.arm());
    EXPECT_FALSE(pair.watch.owner_died());
}

TEST(Beacon, DoesNothingWhenAnotherThreadEndsIt) {
    Pair pair;
    auto beacon = Beacon::hold(pair.memory);
    ASSERT_TRUE(beacon.has_value());
    std::thread([&] { *beacon = Beacon(); }).join();
    EXPECT_TRUE(pair.watch.arm()) << "the thread that holds it lives";
    // Its list of held mutexes is still whole: another one comes and goes.
    Pair other;
    { const auto second = Beacon::hold(other.memory); }
    EXPECT_FALSE(other.watch.arm());
}

}  // namespace
}  // namespace shmpool
