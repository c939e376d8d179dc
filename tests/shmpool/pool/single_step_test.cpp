// SPDX-License-Identifier: Apache-2.0
/// Goal: there is no instruction at which a kill loses or doubles a slot; not only the places that
/// somebody thought of. Method: ptrace-step a child through one operation, SIGKILL it after the
/// n-th instruction, for every n; repair; take every slot. For longer operations the kills are at
/// each instruction that has changed the shared memory: these are all the states a kill can leave.
#include <cerrno>
#include <functional>
#include <iostream>
#include <set>

#include "tests/shmpool/pool/own_pool.hpp"
#include "tests/shmpool/pool/stepped_child.hpp"

#if defined(__x86_64__) && !defined(SHMPOOL_UNDER_THREAD_SANITIZER)

namespace shmpool {
namespace {

using test::Configs;
using test::OwnPool;
using test::Pages;
using Loaned = VarSlotPool::Loaned;

constexpr std::uint32_t all_slots = 136;
class SingleSteps : public testing::Test {
protected:
    /// As new: a witness, and a lane for the child.
    void start_anew() {
        witness_.reset();
        pool_.start_anew();
        witness_ = pool_.lane(5);
        doomed_ = claim_lane(pool_.view(), 6, 2);
        sibling_ = claim_lane(pool_.view(), 6, 2);
        taken_.clear();
        places_.clear();
    }

    void take_all() {
        for (auto loaned = pool_->loan(*witness_, 1); loaned; loaned = pool_->loan(*witness_, 1)) {
            ASSERT_TRUE(places_.emplace(loaned->class_index, position_of(loaned->key)).second)
                << "a slot was handed out twice";
            taken_.push_back(*loaned);
        }
    }
    void conclude() {
        ASSERT_EQ(test::broken(pool_.view()), "");
        take_all();
        ASSERT_EQ(taken_.size(), all_slots) << "slots were lost";
        for (const Loaned& one : taken_) ASSERT_TRUE(pool_->end_loan(*witness_, one));
        pool_->flush(*witness_);
        ASSERT_EQ(test::broken_or_not_all_free(pool_.view()), "");
    }

    enum class Kill { after_each_instruction, after_each_change };

    /// One child per place where a kill can fall: `prepare` and `body` run in it, `repair` here.
    void kill_everywhere(Kill kill, const std::function<void()>& prepare,
                         const std::function<void()>& body, const std::function<void()>& repair) {
        bool over = false;
        std::uint32_t places = 0;
        for (; !over && !HasFatalFailure(); ++places) {
            start_anew();
            {
                test::SteppedChild child(prepare, body, *board_);
                if (child.may_not_be_traced()) GTEST_SKIP() << "ptrace is not permitted here";
                ASSERT_TRUE(child.stopped());
                test::Changes changes(pool_.pages().span());
                for (std::uint32_t passed = 0; passed < places && !over;) {
                    over = !child.step();
                    if (kill == Kill::after_each_instruction || changes.has_changed()) ++passed;
                }
            }
            SCOPED_TRACE("killed at place " + std::to_string(places));
            if (places % 2 == 1) take_all();  // Others overwrite the head before the repair.
            repair();
            conclude();
        }
        EXPECT_GT(places, 10U);
        std::cout << places << " places\n";
    }
    /// As above, for one verb of a peer.
    void kill_peer(Kill kill, const std::function<void(Lane&)>& prepare,
                   const std::function<void(Lane&)>& body) {
        std::unique_ptr<Lane> lane;
        kill_everywhere(
            kill,
            [&] {
                lane = std::make_unique<Lane>(pool_.view(), doomed_);
                prepare(*lane);
            },
            [&] { body(*lane); }, [&] { pool_.reclaim(doomed_); });
    }

    OwnPool pool_{Configs{{64, 8}, {256, 128}}, 3, Pages::Kind::shared};
    std::unique_ptr<Lane> witness_;
    std::uint32_t doomed_ = 0;
    std::uint32_t sibling_ = 0;  ///< Another lane of the doomed process.
    std::vector<Loaned> taken_;
    std::set<std::pair<std::uint32_t, std::uint32_t>> places_;
    test::Shared<test::StepBoard> board_;
};

TEST_F(SingleSteps, OfAllocateAndFreeWithoutMagazine) {
    kill_peer(
        Kill::after_each_instruction, [](Lane&) {},
        [&](Lane& lane) {
            const auto ref = pool_->allocate(lane, 64);
            if (ref) (void)pool_->free(lane, *ref);
        });
}

TEST_F(SingleSteps, OfLoanAndEndWithoutMagazine) {
    kill_peer(
        Kill::after_each_change, [](Lane&) {},
        [&](Lane& lane) {
            const auto loaned = pool_->loan(lane, 64);
            if (loaned) (void)pool_->end_loan(lane, *loaned);
        });
}

TEST_F(SingleSteps, OfALoanThatRefillsTheMagazine) {
    kill_peer(
        Kill::after_each_change, [](Lane&) {}, [&](Lane& lane) { (void)pool_->loan(lane, 256); });
}

TEST_F(SingleSteps, OfAnEndThatFlushesTheMagazine) {
    std::vector<Loaned> loans;
    kill_peer(
        Kill::after_each_change,
        [&](Lane& lane) {
            for (int i = 0; i < 12; ++i) loans.push_back(pool_->loan(lane, 256).value());
            while (lane.magazine(1).top != lane.magazine(1).limit) {
                test::must(pool_->end_loan(lane, loans.back()));
                loans.pop_back();
            }
        },
        [&](Lane& lane) { (void)pool_->end_loan(lane, loans.back()); });
}

TEST_F(SingleSteps, OfTheMagazinePathAlone) {
    kill_peer(
        Kill::after_each_change,
        [&](Lane& lane) { test::must(pool_->end_loan(lane, pool_->loan(lane, 256).value())); },
        [&](Lane& lane) {
            for (int i = 0; i < 3; ++i) {
                const auto ref = pool_->allocate(lane, 256);
                if (ref) (void)pool_->free(lane, *ref);
            }
        });
}

/// The ending lane has never had these slots: nothing but its own mark leads the host to them.
TEST_F(SingleSteps, OfAnEndOfWhatASiblingHasTaken) {
    std::vector<Loaned> loans;
    std::vector<SlotRef> raw;
    std::unique_ptr<Lane> lane;
    std::unique_ptr<Lane> sibling;
    kill_everywhere(
        Kill::after_each_change,
        [&] {
            lane = std::make_unique<Lane>(pool_.view(), doomed_);
            sibling = std::make_unique<Lane>(pool_.view(), sibling_);
            // Loans in the first block of the class, raw slots in the second.
            for (int i = 0; i < 70; ++i) loans.push_back(pool_->loan(*sibling, 256).value());
            for (int i = 0; i < 6; ++i) raw.push_back(pool_->allocate(*sibling, 256).value());
        },
        [&] {
            for (std::size_t i = 0; i < raw.size(); ++i) {
                (void)pool_->end_loan(*lane, loans[i]);
                (void)pool_->free(*lane, raw[i]);
            }
        },
        [&] {
            pool_.reclaim(doomed_);
            pool_.reclaim(sibling_);
        });
}

TEST_F(SingleSteps, OfAFlushUnderPressure) {
    Loaned last;
    kill_peer(
        Kill::after_each_change,
        [&](Lane& lane) {
            last = pool_->loan(lane, 256).value();
            pool_.view().header->pressure.store(2);
        },
        [&](Lane& lane) { (void)pool_->end_loan(lane, last); });
}

TEST_F(SingleSteps, OfTheHostsRepair) {
    // What a lane leaves that died in the middle of a push: loans, and a chain that nobody reaches.
    const auto leave_a_mess = [&] {
        Lane lane(pool_.view(), doomed_);
        std::vector<Loaned> chain;
        for (int i = 0; i < 3; ++i) chain.push_back(pool_->loan(lane, 64).value());
        (void)pool_->loan(lane, 64).value();
        (void)pool_->loan(lane, 256).value();
        lane.next_sequence();
        SlotRecord* const records = pool_.view().classes[0].records;
        for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
            records[position_of(chain[i].key)].link = stored_link(position_of(chain[i + 1].key));
        }
        lane.announce({IntentKind::push, 0, 0, position_of(chain[0].key), 3});
        records[position_of(chain[0].key)].word =
            make_word(generation_of(chain[0].key), SlotState::listed, 0);
    };
    kill_everywhere(
        Kill::after_each_change, leave_a_mess, [&] { pool_.reclaim(doomed_); },
        [&] {
            pool_.reclaim(host_lane);  // The next host begins with the old one's lane.
            pool_.reclaim(doomed_);
        });
}

}  // namespace
}  // namespace shmpool

#else

TEST(SingleSteps, AreForX8664WithoutThreadSanitizerOnly) {
    GTEST_SKIP() << "stepping is written for x86-64, and the thread sanitizer's runtime is no test";
}

#endif
