// SPDX-License-Identifier: Apache-2.0
/// Goal: any thread with a lane of its own may run any verb beside any other; of racing frees one
/// wins; nothing is lost or doubled, and payloads are handed over without a race (the thread
/// sanitizer looks). Method: churn with an account beside the pool, then audit and counts.
#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <deque>
#include <mutex>
#include <random>
#include <thread>

#include "shmpool/pool/growth.hpp"
#include "tests/shmpool/pool/own_pool.hpp"
#include "tests/shmpool/pool/slot_claims.hpp"

namespace shmpool {
namespace {

using test::Configs;
using test::OwnPool;
using Loaned = VarSlotPool::Loaned;

constexpr std::uint32_t thread_count = 8;
#if defined(SHMPOOL_UNDER_THREAD_SANITIZER)
constexpr std::uint64_t churn_steps = 8'000;
#else
constexpr std::uint64_t churn_steps = 200'000;
#endif

const Configs churned_classes{{64, 16}, {256, 256}, {1024, 40}};

template <typename Body>
void in_threads(std::uint32_t count, Body body) {
    std::vector<std::thread> threads;
    std::barrier start(static_cast<std::ptrdiff_t>(count));
    for (std::uint32_t i = 0; i < count; ++i) {
        threads.emplace_back([&, i] {
            start.arrive_and_wait();
            body(i);
        });
    }
    for (std::thread& one : threads) one.join();
}

/// Fills the whole slot with plain stores: a race with another holder is the sanitizer's prey.
void fill(std::span<std::byte> data, std::uint32_t name) {
    for (std::byte& one : data) one = static_cast<std::byte>(name);
}
bool holds(std::span<const std::byte> data, std::uint32_t name) {
    for (const std::byte one : data) {
        if (one != static_cast<std::byte>(name)) return false;
    }
    return true;
}

std::uint32_t number_of(const OwnPool& pool, const SlotRef& ref) {
    return ref.class_index * 1024U + position_of(pool.view().key_of(ref).value());
}

/// Slots of the churn in one thread's hands.
class Churner {
public:
    Churner(OwnPool& pool, test::SlotClaims& claims, std::uint32_t name)
        : pool_(pool), claims_(claims), lane_(pool.lane(name)), name_(name), random_(name) {
        claims.is_born(name);
    }

    void step() {
        if (held_.size() < random_() % 24) {
            take();
        } else if (!held_.empty()) {
            give(random_() % held_.size());
        }
    }
    void finish() {
        while (!held_.empty()) give(0);
        pool_->flush(*lane_);
    }

private:
    struct Held {
        SlotRef ref;
        bool raw;
    };
    void take() {
        const std::uint64_t size = 1 + random_() % 1024;
        Held held{{}, random_() % 2 == 0};
        if (held.raw) {
            const auto ref = pool_->allocate(*lane_, size);
            if (!ref) return;
            held.ref = *ref;
        } else {
            const auto loaned = pool_->loan(*lane_, size);
            if (!loaned) return;
            held.ref = pool_->view().ref_of(loaned->class_index, loaned->key);
        }
        claims_.take(number_of(pool_, held.ref), name_);
        fill(pool_->slot_data_mut(held.ref).value(), name_);
        held_.push_back(held);
    }
    void give(std::size_t which) {
        const Held held = held_[which];
        held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(which));
        if (!holds(pool_->slot_data(held.ref).value(), name_)) claims_.payload_was_overwritten();
        claims_.give(number_of(pool_, held.ref), name_);
        const auto ended =
            held.raw
                ? pool_->free(*lane_, held.ref)
                : pool_->end_loan(*lane_, {held.ref.class_index, *pool_->view().key_of(held.ref)});
        EXPECT_TRUE(ended);
    }

    OwnPool& pool_;
    test::SlotClaims& claims_;
    std::unique_ptr<Lane> lane_;
    std::uint32_t name_;
    std::mt19937_64 random_;
    std::vector<Held> held_;
};

TEST(PoolThreads, ChurnWithoutLosingOrDoublingASlot) {  // T-VS-16
    OwnPool pool(churned_classes);
    const auto claims = std::make_unique<test::SlotClaims>();
    in_threads(thread_count, [&](std::uint32_t i) {
        Churner churner(pool, *claims, i + 1);
        for (std::uint64_t step = 0; step < churn_steps; ++step) churner.step();
        churner.finish();
    });
    EXPECT_EQ(claims->doubled(), 0U);
    EXPECT_EQ(claims->overwritten(), 0U);
    EXPECT_EQ(test::broken_or_not_all_free(pool.view()), "");
    EXPECT_GT(pool.statistics(1).allocations_total, 1000U);
    EXPECT_FALSE(pool.view().damaged());
}

/// Lets classes grow, and withdraws what nobody uses just now, as long as others work in them.
class GrowingHost {
public:
    explicit GrowingHost(OwnPool& pool) : pool_(pool) {}

    void step() {
        const auto class_index = static_cast<std::uint32_t>(random_() % pool_->class_count());
        if (random_() % 2 == 0) {
            const auto growth = plan_growth(pool_.view(), class_index, 24);
            if (!growth) return;
            open_extent(pool_.view(), pool_.host(), *growth);
            ++opened_;
        } else {
            withdraw(class_index);
        }
    }
    void withdraw(std::uint32_t class_index) {
        for (std::uint32_t i = 1; i < pool_->extent_count(class_index); ++i) {
            if (withdraw_extent(pool_.view(), pool_.host(), class_index, i)) ++withdrawn_;
        }
    }
    [[nodiscard]] std::uint64_t opened() const { return opened_; }
    [[nodiscard]] std::uint64_t withdrawn() const { return withdrawn_; }

private:
    OwnPool& pool_;
    std::mt19937_64 random_{7};
    std::uint64_t opened_ = 0;
    std::uint64_t withdrawn_ = 0;
};

TEST(PoolThreads, ChurnInClassesThatGrowAndShrink) {
    OwnPool pool(Configs{{64, 16, 100}, {256, 256, 700}, {1024, 40, 300}});
    const auto claims = std::make_unique<test::SlotClaims>();
    GrowingHost host(pool);
    std::atomic<std::uint32_t> working{thread_count - 1};
    in_threads(thread_count, [&](std::uint32_t i) {
        if (i == 0) {
            while (working.load() != 0) host.step();
            return;
        }
        Churner churner(pool, *claims, i + 1);
        for (std::uint64_t step = 0; step < churn_steps; ++step) churner.step();
        churner.finish();
        --working;
    });
    EXPECT_EQ(claims->doubled(), 0U);
    EXPECT_EQ(claims->overwritten(), 0U);
    EXPECT_EQ(test::broken_or_not_all_free(pool.view()), "");
    EXPECT_GT(host.opened(), 2U);
    for (std::uint32_t i = 0; i < pool->class_count(); ++i) {
        host.withdraw(i);
        EXPECT_EQ(slots_in_service(pool.view(), i), pool->classes()[i].slot_count)
            << "nobody uses any of them";
    }
    EXPECT_GT(host.withdrawn(), 2U);
    EXPECT_EQ(test::broken_or_not_all_free(pool.view()), "");
    EXPECT_FALSE(pool.view().damaged());
}

TEST(PoolThreads, FightForTheSlotsOfATinyPool) {  // T-VS-15
    OwnPool pool(Configs{{64, 2}});
    const auto claims = std::make_unique<test::SlotClaims>();
    in_threads(4, [&](std::uint32_t i) {
        Churner churner(pool, *claims, i + 1);
        for (std::uint64_t step = 0; step < churn_steps; ++step) churner.step();
        churner.finish();
    });
    EXPECT_EQ(claims->doubled(), 0U);
    EXPECT_EQ(test::broken_or_not_all_free(pool.view()), "");
}

TEST(PoolThreads, SeeExactlyOneOfRacingFreesSucceed) {  // T-VS-17, I5
    for (const std::uint32_t slot_count : {8U, 256U}) {
        OwnPool pool(Configs{{64, slot_count}});
        constexpr int rounds = 1500;
        std::vector<SlotRef> refs(rounds);
        std::vector<Atomic<int>> successes(rounds);
        std::barrier round(4);
        in_threads(4, [&](std::uint32_t i) {
            const auto lane = pool.lane(i + 1);
            for (std::size_t n = 0; n < rounds; ++n) {
                if (i == n % 4) refs[n] = pool->allocate(*lane, 1).value();
                round.arrive_and_wait();
                const auto freed = pool->free(*lane, refs[n]);
                successes[n] += freed ? 1 : 0;
                EXPECT_TRUE(freed || freed.error() == Errc::double_free);
                round.arrive_and_wait();
            }
            pool->flush(*lane);
        });
        for (const auto& one : successes) ASSERT_EQ(one.load(), 1);
        EXPECT_EQ(test::broken_or_not_all_free(pool.view()), "");
    }
}

/// The threads meet by spinning: a barrier would wake them too far apart.
TEST(PoolThreads, ClaimDifferentLanes) {
    OwnPool pool(Configs{{64, 8}}, 2);
    std::uint32_t claimed[2]{};
    std::uint32_t doubled = 0;
    Atomic<std::uint32_t> here[2]{};
    in_threads(2, [&](std::uint32_t i) {
        const auto meet = [&] {
            const std::uint32_t mine = here[i].load() + 1;
            here[i].store(mine);
            for (std::uint32_t looks = 1; here[1 - i].load() < mine; ++looks) {
                looks % 1024 == 0 ? std::this_thread::yield() : cpu_relax();
            }
        };
        for (int round = 0; round < 20'000; ++round) {
            meet();
            claimed[i] = claim_lane(pool.view(), i + 1, 0);
            meet();
            if (i == 0 && claimed[0] == claimed[1]) ++doubled;
            if (i == 0 || claimed[0] != claimed[1]) retire_lane(pool.view(), claimed[i]);
        }
    });
    EXPECT_EQ(doubled, 0U);
}

/// Hands slots from one thread to another.
class Mailbox {
public:
    void put(const SlotRef& ref) {
        const std::lock_guard lock(mutex_);
        refs_.push_back(ref);
    }
    std::optional<SlotRef> take() {
        const std::lock_guard lock(mutex_);
        if (refs_.empty()) return std::nullopt;
        const SlotRef ref = refs_.front();
        refs_.pop_front();
        return ref;
    }

private:
    std::mutex mutex_;
    std::deque<SlotRef> refs_;
};

TEST(PoolThreads, FreeWhatOthersHaveAllocated) {  // T-VS-15
    OwnPool pool(churned_classes);
    Mailbox boxes[4];
    constexpr std::uint64_t slots_per_sender = churn_steps / 20;
    Atomic<std::uint64_t> sent{0};
    Atomic<std::uint64_t> freed{0};
    Atomic<std::uint32_t> senders{4};
    in_threads(thread_count, [&](std::uint32_t i) {
        const auto lane = pool.lane(i + 1);
        Mailbox& box = boxes[i % 4];
        if (i < 4) {
            for (std::uint64_t step = 0; step < slots_per_sender; ++step) {
                auto ref = pool->allocate(*lane, 1 + step % 1024);
                while (!ref) {
                    ASSERT_EQ(ref.error(), Errc::exhausted);
                    std::this_thread::yield();
                    ref = pool->allocate(*lane, 1);
                }
                fill(pool->slot_data_mut(*ref).value(), i);
                box.put(*ref);
                ++sent;
            }
            --senders;
        } else {
            for (;;) {
                const bool last = senders.load() == 0;
                const auto ref = box.take();
                if (!ref && last) break;
                if (!ref) {
                    std::this_thread::yield();
                    continue;
                }
                EXPECT_TRUE(holds(pool->slot_data(*ref).value(), i - 4));
                EXPECT_TRUE(pool->free(*lane, *ref));
                ++freed;
            }
        }
        pool->flush(*lane);
    });
    EXPECT_EQ(sent.load(), freed.load());
    EXPECT_EQ(sent.load(), 4 * slots_per_sender);
    EXPECT_EQ(test::broken_or_not_all_free(pool.view()), "");
}

TEST(PoolThreads, WaitForSlotsThatOthersFree) {
    OwnPool pool(Configs{{64, 128}});
    in_threads(thread_count, [&](std::uint32_t i) {
        const auto lane = pool.lane(i + 1);
        std::vector<Loaned> held;
        for (int step = 0; step < 2000; ++step) {
            // Never waits while it has something, so nobody waits in a circle.
            for (int n = 0; n < 20; ++n) {
                const auto loaned =
                    held.empty() ? pool->loan(*lane, 1, Deadline::never()) : pool->loan(*lane, 1);
                if (!loaned) break;
                held.push_back(*loaned);
            }
            ASSERT_FALSE(held.empty());
            for (const Loaned& one : held) EXPECT_TRUE(pool->end_loan(*lane, one));
            held.clear();
        }
        pool->flush(*lane);
    });
    EXPECT_EQ(test::broken_or_not_all_free(pool.view()), "");
}

TEST(PoolThreads, AreTakenBackWhileOthersWork) {
    OwnPool pool(churned_classes);
    const auto claims = std::make_unique<test::SlotClaims>();
    Atomic<bool> stop{false};
    std::thread host([&] {
        // A lane that was left in the middle of its work, again and again.
        while (!stop.load()) {
            const std::uint32_t lane_index = claim_lane(pool.view(), 99, 3);
            ASSERT_NE(lane_index, no_lane_index);
            {
                Lane left(pool.view(), lane_index);
                for (int i = 0; i < 10; ++i) {
                    (void)pool->allocate(left, 256);
                    (void)pool->loan(left, 64);
                }
            }
            pool.reclaim(lane_index);
        }
    });
    in_threads(4, [&](std::uint32_t i) {
        Churner churner(pool, *claims, i + 1);
        for (std::uint64_t step = 0; step < churn_steps; ++step) churner.step();
        churner.finish();
    });
    stop = true;
    host.join();
    EXPECT_EQ(claims->doubled(), 0U);
    EXPECT_EQ(claims->overwritten(), 0U);
    EXPECT_EQ(test::broken_or_not_all_free(pool.view()), "");
}

TEST(PoolThreads, ShowAnObserverOnlyWhatIsSound) {
    OwnPool pool(churned_classes);
    const auto claims = std::make_unique<test::SlotClaims>();
    Atomic<bool> stop{false};
    std::thread observer([&] {
        while (!stop.load()) EXPECT_TRUE(audit_moving(pool.view()).empty());
    });
    in_threads(3, [&](std::uint32_t i) {
        Churner churner(pool, *claims, i + 1);
        for (std::uint64_t step = 0; step < churn_steps; ++step) churner.step();
        churner.finish();
    });
    stop = true;
    observer.join();
}

}  // namespace
}  // namespace shmpool
