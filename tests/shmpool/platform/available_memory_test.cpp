// SPDX-License-Identifier: Apache-2.0
/// What other machines' files say, written into a folder of the test.
#include "shmpool/platform/available_memory.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>

namespace shmpool {
namespace {

class AvailableMemory : public testing::Test {
protected:
    void SetUp() override {
        root_ = std::filesystem::temp_directory_path() / ("shmpool-" + std::to_string(::getpid()));
        std::filesystem::remove_all(root_);
        write("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable: 1000 kB\nSwapFree: 24 kB\n");
    }
    void TearDown() override { std::filesystem::remove_all(root_); }

    void write(const std::string& path, const std::string& text) {
        std::filesystem::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path) << text;
    }
    std::uint64_t available() { return available_memory_bytes(root_.string()); }

    std::filesystem::path root_;
};

TEST_F(AvailableMemory, IsMemoryAndSwapWithoutControlGroups) {
    EXPECT_EQ(available(), 1024U * 1024U);
}

TEST_F(AvailableMemory, IsBoundedByTheGroupOfVersionTwo) {
    write("proc/self/cgroup", "0::/robots\n");
    write("sys/fs/cgroup/robots/memory.max", "5000\n");
    write("sys/fs/cgroup/robots/memory.current", "3000\n");
    EXPECT_EQ(available(), 2000U);
}

TEST_F(AvailableMemory, IsBoundedByEveryGroupAbove) {
    write("proc/self/cgroup", "0::/robots/arm\n");
    write("sys/fs/cgroup/robots/memory.max", "4000\n");
    write("sys/fs/cgroup/robots/memory.current", "3000\n");
    write("sys/fs/cgroup/robots/arm/memory.max", "max\n");
    write("sys/fs/cgroup/robots/arm/memory.current", "3000\n");
    EXPECT_EQ(available(), 1000U);
}

TEST_F(AvailableMemory, IsBoundedByTheMountInsideAContainerThatHidesItsPath) {
    write("proc/self/cgroup", "0::/../hidden\n");
    write("sys/fs/cgroup/memory.max", "5000\n");
    write("sys/fs/cgroup/memory.current", "1000\n");
    EXPECT_EQ(available(), 4000U);
}

TEST_F(AvailableMemory, IsBoundedByTheGroupOfVersionOne) {
    write("proc/self/cgroup", "4:cpu,memory:/job\n0::/\n");
    write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "6000\n");
    write("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "1000\n");
    EXPECT_EQ(available(), 5000U);
}

TEST_F(AvailableMemory, IsTheMachinesInAGroupOfVersionOneWithoutALimit) {
    write("proc/self/cgroup", "4:cpu,memory:/job\n");
    write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "9223372036854771712\n");
    write("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "1000\n");
    EXPECT_EQ(available(), 1024U * 1024U);
}

TEST_F(AvailableMemory, CountsTheGroupsFileCacheAsAvailable) {
    write("proc/self/cgroup", "0::/robots\n");
    write("sys/fs/cgroup/robots/memory.max", "5000\n");
    write("sys/fs/cgroup/robots/memory.current", "4500\n");
    write("sys/fs/cgroup/robots/memory.stat", "anon 1\ninactive_file 700\nactive_file 300\n");
    EXPECT_EQ(available(), 1500U);
}

TEST_F(AvailableMemory, IsNotMoreThanTheMachinesWhateverAGroupHasLeft) {
    write("proc/self/cgroup", "0::/robots\n");
    write("sys/fs/cgroup/robots/memory.max", "2000000\n");
    write("sys/fs/cgroup/robots/memory.current", "1500000\n");
    write("sys/fs/cgroup/robots/memory.stat", "inactive_file 1\nactive_file 1400000\n");
    EXPECT_EQ(available(), 1024U * 1024U);
}

TEST_F(AvailableMemory, IsNothingWhenTheGroupIsOverItsLimit) {
    write("proc/self/cgroup", "0::/robots\n");
    write("sys/fs/cgroup/robots/memory.max", "5000\n");
    write("sys/fs/cgroup/robots/memory.current", "6000\n");
    EXPECT_EQ(available(), 0U);
}

TEST_F(AvailableMemory, IsUnlimitedWhenNothingCanBeRead) {
    std::filesystem::remove_all(root_);
    EXPECT_EQ(available(), std::numeric_limits<std::uint64_t>::max());
}

TEST_F(AvailableMemory, IsSomethingOnThisMachine) {
    EXPECT_GT(available_memory_bytes(), 0U);
    EXPECT_LT(available_memory_bytes(), std::uint64_t{1} << 50);
    EXPECT_GT(machine_memory_bytes(), std::uint64_t{1} << 20);
}

}  // namespace
}  // namespace shmpool
