// SPDX-License-Identifier: Apache-2.0
/// Goal: size classes grow and shrink under a real host while messages flow, by request and by
/// themselves; nobody loses anything, whoever dies.
#include <gmock/gmock.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <thread>

#include "shmpool/pool/growth.hpp"
#include "shmpool/pool/pool_audit.hpp"
#include "tests/peer/configured_host.hpp"

namespace shmpool {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

constexpr std::uint64_t kib = 1024;

/// The smaller class grows when asked, the larger one also by itself.
constexpr const char* growing_classes =
    "[[class]]\nslot_size = \"1KiB\"\nslot_count = 64\nslot_limit = 4096\n"
    "[[class]]\nslot_size = \"64KiB\"\nslot_count = 8\nslot_limit = 100\n"
    "grow_when_exhausted = true\n"
    "[takeover]\npatience = \"30s\"\n";

class GrowingPool : public testing::Test {
protected:
    explicit GrowingPool(const std::string& more = "") : configured(growing_classes + more, {}) {}

    /// Every slot of 64 KiB that there is, or may come.
    static std::vector<SlotRef> take_all(Peer& peer) {
        std::vector<SlotRef> all;
        while (const auto ref = peer.allocate(64 * kib)) all.push_back(*ref);
        return all;
    }
    static std::uint64_t slots(Peer& peer, std::uint32_t class_index) {
        return slots_in_service(peer.pool().view(), class_index);
    }

    ConfiguredHost configured;
    RunningHost& host = configured.host();
    Peer peer = configured.attach("peer");
    Peer other = configured.attach("other");
};

TEST_F(GrowingPool, HasMoreSlotsForEverybodyAsSoonAsThatIsSaid) {
    EXPECT_EQ(peer.grow_class(kib, 100).value(), 164U);
    std::vector<SlotRef> all;
    for (int i = 0; i < 164; ++i) {
        const auto ref = other.allocate(kib);
        ASSERT_TRUE(ref) << i << ": nobody maps anything again";
        ASSERT_EQ(ref->class_index, 0);
        std::memset(other.slot_data(*ref)->data(), i, kib);
        all.push_back(*ref);
    }
    for (int i = 0; i < 164; ++i) {
        const auto data = peer.read_slot(all[static_cast<std::size_t>(i)]);
        ASSERT_TRUE(data) << "by the name that others give";
        EXPECT_EQ(data->back(), std::byte(i));
    }
    const auto in_use = peer.shrink_class(kib);
    ASSERT_FALSE(in_use);
    EXPECT_EQ(in_use.error().code, Errc::extent_in_use);
    for (const SlotRef& ref : all) EXPECT_TRUE(other.free(ref));
}

TEST_F(GrowingPool, SaysWhyItDoesNotGrow) {
    const auto too_many = peer.grow_class(kib, 5000);
    ASSERT_FALSE(too_many);
    EXPECT_EQ(too_many.error().code, Errc::slot_limit_reached);
    EXPECT_THAT(too_many.error().message, HasSubstr("has 64 slots and may have 4096, not 5064"));
    EXPECT_EQ(peer.grow_class(7, 1).error().code, Errc::invalid_argument);
    EXPECT_EQ(peer.grow_class(kib, ~0U).error().code, Errc::slot_limit_reached);
}

/// The cap is what the operator has said.
TEST_F(GrowingPool, GrowsByItselfUpToItsLimitWhenItIsExhausted) {
    const std::vector<SlotRef> all = take_all(peer);
    EXPECT_EQ(all.size(), 100U);
    EXPECT_EQ(peer.allocate(64 * kib).error(), Errc::exhausted);
    EXPECT_EQ(other.pool().extent_count(1), 5U) << "8, 16, 32, 64, 100: it doubles";
    for (const SlotRef& ref : all) EXPECT_TRUE(peer.free(ref));
}

TEST_F(GrowingPool, GrowsByItselfForLoansToo) {
    auto publisher = peer.publisher("frames").value();
    std::vector<Loan> loans;
    for (int i = 0; i < 20; ++i) {
        auto loan = publisher.loan(64 * kib);
        ASSERT_TRUE(loan) << i << " " << name_of(loan.error());
        loans.push_back(std::move(*loan));
    }
    EXPECT_EQ(slots(peer, 1), 32U);
}

TEST_F(GrowingPool, TakesASlotOfTheLargerClassBeforeItGrows) {
    for (int i = 0; i < 64; ++i) ASSERT_TRUE(peer.allocate(kib));
    EXPECT_EQ(peer.allocate(kib)->class_index, 1) << "which does not grow by itself";
}

TEST_F(GrowingPool, GrowsOnceForManyWhoFindNothing) {
    std::vector<std::thread> threads;
    std::atomic<int> got{0};
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
            while (got.load() < 16) {
                if (peer.allocate(64 * kib)) got.fetch_add(1);
            }
        });
    }
    for (std::thread& one : threads) one.join();
    EXPECT_LE(slots(peer, 1), 32U) << "16 would do, and eight may have come too late";
}

TEST_F(GrowingPool, DoesNotGrowForWhoOnlyReadsOrIsNotAsked) {
    Peer reader = configured.attach("reader", true);
    EXPECT_EQ(reader.allocate(64 * kib).error(), Errc::read_only);
    const auto none = reader.grow_class(kib, 64);
    EXPECT_TRUE(none) << "who has the right to grow needs no slots of his own";
    EXPECT_EQ(slots(peer, 1), 8U);
}

/// A writer that can do without the slot is not held up by a host that does not answer.
TEST_F(GrowingPool, IsExhaustedWithoutAHost) {
    const std::vector<SlotRef> eight = [&] {
        std::vector<SlotRef> all;
        for (int i = 0; i < 8; ++i) all.push_back(peer.allocate(64 * kib).value());
        return all;
    }();
    host.signal(SIGSTOP);
    EXPECT_EQ(peer.allocate(64 * kib).error(), Errc::exhausted);
    host.signal(SIGCONT);
    EXPECT_TRUE(eventually([&] { return peer.allocate(64 * kib).has_value(); }));
    host.signal(SIGKILL);
    host.wait();
    EXPECT_TRUE(eventually([&] { return peer.host_gone(); }));
    while (peer.allocate(64 * kib)) {
    }
    EXPECT_EQ(slots(peer, 1), 16U);
    host.start();
    EXPECT_TRUE(eventually([&] { return peer.allocate(64 * kib).has_value(); }))
        << "the next host has learnt it from the configuration";
}

/// One channel all the while: no remap in any peer, no message lost.
TEST_F(GrowingPool, LosesNoMessageWhileClassesGrowAndShrink) {
    PublisherOptions blocking;
    blocking.policy = ChannelPolicy::block;
    std::optional<Publisher> writer = peer.publisher("frames", blocking).value();
    SubscriberOptions options;
    options.depth = 64;
    auto reader = other.subscriber("frames", options).value();
    std::atomic<int> changes{0};
    std::thread changing([&] {
        Peer third = configured.attach("third");
        const auto count = [&](const Result<std::uint32_t>& slots) {
            changes.fetch_add(slots ? 1 : 0);
        };
        while (changes.load() < 100) {
            count(third.grow_class(kib, 50));
            count(third.grow_class(64 * kib, 8));
            count(third.shrink_class(kib));
            count(third.shrink_class(64 * kib));
        }
    });
    std::atomic<std::uint64_t> written{0};
    std::thread writing([&] {
        for (std::uint64_t i = 0; changes.load() < 100; ++i) {
            auto loan = writer->loan(i % 7 == 0 ? 60 * kib : 600, 10s);
            ASSERT_TRUE(loan) << name_of(loan.error());
            std::memcpy(loan->data(), &i, sizeof(i));
            ASSERT_TRUE(writer->publish(std::move(*loan), 10s));
            written.store(i + 1);
        }
        writer.reset();
    });
    std::uint64_t expected = 0;
    for (;;) {
        const auto sample = reader.take(10s);
        if (!sample) {
            EXPECT_EQ(sample.error(), Errc::ended) << expected;
            break;
        }
        std::uint64_t number = 0;
        std::memcpy(&number, sample->data(), sizeof(number));
        if (number == expected) ++expected;
    }
    writing.join();
    changing.join();
    EXPECT_EQ(expected, written.load()) << "all of them, in order";
    EXPECT_GT(expected, 1000U);
    EXPECT_FALSE(peer.pool().view().damaged());
}

/// What the dead host had taken is given back or taken again; who has asked is answered.
TEST_F(GrowingPool, GrowsAllTheSameWhenItsHostDies) {
    for (std::uint32_t round = 0; round < 5; ++round) {
        Result<std::uint32_t> grown;
        std::thread asking([&] { grown = peer.grow_class(kib, 700); });
        std::this_thread::sleep_for(std::chrono::microseconds(200 * round));
        host.signal(SIGKILL);
        host.wait();
        host.start();
        asking.join();
        ASSERT_TRUE(grown) << grown.error().message;
        EXPECT_EQ(slots(other, 0), 64 + 700 * (round + 1)) << "once, however often it was asked";
    }
    EXPECT_TRUE(eventually([&] { return peer.shrink_class(kib).has_value(); }));
    EXPECT_EQ(slots(other, 0), 64U);
}

TEST_F(GrowingPool, IsNotTakenForDamagedWhenItHasGrown) {
    ASSERT_TRUE(peer.grow_class(kib, 100));
    std::this_thread::sleep_for(700ms);  // The host has looked.
    ASSERT_TRUE(peer.shrink_class(kib));
    std::this_thread::sleep_for(1200ms);  // And again, twice.
    EXPECT_FALSE(peer.pool().view().damaged());
    peer.pool().view().classes[0].image->extent_count.store(77);
    EXPECT_TRUE(eventually([&] { return peer.pool().view().damaged(); }))
        << "what the host has not written itself";
}

class GrowingPoolOfOthers : public GrowingPool {
protected:
    GrowingPoolOfOthers()
        : GrowingPool("[access.grow]\ndeny_users = [" + std::to_string(getuid()) + "]\n") {}
};

TEST_F(GrowingPoolOfOthers, GrowsForWhoMayOnly) {
    for (const auto& refused : {peer.grow_class(kib, 1), peer.shrink_class(kib)}) {
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::no_permission);
        EXPECT_THAT(refused.error().message, HasSubstr("[access.grow]"));
    }
    for (int i = 0; i < 9; ++i) EXPECT_TRUE(peer.allocate(64 * kib)) << "the pool's own policy";
}

}  // namespace
}  // namespace shmpool
