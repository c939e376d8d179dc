// SPDX-License-Identifier: Apache-2.0
/// Size classes from the command line: SIZE:COUNT.
#include <gmock/gmock.h>

#include <string>

#include "host/pool_config.hpp"

namespace shmpool::host {
namespace {

using testing::HasSubstr;

void expect_refused(std::string_view text, const std::string& part) {
    const auto parsed = parse_class_argument(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, Errc::invalid_config);
    EXPECT_THAT(parsed.error().message, HasSubstr(part)) << text;
}

TEST(ClassArgument, IsASizeAndACount) {
    EXPECT_EQ(*parse_class_argument("64KiB:512"), (SizeClassConfig{65'536, 512}));
    EXPECT_EQ(*parse_class_argument("64:1"), (SizeClassConfig{64, 1}));
    EXPECT_EQ(*parse_class_argument("1 GiB:16777216"),
              (SizeClassConfig{std::uint64_t{1} << 30, 1U << 24}));
}

TEST(ClassArgument, NeedsBothParts) {
    expect_refused("64KiB", "must be SIZE:COUNT or SIZE:COUNT:LIMIT, like 64KiB:512");
    expect_refused("", "must be SIZE:COUNT");
    expect_refused(":512", "slot_size: size \"\" is empty");
    expect_refused("64KiB:", "slot_count \"\" is empty");
}

TEST(ClassArgument, RefusesSizesOutOfRange) {
    expect_refused("0:1", "slot_size is 0B, must be 64B to 1GiB");
    expect_refused("63:1", "slot_size is 63B");
    expect_refused("1073741825:1", "must be 64B to 1GiB");
    expect_refused("-64:1", "negative");
    expect_refused("64MB:1", "unknown unit");
}

TEST(ClassArgument, RefusesCountsOutOfRange) {
    expect_refused("64KiB:0", "slot_count is 0, must be 1 to 16777216");
    expect_refused("64KiB:16777217", "slot_count is 16777217");
    expect_refused("64KiB:4294967297", "slot_count is 4294967297");
    expect_refused("64KiB:-1", "negative");
    expect_refused("64KiB:1.5", "fraction");
    expect_refused("64KiB:12x", "whole number");
    expect_refused("64KiB:5:5:5", "whole number");
}

TEST(ClassArgument, MayHaveALimitToWhichItGrows) {
    EXPECT_EQ(*parse_class_argument("64KiB:512:4096"), (SizeClassConfig{65'536, 512, 4096}));
    EXPECT_EQ(*parse_class_argument("64KiB:512:512"), (SizeClassConfig{65'536, 512, 512}));
    expect_refused("64KiB:512:511", "slot_limit is 511, must be 512 to 16777216");
    expect_refused("64KiB:512:16777217", "slot_limit is 16777217, must be 512 to 16777216");
    expect_refused("64KiB:512:", "slot_limit \"\" is empty");
}

}  // namespace
}  // namespace shmpool::host
