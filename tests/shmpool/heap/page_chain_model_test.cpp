// SPDX-License-Identifier: Apache-2.0
/// Goal: a page_chain does what a naive model does, whatever comes: pages, pins of several, deaths,
/// free pages that are overwritten, other openings. T-PG-27.
#include <random>

#include "tests/shmpool/heap/page_chain_steps.hpp"

namespace shmpool {
namespace {

using test::PageStep;
using test::Verb;

#ifdef NDEBUG
constexpr int rounds = 1'000;  // Of 1,000 steps.
#else
constexpr int rounds = 50;
#endif

void replay(const std::vector<PageStep>& steps) {
    EXPECT_EQ(test::PageChainPlay().play(steps), "") << test::code_of(test::shortened(steps));
}

std::vector<PageStep> some_steps(std::mt19937& random) {
    constexpr Verb verbs[] = {Verb::allocate, Verb::allocate, Verb::allocate, Verb::free,
                              Verb::free,     Verb::free,     Verb::pin,      Verb::unpin,
                              Verb::unpin,    Verb::give};
    std::vector<PageStep> steps;
    for (int i = 0; i < 1'000; ++i) {
        PageStep step{verbs[random() % std::size(verbs)], random() % 52, 1 + random() % 3};
        const auto seldom = random() % 200;
        if (seldom == 0) step.verb = Verb::die;
        if (seldom == 1) step.verb = Verb::spoil;
        if (seldom == 2) step.verb = Verb::reopen;
        steps.push_back(step);
        // Until none is free: a chain that is broken does not say in which order pages came back.
        if (step.verb == Verb::spoil) steps.insert(steps.end(), 60, {Verb::allocate, 0, 1});
    }
    return steps;
}

TEST(PageChainModel, AgreesWithTheHeap) {
    const unsigned seed = 20261122;
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    for (int round = 0; round < rounds && !testing::Test::HasFailure(); ++round) {
        replay(some_steps(random));
    }
}

}  // namespace
}  // namespace shmpool
