// SPDX-License-Identifier: Apache-2.0
/// When the host lets nobody in: a flood of strangers shuts the door, time opens it.
#include "host/door.hpp"

#include <gtest/gtest.h>

namespace shmpool::host {
namespace {

constexpr std::uint64_t begin_ns = 1'000'000'000'000;

void let_go(Door& door, std::uint64_t strangers, std::uint64_t now_ns) {
    for (std::uint64_t i = 0; i < strangers; ++i) door.left_at_once(1, now_ns);
}

TEST(Door, StaysOpenForABurst) {
    Door door;
    EXPECT_FALSE(door.should_shut(begin_ns));
    let_go(door, Door::burst - 1, begin_ns);
    EXPECT_FALSE(door.should_shut(begin_ns));
    door.left_at_once(1, begin_ns);
    EXPECT_TRUE(door.should_shut(begin_ns));
}

TEST(Door, NeverShutsForThoseWhoComeSlowly) {
    Door door;
    for (std::uint64_t i = 0; i < 10 * Door::burst; ++i) {
        door.left_at_once(1, begin_ns + i * Door::interval_ns);
        ASSERT_FALSE(door.should_shut(begin_ns + i * Door::interval_ns)) << i;
    }
}

TEST(Door, ShutsSoonerForThoseWhoCostMore) {
    Door door;
    door.left_at_once(Door::burst - 1, begin_ns);
    EXPECT_FALSE(door.should_shut(begin_ns));
    door.left_at_once(8, begin_ns);
    EXPECT_TRUE(door.should_shut(begin_ns));
    EXPECT_FALSE(door.should_shut(begin_ns + 8 * Door::interval_ns));
    EXPECT_FALSE(door.is_quiet(begin_ns + Door::remembered_ns));
    EXPECT_TRUE(door.is_quiet(begin_ns + Door::remembered_ns + 100 * Door::interval_ns));
}

TEST(Door, OpensForAPartOfABurstAgain) {
    Door door;
    let_go(door, Door::burst, begin_ns);
    const std::uint64_t open_ns = door.reopens_at_ns();
    EXPECT_EQ(open_ns, begin_ns + (Door::burst - Door::reopens_at) * Door::interval_ns);
    EXPECT_FALSE(door.should_shut(open_ns));
    let_go(door, Door::burst - Door::reopens_at, open_ns);
    EXPECT_TRUE(door.should_shut(open_ns));
}

TEST(Door, StaysShutForAsLongAsItIsTold) {
    Door door;
    const std::uint64_t until_ns = begin_ns + 1000 * Door::interval_ns;
    door.stay_shut(until_ns);
    EXPECT_EQ(door.reopens_at_ns(), until_ns);
    door.stay_shut(begin_ns);
    EXPECT_EQ(door.reopens_at_ns(), until_ns);
}

}  // namespace
}  // namespace shmpool::host
