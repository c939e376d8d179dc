// SPDX-License-Identifier: Apache-2.0
/// Goal: a death at each named narrow place, at each time it is passed, loses and doubles nothing.
/// Method: a child with a fixed script kills itself at the n-th hit of one point; a witness takes
/// every slot there is, before and after the repair, and must get each exactly once; the same for
/// the host while it repairs. The list of points is compared with the sources, so that a new point
/// without a kill is red. Compiled against a pool library of its own, with SHMPOOL_CRASH_POINTS.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "tests/shmpool/pool/dies_at.hpp"
#include "tests/shmpool/pool/own_pool.hpp"

namespace shmpool {
namespace {

using test::Configs;
using test::dies_at;
using test::must;
using test::OwnPool;
using test::Pages;
using Loaned = VarSlotPool::Loaned;

constexpr const char* peer_points[] = {
    "pop_last_change_noted",  "pop_announced", "pop_happened",   "push_announced",
    "push_stamped",           "push_happened", "refill_stamped", "direct_take_stamped",
    "push_last_change_noted", "raw_free_won",  "pop_head_read",  "push_head_read",
    "raw_free_checked",
};
constexpr const char* host_points[] = {
    "push_announced",  "push_stamped",    "push_last_change_noted", "push_happened",
    "recover_stamped", "recover_decided", "sweep_stamped",          "retire_forgot_blocks",
    "push_head_read",  "happened_looked",
};

/// One pool: a class without magazines, and one with; two lanes of the doomed process, one of the
/// living witness, which lends the doomed some raw slots that it frees.
class CrashScene {
public:
    CrashScene() {
        doomed_ = claim_lane(pool_.view(), 77, 0);
        sibling_ = claim_lane(pool_.view(), 77, 1);
        for (const std::uint64_t size : {64U, 64U, 256U, 256U}) {
            lent_.push_back(pool_->allocate(*witness_, size).value());
        }
    }

    void play_peer() {
        Lane lane(pool_.view(), doomed_);
        Lane sibling(pool_.view(), sibling_);
        std::vector<SlotRef> raw{pool_->allocate(lane, 1).value(),
                                 pool_->allocate(lane, 1).value()};
        const Loaned direct = pool_->loan(lane, 1).value();
        must(pool_->end_loan(sibling, direct));
        for (const SlotRef& ref : raw) must(pool_->free(sibling, ref));
        std::vector<Loaned> loans;
        for (int i = 0; i < 21; ++i) loans.push_back(pool_->loan(lane, 256).value());
        for (int i = 0; i < 11; ++i) {
            must(pool_->end_loan(i % 3 == 0 ? sibling : lane, loans.back()));
            loans.pop_back();
        }
        for (const SlotRef& ref : lent_) must(pool_->free(lane, ref));
        raw = {pool_->allocate(lane, 256).value(), pool_->allocate(lane, 1).value()};
        must(pool_->free(lane, raw[0]));
        pool_->flush(sibling);
        for (const Loaned& one : loans) must(pool_->end_loan(lane, one));
        pool_->flush(lane);
        must(pool_->free(lane, raw[1]));
    }

    void repair(Lane& host) {
        for (const std::uint32_t lane : {doomed_, sibling_}) recover_intent(pool_.view(), lane);
        for (const std::uint32_t lane : {doomed_, sibling_}) {
            (void)sweep_lane(*pool_, host, lane, [](std::uint32_t, SlotKey) { return false; });
            retire_lane(pool_.view(), lane);
        }
    }
    /// What a new host does first with the lane that the old one had.
    void repair_host(Lane& host) {
        recover_intent(pool_.view(), host_lane);
        (void)sweep_lane(*pool_, host, host_lane, [](std::uint32_t, SlotKey) { return false; });
    }

    /// The witness takes all that it can get; each slot must be one that it did not have.
    void take_all() {
        for (;;) {
            const auto loaned = pool_->loan(*witness_, 1);
            if (!loaned) {
                EXPECT_EQ(loaned.error(), Errc::exhausted);
                return;
            }
            EXPECT_TRUE(places_.emplace(loaned->class_index, position_of(loaned->key)).second)
                << "slot " << position_of(loaned->key) << " was handed out twice";
            taken_.push_back(*loaned);
        }
    }
    /// Nobody else is left: the witness has, or gets, every slot; then all of them are free.
    void conclude() {
        EXPECT_EQ(test::broken(pool_.view()), "");
        for (const SlotRef& ref : lent_) (void)pool_->free(*witness_, ref);
        take_all();
        EXPECT_EQ(taken_.size(), 136U) << "slots were lost";
        for (const Loaned& one : taken_) EXPECT_TRUE(pool_->end_loan(*witness_, one));
        pool_->flush(*witness_);
        EXPECT_EQ(test::broken_or_not_all_free(pool_.view()), "");
        EXPECT_FALSE(pool_.view().damaged());
    }

    OwnPool& pool() { return pool_; }

private:
    OwnPool pool_{Configs{{64, 8}, {256, 128}}, 4, Pages::Kind::shared};
    std::unique_ptr<Lane> witness_ = pool_.lane(5);
    std::uint32_t doomed_ = 0;
    std::uint32_t sibling_ = 0;
    std::vector<SlotRef> lent_;
    std::vector<Loaned> taken_;
    std::set<std::pair<std::uint32_t, std::uint32_t>> places_;
};

class PeerDiesAt : public testing::TestWithParam<const char*> {};
class HostDiesAt : public testing::TestWithParam<const char*> {};

const auto name_of_point = [](const auto& given) { return std::string(given.param); };
INSTANTIATE_TEST_SUITE_P(EachPoint, PeerDiesAt, testing::ValuesIn(peer_points), name_of_point);
INSTANTIATE_TEST_SUITE_P(EachPoint, HostDiesAt, testing::ValuesIn(host_points), name_of_point);

TEST_P(PeerDiesAt, AndNoSlotIsLostOrDoubled) {  // T-VS-21
    for (const bool others_work_before_the_repair : {false, true}) {
        std::uint32_t kills = 0;
        for (std::uint32_t hit = 1; !testing::Test::HasFailure(); ++hit) {
            CrashScene scene;
            if (!dies_at(GetParam(), hit, [&] { scene.play_peer(); })) break;
            ++kills;
            SCOPED_TRACE("hit " + std::to_string(hit));
            if (others_work_before_the_repair) scene.take_all();
            scene.repair(scene.pool().host());
            scene.repair(scene.pool().host());  // Idempotent.
            scene.conclude();
        }
        EXPECT_GT(kills, 0U) << "nobody passes this point";
    }
}

TEST_P(HostDiesAt, AndTheNextHostFinishes) {  // T-VS-25
    std::uint32_t kills = 0;
    for (const char* const peer_point : {"refill_stamped", "push_announced", "push_stamped"}) {
        for (std::uint32_t hit = 1; !testing::Test::HasFailure(); ++hit) {
            CrashScene scene;
            ASSERT_TRUE(dies_at(peer_point, 3, [&] { scene.play_peer(); }));
            const bool others_work = hit % 2 == 0;
            SCOPED_TRACE(std::string(peer_point) + ", hit " + std::to_string(hit));
            if (!dies_at(GetParam(), hit, [&] { scene.repair(scene.pool().host()); })) break;
            ++kills;
            if (others_work) scene.take_all();
            // And a second host dies in the same place while it repairs the first one's lane.
            dies_at(GetParam(), 1, [&] { scene.repair_host(scene.pool().host()); });
            Lane next_host(scene.pool().view(), host_lane);
            scene.repair_host(next_host);
            scene.repair(next_host);
            scene.conclude();
        }
    }
    EXPECT_GT(kills, 0U) << "nobody passes this point";
}

TEST(CrashPoints, AreAllListedHere) {
    std::set<std::string> in_sources;
    const std::regex spelling(R"(SHMPOOL_CRASH_POINT\((\w+)\))");
    const std::filesystem::path root(SHMPOOL_SOURCE_DIR);
    for (const char* const room : {"shmpool/layout", "shmpool/pool", "shmpool/segment"}) {
        for (const auto& file : std::filesystem::directory_iterator(root / room)) {
            std::stringstream text;
            text << std::ifstream(file.path()).rdbuf();
            const std::string all = text.str();
            for (std::sregex_iterator at(all.begin(), all.end(), spelling), end; at != end; ++at) {
                in_sources.insert((*at)[1]);
            }
        }
    }
    std::set<std::string> killed_at(std::begin(peer_points), std::end(peer_points));
    killed_at.insert(std::begin(host_points), std::end(host_points));
    killed_at.insert(std::begin(test::growth_points), std::end(test::growth_points));
    EXPECT_EQ(in_sources, killed_at);
}

}  // namespace
}  // namespace shmpool
