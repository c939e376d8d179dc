// SPDX-License-Identifier: Apache-2.0
/// Names of pools and channels: what is allowed, and that the sentence points at what is not.
#include "protocol/wire/names.hpp"

#include <gmock/gmock.h>

#include <string>

namespace shmpool {
namespace {

using testing::HasSubstr;

TEST(Names, MayHaveLettersDigitsDotsDashesAndUnderscores) {
    EXPECT_TRUE(check_pool_name("a"));
    EXPECT_TRUE(check_pool_name("Robot-7_front.left"));
    EXPECT_TRUE(check_pool_name(std::string(63, 'x')));
}

TEST(Names, OfChannelsMayHaveSlashes) {
    EXPECT_TRUE(check_channel_name("camera/front"));
    const auto checked = check_pool_name("camera/front");
    ASSERT_FALSE(checked);
    EXPECT_THAT(checked.error().message, HasSubstr("'/' at position 7"));
}

TEST(Names, MayNotBeEmpty) {
    const auto checked = check_pool_name("");
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, Errc::invalid_argument);
    EXPECT_THAT(checked.error().message, HasSubstr("empty"));
}

TEST(Names, MayNotBeLongerThan63Characters) {
    const auto checked = check_channel_name(std::string(64, 'x'));
    ASSERT_FALSE(checked);
    EXPECT_THAT(checked.error().message, HasSubstr("64 characters, the limit is 63"));
}

TEST(Names, SayWhichCharacterIsNotAllowedAndWhere) {
    EXPECT_THAT(check_pool_name("my pool").error().message, HasSubstr("' ' at position 3"));
    EXPECT_THAT(check_pool_name(std::string("a\x1B", 2)).error().message,
                HasSubstr("byte 0x1B at position 2"));
    EXPECT_THAT(check_pool_name(std::string("ab\0c", 4)).error().message,
                HasSubstr("byte 0x00 at position 3"));
    EXPECT_THAT(check_channel_name("caf\xC3\xA9").error().message, HasSubstr("byte 0xC3"));
}

}  // namespace
}  // namespace shmpool
