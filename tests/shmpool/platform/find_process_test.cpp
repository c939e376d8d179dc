// SPDX-License-Identifier: Apache-2.0
/// Goal: a process that was seen by an earlier host is found again, and nobody else is taken for
/// it.
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <fstream>

#include "shmpool/platform/memory_object.hpp"
#include "shmpool/platform/process.hpp"
#include "shmpool/platform/shared_mapping.hpp"
#include "tests/shmpool/platform/forked_child.hpp"

namespace shmpool {
namespace {

using test::ForkedChild;
using test::Shared;
using test::sleep_for_ever;
using test::Step;

TEST(FindProcess, FindsWhoLives) {
    ForkedChild child(sleep_for_ever);
    const std::uint64_t started = process_started(child.pid());
    ASSERT_NE(started, 0U);
    const auto found = find_process(child.pid(), started);
    ASSERT_TRUE(found && *found);
    EXPECT_FALSE(has_ended(**found));
    ASSERT_TRUE(kill_through(**found, SIGKILL));
    EXPECT_EQ(child.wait(), -1) << "somebody else was meant";
}

TEST(FindProcess, TakesNobodyElseWithThatPidForIt) {
    const ForkedChild child(sleep_for_ever);
    const auto found = find_process(child.pid(), process_started(child.pid()) + 1);
    ASSERT_TRUE(found);
    EXPECT_FALSE(*found);
    const auto unknown = find_process(child.pid(), 0);
    ASSERT_TRUE(unknown);
    EXPECT_TRUE(*unknown) << "when it started is not known: whoever has the pid";
}

TEST(FindProcess, FindsNobodyWhenItHasEnded) {
    ForkedChild child([] { return 0; });
    const pid_t pid = child.pid();
    const std::uint64_t started = process_started(pid);
    child.wait();
    EXPECT_EQ(process_started(pid), 0U);
    const auto found = find_process(pid, started);
    ASSERT_TRUE(found);
    EXPECT_FALSE(*found);
}

/// What a process sees that was born behind `enter`, which gives 0.
std::uint64_t space_behind(int (*enter)()) {
    const Shared<std::uint64_t> seen;
    ForkedChild child([&] {
        if (enter() != 0) return 1;
        ForkedChild inner([&] {
            *seen = process_space();
            return 0;
        });
        return inner.wait();
    });
    EXPECT_EQ(child.wait(), 0);
    return *seen;
}

TEST(ProcessSpace, IsOneForThoseWhoCountAlike) {
    EXPECT_NE(process_space(), 0U);
    EXPECT_EQ(space_behind([] { return 0; }), process_space());
}

TEST(ProcessSpace, IsAnotherInAnotherPidNamespace) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to make a namespace";
    const std::uint64_t other = space_behind([] { return ::unshare(CLONE_NEWPID); });
    EXPECT_NE(other, 0U);
    EXPECT_NE(other, process_space());
}

TEST(ProcessSpace, IsAnotherByAnotherClock) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to make a namespace";
    const std::uint64_t other = space_behind([] {
        if (::unshare(CLONE_NEWTIME) != 0) return 1;
        std::ofstream offsets("/proc/self/timens_offsets");
        return offsets << "boottime 5000 0" << std::flush ? 0 : 1;
    });
    EXPECT_NE(other, process_space());
    EXPECT_EQ(other >> 32, process_space() >> 32);
}

TEST(MapsObject, TellsWhoHasItFromWhoHasNot) {
    const auto object = create_memory_object("find-process-test", 4096);
    ASSERT_TRUE(object);
    const Shared<Step> mapped;
    const ForkedChild with_it([&]() -> int {
        const auto mapping = SharedMapping::map(*object, 4096, Access::read_write);
        mapped->announce();
        sleep_for_ever();
    });
    const ForkedChild without_it(sleep_for_ever);
    mapped->await();
    EXPECT_TRUE(maps_object(with_it.pid(), *object).value());
    EXPECT_FALSE(maps_object(without_it.pid(), *object).value());
}

TEST(MapsObject, SaysThatItCanNotSee) {
    const auto object = create_memory_object("find-process-test", 4096);
    ASSERT_TRUE(object);
    ForkedChild child([] { return 0; });
    const pid_t pid = child.pid();
    child.wait();
    const auto seen = maps_object(pid, *object);
    ASSERT_FALSE(seen);
    EXPECT_EQ(seen.error().code, Errc::system);
}

}  // namespace
}  // namespace shmpool
