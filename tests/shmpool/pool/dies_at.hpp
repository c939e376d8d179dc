// SPDX-License-Identifier: Apache-2.0
/// Deaths at named narrow places: a child kills itself when it passes one for the n-th time.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "shmpool/platform/crash_point.hpp"

namespace shmpool::test {

/// Those of a host that lets classes grow and shrink: growth_deaths_test.cpp dies there.
inline constexpr const char* growth_points[] = {
    "extent_written",   "extent_published",   "take_all_announced", "take_all_happened",
    "extent_withdrawn", "give_all_announced", "give_all_owned",     "give_all_happened",
};

/// What the hook of this process waits for.
struct Doom {
    std::string point;
    std::uint32_t hits_left = 0;
};
inline Doom doom;

inline void die_at_the_last_hit(const char* name) {
    if (doom.point == name && --doom.hits_left == 0) ::raise(SIGKILL);
}

/// Runs `script` in a child that dies at the n-th hit of `point`; false when it lived to the end.
template <typename Script>
bool dies_at(const std::string& point, std::uint32_t hit, Script script) {
    const pid_t child = ::fork();
    if (child == 0) {
        doom = {point, hit};
        crash_hook.store(&die_at_the_last_hit);
        script();
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return true;
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the script itself failed";
    return false;
}

}  // namespace shmpool::test
