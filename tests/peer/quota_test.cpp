// SPDX-License-Identifier: Apache-2.0
/// Quotas against a real host: a peer and its user get what they may hold, not one slot more, and
/// all of it again after whatever dies. Slots of 1 KiB come through magazines, those of 64 KiB
/// straight from the list.
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "shmpool/pool/pool_audit.hpp"
#include "shmpool/pool/pool_statistics.hpp"
#include "tests/peer/configured_host.hpp"

namespace shmpool {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using Slots = std::vector<SlotRef>;

constexpr std::size_t small = 1000;
constexpr std::size_t large = 60'000;
const std::string twenty = "[quota]\npeer_slots = 20\n";

/// Allocates until it is refused.
Slots take_all(Peer& peer, std::size_t bytes, Errc refusal = Errc::quota_exceeded) {
    Slots slots;
    for (;;) {
        const auto slot = peer.allocate(bytes);
        if (!slot) {
            EXPECT_EQ(slot.error(), refusal) << name_of(slot.error());
            return slots;
        }
        slots.push_back(*slot);
    }
}

void give_back(Peer& peer, Slots& slots, std::size_t count = ~std::size_t{0}) {
    for (; count != 0 && !slots.empty(); --count, slots.pop_back()) {
        EXPECT_TRUE(peer.free(slots.back()));
    }
}

void send(Publisher& publisher) {
    auto loan = publisher.loan(small);
    ASSERT_TRUE(loan) << name_of(loan.error());
    ASSERT_TRUE(publisher.publish(std::move(*loan)));
}

void expect_nothing_lost(Peer& peer) {
    EXPECT_TRUE(eventually([&] {
        for (const auto& one : read_statistics(peer.pool().view())) {
            if (one.free + one.cached != one.slot_count) return false;
        }
        return true;
    }));
    EXPECT_TRUE(audit_moving(peer.pool().view()).empty());
}

TEST(Quota, OfSlotsIsReachedAndNotExceeded) {
    const ConfiguredHost host(twenty);
    Peer peer = host.attach("a");
    for (int round = 0; round < 5; ++round) {
        Slots slots = take_all(peer, small);
        EXPECT_EQ(slots.size(), 20U);
        give_back(peer, slots);
    }
    expect_nothing_lost(peer);
}

TEST(Quota, OfSlotsCountsAllClassesTogether) {
    const ConfiguredHost host(twenty);
    Peer peer = host.attach("a");
    Slots large_ones;
    for (int i = 0; i < 12; ++i) large_ones.push_back(peer.allocate(large).value());
    EXPECT_EQ(take_all(peer, small).size(), 8U);
    EXPECT_EQ(peer.allocate(large).error(), Errc::quota_exceeded) << "although four are free";
    give_back(peer, large_ones, 3);
    EXPECT_EQ(take_all(peer, small).size(), 3U);
}

TEST(Quota, OfBytesCountsWholeSlots) {
    const ConfiguredHost host("[quota]\npeer_bytes = \"131KiB\"\n");
    Peer peer = host.attach("a");
    EXPECT_EQ(take_all(peer, large).size(), 2U);
    EXPECT_EQ(take_all(peer, small).size(), 3U) << "131 KiB less two of 64 KiB";
}

TEST(Quota, IsNotInTheWayOfWhatIsCached) {
    const ConfiguredHost host("[quota]\npeer_slots = 9\n");
    Peer peer = host.attach("a");
    Slots slots = take_all(peer, small);
    give_back(peer, slots);  // Into the magazine: they still count.
    EXPECT_EQ(take_all(peer, large).size(), 9U);
}

TEST(Quota, SaysWhatIsHeldWhatIsAllowedAndWhichKeyToChange) {
    const ConfiguredHost host(twenty);
    Peer peer = host.attach("a");
    const Slots slots = take_all(peer, small);
    const auto report = peer.quota();
    ASSERT_TRUE(report);
    EXPECT_EQ(report->of_peer.used, (Holding{20, 20 * 1024}));
    EXPECT_EQ(report->of_peer.limit, (Holding{20, 0}));
    EXPECT_THAT(report->text(), HasSubstr("peer 0 holds 20 of 20 slots"));
    EXPECT_THAT(report->text(), HasSubstr("peer_slots"));
    EXPECT_THAT(report->text(), HasSubstr("raise [quota] in the host's configuration"));
}

TEST(Quota, OfAUserIsSharedByItsPeers) {
    const ConfiguredHost host("[quota]\nuser_slots = 20\n");
    Peer first = host.attach("a");
    Peer second = host.attach("b");
    Slots of_first;
    for (int i = 0; i < 8; ++i) of_first.push_back(first.allocate(large).value());
    EXPECT_EQ(take_all(second, small).size(), 12U);
    EXPECT_EQ(first.allocate(large).error(), Errc::quota_exceeded);
    give_back(first, of_first, 5);
    EXPECT_EQ(take_all(second, small).size(), 5U);
    EXPECT_THAT(second.quota()->text(), HasSubstr("holds 20 of 20 slots"));
}

TEST(Quota, OfAUserIsGivenBackByADetachedPeer) {
    const ConfiguredHost host("[quota]\nuser_slots = 20\n");
    Peer stays = host.attach("a");
    {
        Peer leaves = host.attach("b");
        EXPECT_EQ(take_all(leaves, small).size(), 20U);
        EXPECT_EQ(take_all(stays, small).size(), 0U);
    }
    EXPECT_EQ(take_all(stays, small).size(), 20U);
}

/// What the one that leaves has drawn in its life goes out of the sum.
TEST(Quota, OfAUserIsNotExceededWhenAPeerHasLeft) {
    const ConfiguredHost host("[quota]\nuser_slots = 20\n");
    Peer stays = host.attach("a");
    Slots kept;
    {
        Peer leaves = host.attach("b");
        for (int i = 0; i < 100; ++i) {
            Slots slots{leaves.allocate(large).value()};
            give_back(leaves, slots);
        }
        kept.push_back(stays.allocate(large).value());
    }
    EXPECT_EQ(take_all(stays, small).size(), 19U);
}

TEST(Quota, OfSingleUsersGoesBeforeThatOfAll) {
    const std::string user = std::to_string(::geteuid());
    const ConfiguredHost host("[quota]\npeer_slots = 3\nuser_slots = 4\n[[user_quota]]\nuser = " +
                              user + "\npeer_slots = 7\nuser_slots = 0\n");
    Peer first = host.attach("a");
    Peer second = host.attach("b");
    EXPECT_EQ(take_all(first, small).size(), 7U);
    EXPECT_EQ(take_all(second, small).size(), 7U);
}

TEST(Quota, OfPeersHoldsForOneUser) {
    ConfiguredHost host("[quota]\nuser_peers = 2\n");
    const Peer first = host.attach("a");
    auto second = std::make_unique<Peer>(host.attach("b"));
    const auto third = Peer::attach(host.host().pool());
    ASSERT_FALSE(third);
    EXPECT_EQ(third.error().code, Errc::quota_exceeded);
    EXPECT_THAT(third.error().message,
                AllOf(HasSubstr("user " + std::to_string(::geteuid()) + " has 2 peers"),
                      HasSubstr("user_peers grants 2")));
    second.reset();
    EXPECT_TRUE(eventually([&] { return Peer::attach(host.host().pool()).has_value(); }));
}

TEST(Quota, OfNobodyIsNoLimit) {
    const ConfiguredHost host("");
    Peer peer = host.attach("a");
    EXPECT_EQ(take_all(peer, small, Errc::exhausted).size(), 256U + 16U);
}

TEST(Quota, CountsWhatIsSentAndNotYetTaken) {
    const ConfiguredHost host(twenty);
    Peer writer = host.attach("a");
    Peer reader = host.attach("b");
    auto subscriber = reader.subscriber("c", {.depth = 64}).value();
    auto publisher = writer.publisher("c").value();
    for (int i = 0; i < 20; ++i) ASSERT_NO_FATAL_FAILURE(send(publisher));
    EXPECT_EQ(publisher.loan(small).error(), Errc::quota_exceeded);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(subscriber.take());
    for (int i = 0; i < 5; ++i) ASSERT_NO_FATAL_FAILURE(send(publisher));
    EXPECT_EQ(publisher.loan(small).error(), Errc::quota_exceeded);
}

TEST(Quota, CountsWhatIsLeasedAndHeld) {
    const ConfiguredHost host(twenty);
    Peer writer = host.attach("a");
    Peer reader = host.attach("b");
    Peer other = host.attach("c");
    auto subscriber = reader.subscriber("c", {.depth = 64}).value();
    auto second = other.subscriber("c", {.depth = 64}).value();
    auto publisher = writer.publisher("c").value();
    std::vector<Sample> samples;
    for (int i = 0; i < 15; ++i) {
        ASSERT_NO_FATAL_FAILURE(send(publisher));
        samples.push_back(std::move(*subscriber.take()));
    }
    EXPECT_EQ(reader.quota()->of_peer.used.slots, 15U);
    EXPECT_EQ(take_all(reader, large).size(), 5U);
    samples.clear();
    EXPECT_EQ(reader.quota()->of_peer.used.slots, 5U);
}

TEST(Quota, LetsAWriterWaitForItsReaders) {
    const ConfiguredHost host(twenty);
    Peer writer = host.attach("a");
    Peer reader = host.attach("b");
    auto subscriber = reader.subscriber("c", {.depth = 64}).value();
    auto publisher = writer.publisher("c").value();
    for (int i = 0; i < 20; ++i) ASSERT_NO_FATAL_FAILURE(send(publisher));
    EXPECT_EQ(publisher.loan(small, milliseconds(20)).error(), Errc::quota_exceeded);
    std::thread helper([&] {
        std::this_thread::sleep_for(milliseconds(20));
        EXPECT_TRUE(subscriber.take());
    });
    EXPECT_TRUE(publisher.loan(small, std::chrono::seconds(30)));
    helper.join();
}

TEST(Quota, IsExceededByThreadsByNoMoreThanWhatTheyDrawAtOnce) {
    const ConfiguredHost host("[quota]\npeer_slots = 100\n");
    Peer peer = host.attach("a");
    std::vector<Slots> taken(3);
    std::vector<std::thread> threads;
    for (Slots& slots : taken) {
        threads.emplace_back([&] { slots = take_all(peer, small); });
    }
    for (auto& thread : threads) thread.join();
    const std::size_t sum = taken[0].size() + taken[1].size() + taken[2].size();
    constexpr std::size_t refill = 8;  // Half a magazine of this class.
    EXPECT_LE(sum, 100U + 2 * refill);
    EXPECT_GE(sum, 100U - 3 * refill) << "what the others have cached";
}

TEST(Quota, IsWholeAgainAfterAKill) {
    const ConfiguredHost host("[quota]\npeer_slots = 20\nuser_slots = 25\n");
    Peer survivor = host.attach("a");
    for (int round = 0; round < 5; ++round) {
        Child victim([&] {
            Peer peer = host.attach_in_child("b");
            const Slots slots = take_all(peer, small);
            ::kill(::getpid(), SIGKILL);
        });
        EXPECT_EQ(victim.wait(), 1000 + SIGKILL);
        expect_nothing_lost(survivor);
        Slots slots = take_all(survivor, small);
        EXPECT_EQ(slots.size(), 20U);
        Peer next = host.attach("c");
        EXPECT_EQ(take_all(next, small).size(), 5U);
        give_back(survivor, slots);
    }
}

/// Whatever was done, the count is by the slots: it can not drift.
TEST(Quota, IsWholeAgainAfterAnything) {
    const ConfiguredHost host("[quota]\npeer_slots = 20\nuser_slots = 80\n");
    Peer writer = host.attach("a");
    Peer reader = host.attach("b");
    Peer second = host.attach("c");
    std::mt19937 random(7);
    {
        auto one = reader.subscriber("c", {.depth = 64}).value();
        auto two = second.subscriber("c", {.depth = 64}).value();
        auto publisher = writer.publisher("c").value();
        Slots raw;
        std::vector<Sample> samples;
        for (int step = 0; step < 20'000; ++step) {
            switch (random() % 6) {
                case 0:
                    if (auto slot = writer.allocate(random() % large)) raw.push_back(*slot);
                    break;
                case 1:  // A stranger frees it.
                    if (!raw.empty()) give_back(random() % 2 == 0 ? writer : reader, raw, 1);
                    break;
                case 2:
                    if (auto loan = publisher.loan(small)) {
                        (void)publisher.publish(std::move(*loan));
                    }
                    break;
                case 3:
                    if (auto sample = one.take()) samples.push_back(std::move(*sample));
                    break;
                case 4: (void)two.take(); break;
                default:
                    if (samples.size() > 10) samples.clear();
            }
            EXPECT_LE(writer.quota()->of_peer.used.slots, 20U);
        }
        give_back(writer, raw);
    }
    expect_nothing_lost(writer);
    EXPECT_EQ(take_all(writer, small).size(), 20U);
    EXPECT_EQ(take_all(reader, small).size(), 20U);
}

TEST(Quota, OfTheNextHostCountsAtOnce) {
    ConfiguredHost host("[quota]\npeer_slots = 200\n");
    Peer peer = host.attach("a");
    const SlotRef one = peer.allocate(large).value();
    host.die_and_return(twenty);
    ASSERT_TRUE(
        eventually([&] { return peer.quota()->of_peer.limit.slots == 20 && !peer.host_gone(); }));
    EXPECT_EQ(take_all(peer, small).size(), 19U);
    EXPECT_TRUE(peer.free(one));
}

TEST(Quota, IsThatOfTheNextHost) {
    ConfiguredHost host("[quota]\npeer_slots = 20\nuser_slots = 60\n");
    Peer peer = host.attach("a");
    Slots slots = take_all(peer, small);
    EXPECT_EQ(slots.size(), 20U);
    host.die_and_return("[quota]\npeer_slots = 30\n");
    ASSERT_TRUE(
        eventually([&] { return peer.quota()->of_peer.limit.slots == 30 && !peer.host_gone(); }));
    EXPECT_EQ(take_all(peer, small).size(), 10U);
    host.die_and_return("[quota]\npeer_slots = 5\n");
    ASSERT_TRUE(
        eventually([&] { return peer.quota()->of_peer.limit.slots == 5 && !peer.host_gone(); }));
    give_back(peer, slots);
    EXPECT_EQ(take_all(peer, large).size(), 0U) << "the second ten are still held";
}

}  // namespace
}  // namespace shmpool
