// SPDX-License-Identifier: Apache-2.0
/// The litmus test between two processes: one side pays nothing but compiler order, the other the
/// barrier for both.
#include "shmpool/platform/membarrier.hpp"

#include <gtest/gtest.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>

#include <array>
#include <thread>
#include <vector>

#include "tests/shmpool/platform/forked_child.hpp"
#include "tests/shmpool/platform/store_load_litmus.hpp"

namespace shmpool {
namespace {

TEST(Membarrier, CanBeRegisteredMoreThanOnce) {
    EXPECT_TRUE(register_global_barrier().has_value());
    EXPECT_TRUE(register_global_barrier().has_value());
}

TEST(Membarrier, TellsTheKernelThatThisProcessIsToBeReached) {
    constexpr int get_registrations = 1 << 9;  // Linux 6.3; older headers lack it.
    constexpr int kernel_lacks_it = 77;
    const auto registrations = [] { return ::syscall(SYS_membarrier, get_registrations, 0U, 0); };
    const int exit_code =
        test::ForkedChild([&] {
            if (registrations() < 0) return kernel_lacks_it;
            if (!register_global_barrier()) return 1;
            return (registrations() & MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) != 0 ? 0 : 2;
        }).wait();
    if (exit_code == kernel_lacks_it) GTEST_SKIP() << "this kernel does not tell";
    EXPECT_EQ(exit_code, 0);
}

TEST(Membarrier, OrdersAnotherProcessThatOnlyOrdersItsCompiler) {
    if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "one core can not show it";
    constexpr std::uint64_t light_steps = 2'000'000;
    constexpr std::uint64_t heavy_steps = 20'000;
    const test::Shared<std::array<std::uint64_t, light_steps>> light_saw;
    std::vector<std::uint64_t> heavy_saw(heavy_steps);
    std::uint64_t meetings = 0;
    for (int round = 0; round < 100 && meetings < heavy_steps / 4; ++round) {
        const test::Shared<test::StoreLoadLitmus> litmus;
        test::ForkedChild light([&] {
            if (!register_global_barrier()) return 1;
            litmus->run(0, *light_saw, [] { std::atomic_signal_fence(std::memory_order_seq_cst); });
            return 0;
        });
        litmus->run(1, heavy_saw, [] { global_barrier(); });
        ASSERT_EQ(light.wait(), 0);
        ASSERT_EQ(test::StoreLoadLitmus::missed(*light_saw, heavy_saw), 0U);
        meetings += test::StoreLoadLitmus::meetings(heavy_saw);
    }
}

}  // namespace
}  // namespace shmpool
