// SPDX-License-Identifier: Apache-2.0
/// Deadlines at their limits; no test here depends on how fast the machine is.
#include "shmpool/platform/monotonic_clock.hpp"

#include <gtest/gtest.h>

namespace shmpool {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

TEST(MonotonicClock, NeverGoesBack) {
    std::uint64_t before = monotonic_ns();
    for (int i = 0; i < 1000; ++i) {
        const std::uint64_t now = monotonic_ns();
        ASSERT_GE(now, before);
        before = now;
    }
}

TEST(Deadline, NeverDoesNotExpire) {
    EXPECT_FALSE(Deadline::never().expired());
    EXPECT_EQ(Deadline::never().remaining(), nanoseconds::max());
}

TEST(Deadline, TakesTheLongestDurationAsNever) {
    EXPECT_TRUE(Deadline::after(nanoseconds::max()).is_never());
}

TEST(Deadline, DoesNotOverflowJustBelowTheLongestDuration) {
    const Deadline deadline = Deadline::after(nanoseconds::max() - 1ns);
    EXPECT_FALSE(deadline.expired());
    EXPECT_GT(deadline.remaining(), 24h);
}

TEST(Deadline, HasExpiredAtOnceForZeroAndNegativeDurations) {
    for (const nanoseconds timeout : {0ns, -1ns, nanoseconds::min()}) {
        const Deadline deadline = Deadline::after(timeout);
        EXPECT_TRUE(deadline.expired());
        EXPECT_EQ(deadline.remaining(), 0ns);
    }
}

TEST(Deadline, CountsDownToItsMoment) {
    const Deadline deadline = Deadline::after(1h);
    EXPECT_FALSE(deadline.expired());
    const nanoseconds first = deadline.remaining();
    EXPECT_LE(first, 1h);
    EXPECT_GT(first, 0ns);
    EXPECT_LE(deadline.remaining(), first);
}

TEST(Deadline, ExpiresOnceItsMomentHasPassed) {
    const Deadline deadline = Deadline::after(1ns);
    const std::uint64_t start = monotonic_ns();
    while (monotonic_ns() < start + 2) {
    }
    EXPECT_TRUE(deadline.expired());
}

}  // namespace
}  // namespace shmpool
