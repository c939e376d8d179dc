// SPDX-License-Identifier: Apache-2.0
/// Goal: there is no instruction of growing, withdrawing and bringing back at which the death of
/// the host loses or doubles a slot. Method: as single_step_test.cpp: a kill behind each
/// instruction that has changed the shared memory, which are all the states a kill can leave.
#include <iostream>

#include "tests/shmpool/pool/growth_scene.hpp"
#include "tests/shmpool/pool/stepped_child.hpp"

#if defined(__x86_64__) && !defined(SHMPOOL_UNDER_THREAD_SANITIZER)

namespace shmpool {
namespace {

TEST(GrowthSteps, MayBeTheHostsLast) {
    const test::Shared<test::StepBoard> board;
    bool is_over = false;
    std::uint32_t places = 0;
    for (; !is_over && !testing::Test::HasFailure(); ++places) {
        test::GrowthScene scene;
        {
            test::SteppedChild child([] {}, [&] { scene.play_host(); }, *board);
            if (child.may_not_be_traced()) GTEST_SKIP() << "ptrace is not permitted here";
            ASSERT_TRUE(child.stopped());
            test::Changes changes(scene.memory());
            for (std::uint32_t passed = 0; passed < places && !is_over;) {
                is_over = !child.step();
                if (changes.has_changed()) ++passed;
            }
        }
        SCOPED_TRACE("killed at place " + std::to_string(places));
        if (places % 2 == 1) scene.take_all();
        scene.repair();
        scene.conclude();
    }
    EXPECT_GT(places, 30U);
    std::cout << places << " places\n";
}

}  // namespace
}  // namespace shmpool

#endif
