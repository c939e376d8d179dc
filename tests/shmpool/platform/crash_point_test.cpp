// SPDX-License-Identifier: Apache-2.0
/// Compiled with SHMPOOL_CRASH_POINTS. That a crash point is nothing without it, every other test
/// shows by linking without a hook.
#include "shmpool/platform/crash_point.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace shmpool {
namespace {

std::vector<std::string> reached;

void remember(const char* name) {
    reached.emplace_back(name);
}

TEST(CrashPoint, DoesNothingWithoutAHook) {
    crash_hook.store(nullptr, std::memory_order_relaxed);
    SHMPOOL_CRASH_POINT(nobody_listens);
}

TEST(CrashPoint, CallsTheHookWithItsName) {
    crash_hook.store(&remember, std::memory_order_relaxed);
    SHMPOOL_CRASH_POINT(owner_written_before_link_taken);
    SHMPOOL_CRASH_POINT(link_taken);
    crash_hook.store(nullptr, std::memory_order_relaxed);
    EXPECT_EQ(reached, (std::vector<std::string>{"owner_written_before_link_taken", "link_taken"}));
}

}  // namespace
}  // namespace shmpool
