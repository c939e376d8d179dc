// SPDX-License-Identifier: Apache-2.0
/// How the kernel schedules a thread, as it says itself.
#pragma once

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cstdint>

namespace shmpool::test {

/// The kernel's sched_attr as words.
class Scheduling {
public:
    /// Of this thread: 0.
    explicit Scheduling(pid_t thread) {
        EXPECT_EQ(::syscall(SYS_sched_getattr, thread, words_.data(), sizeof words_, 0U), 0);
    }

    [[nodiscard]] int policy() const { return static_cast<int>(words_[0] >> 32); }
    /// 0: a kernel that gives no slices of one's own (before Linux 6.12).
    [[nodiscard]] std::uint64_t slice_ns() const { return words_[3]; }
    [[nodiscard]] int nice() const { return static_cast<int>(static_cast<unsigned>(words_[2])); }

    friend bool operator==(const Scheduling&, const Scheduling&) = default;

private:
    std::array<std::uint64_t, 6> words_{};
};

}  // namespace shmpool::test
