// SPDX-License-Identifier: Apache-2.0
/// Goal: whatever verbs come in whatever order, the pool does what a map would do. Method: 2 * 10^5
/// random steps in sequences of 500 over four shapes of pools; a failure is shortened and printed
/// with its seed and a line to paste into `ReplaysALine`.
#include <gtest/gtest.h>

#include <random>

#include "tests/shmpool/pool/pool_steps.hpp"

namespace shmpool::test {
namespace {

using Steps = std::vector<PoolStep>;

const std::vector<Configs> shapes{
    {{64, 2}},
    {{1024, 8}, {16384, 4}, {262144, 2}},
    {{64, 128}, {128, 8}},
    {{64, 9}, {100, 140}, {4096, 3}},
};

struct Failure {
    std::string what;
    std::size_t step;
};

std::optional<Failure> replay(std::size_t shape, const Steps& steps,
                              Sabotage sabotage = Sabotage::none) {
    PoolAndModel both(shapes[shape], sabotage);
    for (std::size_t i = 0; i < steps.size(); ++i) {
        if (auto wrong = both.play(steps[i]); !wrong.empty()) return Failure{wrong, i};
    }
    if (auto wrong = both.compare(); !wrong.empty()) return Failure{wrong, steps.size()};
    return std::nullopt;
}

Steps random_steps(std::uint64_t seed, std::size_t count) {
    std::mt19937_64 random(seed);
    const auto number = [&](std::uint32_t limit) {
        return static_cast<std::uint32_t>(random() % limit);
    };
    constexpr std::uint64_t sizes[] = {0, 1, 64, 65, 100, 128, 1024, 1025, 5000, 262144, 300000};
    // By turns more is taken than given, and the other way round: the pool runs full and empty.
    Steps steps;
    bool filling = true;
    while (steps.size() < count) {
        if (number(60) == 0) filling = !filling;
        const std::uint32_t lane = number(PoolAndModel::lane_count);
        const std::uint32_t which = number(1000);
        const std::uint64_t size = sizes[number(number(3) == 0 ? 11 : 5)];
        const std::uint32_t dice = number(100);
        if (dice < (filling ? 35U : 12U))
            steps.push_back(Allocate{lane, size});
        else if (dice < (filling ? 70U : 24U))
            steps.push_back(TakeLoan{lane, size});
        else if (dice < (filling ? 76U : 50U))
            steps.push_back(Free{lane, which});
        else if (dice < (filling ? 82U : 76U))
            steps.push_back(EndLoan{lane, which});
        else if (dice < 86)
            steps.push_back(FreeAgain{lane, which});
        else if (dice < 89)
            steps.push_back(FreeALoan{lane, which});
        else if (dice < 92)
            steps.push_back(EndARaw{lane, which});
        else if (dice < 96)
            steps.push_back(Cancel{lane, which});
        else if (dice < 98)
            steps.push_back(Flush{lane});
        else
            steps.push_back(Die{lane});
    }
    return steps;
}

/// Leaves out whatever is not needed for a failure, in ever smaller pieces.
Steps shortened(std::size_t shape, Steps steps, Sabotage sabotage) {
    for (std::size_t piece = steps.size() / 2; piece > 0; piece /= 2) {
        for (std::size_t at = 0; at + piece <= steps.size();) {
            Steps fewer = steps;
            const auto from = fewer.begin() + static_cast<std::ptrdiff_t>(at);
            fewer.erase(from, from + static_cast<std::ptrdiff_t>(piece));
            if (replay(shape, fewer, sabotage)) {
                steps = std::move(fewer);
            } else {
                at += piece;
            }
        }
    }
    return steps;
}

std::string line_of(std::size_t shape, const Steps& steps) {
    std::string line = "replay(" + std::to_string(shape) + ", {";
    for (const PoolStep& step : steps) line += code_of(step) + ", ";
    return line + "})";
}

/// Empty, or all that somebody needs who wants to see it himself.
std::string search(std::uint64_t seed, std::size_t shape, std::size_t count,
                   Sabotage sabotage = Sabotage::none) {
    const Steps steps = random_steps(seed, count);
    const auto failure = replay(shape, steps, sabotage);
    if (!failure) return "";
    return failure->what + " in step " + std::to_string(failure->step) + " of seed " +
           std::to_string(seed) + ": " + line_of(shape, shortened(shape, steps, sabotage));
}

class PoolAgainstModel : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(EachShape, PoolAgainstModel, testing::Range<std::size_t>(0, 4));

TEST_P(PoolAgainstModel, DoesWhatAMapWouldDo) {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        ASSERT_EQ(search(seed, GetParam(), 500), "");
    }
}

TEST(PoolAgainstModel, ReplaysALine) {
    EXPECT_FALSE(replay(0, {Allocate{0, 1}, Free{1, 0}, FreeAgain{2, 0}, Die{0}}));
    EXPECT_FALSE(replay(2, {TakeLoan{0, 64}, Die{1}, EndLoan{1, 0}, Flush{1}, Cancel{0, 0}}));
}

TEST(PoolAgainstModel, FindsASlotThatIsHandedOutTwice) {
    const std::string found = search(1, 0, 500, Sabotage::hands_out_twice);
    EXPECT_NE(found.find("handed out twice"), std::string::npos) << found;
    EXPECT_NE(found.find("replay(0, {"), std::string::npos) << found;
    EXPECT_LT(found.size(), 200U) << "must be short enough to be read: " << found;
}

TEST(PoolAgainstModel, FindsAnEndThatHadNoEffect) {
    const std::string found = search(1, 1, 500, Sabotage::forgets_an_end);
    EXPECT_NE(found.find("EndLoan"), std::string::npos) << found;
}

TEST(PoolAgainstModel, FindsACancelOfWhatOthersHave) {
    const std::string found = search(1, 0, 500, Sabotage::frees_for_others);
    EXPECT_NE(found.find("Cancel"), std::string::npos) << found;
}

}  // namespace
}  // namespace shmpool::test
