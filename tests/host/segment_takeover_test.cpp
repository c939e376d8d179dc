// SPDX-License-Identifier: Apache-2.0
/// Goal: what a host had begun with its own lane when it died is finished by the next one. Method:
/// one steward stops in the middle of a verb, another one takes its segment over.
#include <gtest/gtest.h>

#include <array>

#include "host/segment_steward.hpp"
#include "shmpool/pool/detectable_stack.hpp"
#include "shmpool/pool/pool_audit.hpp"
#include "shmpool/pool/pool_statistics.hpp"

namespace shmpool::host {
namespace {

class SegmentTakeover : public testing::Test {
protected:
    SegmentTakeover() {
        PoolConfig config;
        config.name = "test";
        config.classes = {{64, 8}};
        config.limits.peers = 4;
        config.limits.lanes = 8;
        first = *SegmentSteward::create(config);
    }
    void take_over() {
        auto control = Descriptor::duplicate(first->control());
        auto payload = Descriptor::duplicate(first->payload());
        ASSERT_TRUE(control && payload);
        first.reset();
        auto taken = SegmentSteward::take_over("test", std::move(*control), std::move(*payload));
        ASSERT_TRUE(taken) << taken.error().message;
        next = std::move(*taken);
    }
    void expect_all_free() const {
        const PoolView& pool = next->pool().view();
        for (const auto& one : read_statistics(pool)) EXPECT_EQ(one.free, one.slot_count);
        for (const auto& finding : audit(pool)) ADD_FAILURE() << finding.text;
        EXPECT_EQ(pool.lanes[host_lane].intent.load(), 0U);
    }

    std::unique_ptr<SegmentSteward> first;
    std::unique_ptr<SegmentSteward> next;
};

TEST_F(SegmentTakeover, FinishesWhatTheHostBeforeHadAnnounced) {
    std::array<std::uint32_t, 3> taken{};
    ASSERT_EQ(DetectableStack(first->pool().view(), 0).take(first->lane(), taken).count, 3U);
    take_over();
    expect_all_free();
}

TEST_F(SegmentTakeover, GivesBackWhatTheHostBeforeHadStamped) {
    ASSERT_TRUE(first->pool().loan(first->lane(), 64));
    ASSERT_TRUE(first->pool().loan(first->lane(), 64));
    take_over();
    expect_all_free();
}

}  // namespace
}  // namespace shmpool::host
