// SPDX-License-Identifier: Apache-2.0
/// What is said of strangers: a burst, then a line in a second, and how many were left out.
#include "host/line_limit.hpp"

#include <gtest/gtest.h>

namespace shmpool::host {
namespace {

constexpr std::uint64_t begin_ns = 1'000'000'000'000;
constexpr std::uint64_t second_ns = LineLimit::interval_ns;

void use_burst(LineLimit& limit, std::uint64_t now_ns) {
    for (std::uint64_t i = 0; i < LineLimit::burst; ++i) EXPECT_EQ(limit.ask(now_ns), 0U) << i;
}

TEST(LineLimit, LetsABurstThroughAndNotOneMore) {
    LineLimit limit;
    use_burst(limit, begin_ns);
    EXPECT_EQ(limit.ask(begin_ns), std::nullopt);
    EXPECT_EQ(limit.ask(begin_ns + second_ns - 1), std::nullopt);
}

TEST(LineLimit, LetsOneThroughInASecondAndCountsTheOthers) {
    LineLimit limit;
    use_burst(limit, begin_ns);
    for (int i = 0; i < 7; ++i) EXPECT_EQ(limit.ask(begin_ns), std::nullopt);
    EXPECT_EQ(limit.ask(begin_ns + second_ns), 7U);
    EXPECT_EQ(limit.ask(begin_ns + second_ns), std::nullopt);
    EXPECT_EQ(limit.ask(begin_ns + 2 * second_ns), 1U);
}

TEST(LineLimit, HasAWholeBurstAgainAfterAWhile) {
    LineLimit limit;
    use_burst(limit, begin_ns);
    use_burst(limit, begin_ns + LineLimit::burst * second_ns);
    EXPECT_EQ(limit.ask(begin_ns + LineLimit::burst * second_ns), std::nullopt);
}

}  // namespace
}  // namespace shmpool::host
