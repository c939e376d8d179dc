// SPDX-License-Identifier: Apache-2.0
/// What the kernel then says of a thread; how soon such one runs is for scripts/bench reclaim.
#include "shmpool/platform/thread.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "tests/shmpool/platform/scheduling_of.hpp"

namespace shmpool {
namespace {

using test::Scheduling;

template <typename Body>
void in_another_thread(Body&& body) {
    std::thread(std::forward<Body>(body)).join();
}

TEST(ShortSlices, AreGivenToTheThreadAndToThoseThatItStarts) {
    if (Scheduling(0).slice_ns() == 0 || Scheduling(0).policy() != SCHED_OTHER) {
        GTEST_SKIP() << "before Linux 6.12 there are none, nor under another policy";
    }
    in_another_thread([] {
        ask_for_short_slices();
        EXPECT_EQ(Scheduling(0).slice_ns(), 100'000U);
        in_another_thread([] { EXPECT_EQ(Scheduling(0).slice_ns(), 100'000U); });
    });
    EXPECT_NE(Scheduling(0).slice_ns(), 100'000U) << "of a thread that did not ask";
}

TEST(ShortSlices, LeaveTheNiceValueAsItIs) {
    in_another_thread([] {
        const auto thread = static_cast<id_t>(::syscall(SYS_gettid));
        ASSERT_EQ(::setpriority(PRIO_PROCESS, thread, 7), 0) << std::strerror(errno);
        ask_for_short_slices();
        EXPECT_EQ(Scheduling(0).nice(), 7);
    });
}

TEST(ShortSlices, LeaveAPolicyThatSomebodyChoseAsItIs) {
    in_another_thread([] {
        const sched_param none{};
        ASSERT_EQ(::sched_setscheduler(0, SCHED_BATCH, &none), 0) << std::strerror(errno);
        const Scheduling before(0);
        ask_for_short_slices();
        EXPECT_EQ(Scheduling(0), before);
    });
}

}  // namespace
}  // namespace shmpool
