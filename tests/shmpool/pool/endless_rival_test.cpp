// SPDX-License-Identifier: Apache-2.0
/// Goal: who writes into a free list without end stops nobody else for ever: the verb ends, and the
/// pool is marked (I6). Method: a rival comes between each look at the head and the exchange, twice
/// as often as an honest one could be met; so a verb without a bound would succeed in the end.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>

#include "shmpool/platform/crash_point.hpp"
#include "shmpool/pool/retry_limit.hpp"
#include "tests/shmpool/pool/own_pool.hpp"

namespace shmpool {
namespace {

using test::Configs;
using test::OwnPool;

const char* rival_point = "";
std::uint32_t rival_turns = 0;
std::uint64_t* rival_word = nullptr;

void come_between(const char* name) {
    if (rival_turns == 0 || std::strcmp(name, rival_point) != 0) return;
    --rival_turns;
    // By a lane that does not exist, so that nobody notes the change.
    std::atomic_ref(*rival_word).store(make_change(60'000, rival_turns));
}

class EndlessRival : public testing::Test {
protected:
    void TearDown() override { crash_hook.store(nullptr); }

    void comes_at(const char* point) {
        rival_point = point;
        rival_turns = 2 * retry_limit;
        rival_word = &pool_.view().classes[0].extents[0].head.high;
        crash_hook.store(&come_between);
    }

    OwnPool pool_{Configs{{64, 8}}, 3};  // Too small for magazines.
    std::unique_ptr<Lane> lane_ = pool_.lane();
};

TEST_F(EndlessRival, EndsAPop) {
    comes_at("pop_announced");
    const auto loan = pool_->loan(*lane_, 1);
    ASSERT_FALSE(loan);
    EXPECT_EQ(loan.error(), Errc::pool_damaged);
    EXPECT_TRUE(pool_.view().damaged());
    EXPECT_EQ(lane_->cell().intent.load(), 0U);
    EXPECT_GT(rival_turns, 0U);
}

TEST_F(EndlessRival, EndsAPush) {
    const auto loan = pool_->loan(*lane_, 1).value();
    comes_at("push_last_change_noted");
    (void)pool_->end_loan(*lane_, loan);
    EXPECT_TRUE(pool_.view().damaged());
    EXPECT_EQ(lane_->cell().intent.load(), 0U);
    EXPECT_GT(rival_turns, 0U);
}

}  // namespace
}  // namespace shmpool
