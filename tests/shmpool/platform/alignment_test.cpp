// SPDX-License-Identifier: Apache-2.0
/// AR-07: known when the program is compiled.
#include "shmpool/platform/alignment.hpp"

#include <gtest/gtest.h>

namespace shmpool {
namespace {

static_assert(align_up(4097, 4096) == 8192 && align_down(4097, 4096) == 4096);

TEST(Alignment, FindsTheMultiplesBesideANumber) {
    for (std::uint64_t alignment = 1; alignment <= 64; alignment *= 2) {
        for (std::uint64_t value = 0; value < 200; ++value) {
            EXPECT_EQ(align_down(value, alignment), value / alignment * alignment);
            EXPECT_EQ(align_up(value, alignment), (value + alignment - 1) / alignment * alignment);
            EXPECT_EQ(is_aligned(value, alignment), value % alignment == 0);
        }
    }
}

TEST(Alignment, WrapsAtTheTop) {
    EXPECT_EQ(align_up(~std::uint64_t{0}, 4096), 0U);
    EXPECT_EQ(align_down(~std::uint64_t{0}, 4096), ~std::uint64_t{0} - 4095);
}

}  // namespace
}  // namespace shmpool
