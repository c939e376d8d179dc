// SPDX-License-Identifier: Apache-2.0
/// Sizes and durations as people write them: what is read, what is refused and with which words.
#include <gmock/gmock.h>

#include <string>

#include "shmpool/quantity/byte_size.hpp"
#include "shmpool/quantity/duration.hpp"

namespace shmpool {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string error_of_size(std::string_view text) {
    const auto parsed = parse_byte_size(text);
    return parsed ? "was read as " + std::to_string(*parsed) : parsed.error().message;
}

TEST(ByteSize, ReadsNumbersWithAndWithoutUnits) {
    EXPECT_EQ(parse_byte_size("0"), 0U);
    EXPECT_EQ(parse_byte_size("4096"), 4096U);
    EXPECT_EQ(parse_byte_size("17B"), 17U);
    EXPECT_EQ(parse_byte_size("64KiB"), 65'536U);
    EXPECT_EQ(parse_byte_size("64MiB"), 64U << 20);
    EXPECT_EQ(parse_byte_size("64 MiB"), 64U << 20);
    EXPECT_EQ(parse_byte_size("3GiB"), std::uint64_t{3} << 30);
    EXPECT_EQ(parse_byte_size("2TiB"), std::uint64_t{2} << 40);
    EXPECT_EQ(parse_byte_size("18446744073709551615"), ~std::uint64_t{0});
}

TEST(ByteSize, RefusesNegativeSizes) {
    EXPECT_THAT(error_of_size("-1"), HasSubstr("negative"));
}

TEST(ByteSize, RefusesFractions) {
    EXPECT_THAT(error_of_size("1.5MiB"), AllOf(HasSubstr("\"1.5MiB\""), HasSubstr("fraction")));
    EXPECT_THAT(error_of_size("1,5MiB"), HasSubstr("fraction"));
}

TEST(ByteSize, ListsTheUnitsWhenOneIsUnknown) {
    for (const char* text : {"64MB", "64kib", "64 K", "64KiBs", "64KiB ", "1e6", "0x40"}) {
        EXPECT_THAT(error_of_size(text),
                    AllOf(HasSubstr("unknown unit"), HasSubstr("B, KiB, MiB, GiB, TiB")))
            << text;
    }
}

TEST(ByteSize, RefusesWhatDoesNotFit64Bits) {
    EXPECT_THAT(error_of_size("18446744073709551616"), HasSubstr("64 bits"));
    EXPECT_THAT(error_of_size("16777216TiB"), HasSubstr("64 bits"));
    EXPECT_THAT(error_of_size(std::string(500, '9')), HasSubstr("64 bits"));
}

TEST(ByteSize, RefusesWhatIsNoNumber) {
    EXPECT_THAT(error_of_size(""), HasSubstr("empty"));
    EXPECT_THAT(error_of_size("MiB"), HasSubstr("digit"));
    EXPECT_THAT(error_of_size(" 1"), HasSubstr("digit"));
    EXPECT_THAT(error_of_size("+1"), HasSubstr("digit"));
}

TEST(ByteSize, QuotesNoControlCharacters) {
    EXPECT_THAT(error_of_size("1\x1B[2J"), HasSubstr("1?[2J"));
}

TEST(ByteSize, ReadsBackRoundSizesAsItWroteThem) {
    for (const std::uint64_t bytes :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1536}, std::uint64_t{65'536},
          std::uint64_t{70} << 20, std::uint64_t{1} << 30, std::uint64_t{5} << 40}) {
        EXPECT_EQ(parse_byte_size(format_byte_size(bytes)), bytes) << format_byte_size(bytes);
    }
    EXPECT_EQ(format_byte_size(65'536), "64KiB");
    EXPECT_EQ(format_byte_size(std::uint64_t{1} << 30), "1GiB");
}

TEST(ByteSize, WritesOddSizesWithOneDecimal) {
    EXPECT_EQ(format_byte_size(33'688'731'649), "31.4GiB");
    EXPECT_EQ(format_byte_size(65'537), "64.0KiB");
    EXPECT_EQ(format_byte_size(~std::uint64_t{0}), "16777216.0TiB");
}

TEST(Duration, ReadsMillisecondsSecondsMinutesAndHours) {
    EXPECT_EQ(parse_duration_ms("250ms"), 250U);
    EXPECT_EQ(parse_duration_ms("2s"), 2'000U);
    EXPECT_EQ(parse_duration_ms("1m"), 60'000U);
    EXPECT_EQ(parse_duration_ms("1 h"), 3'600'000U);
}

TEST(Duration, NeedsAUnit) {
    const auto parsed = parse_duration_ms("250");
    ASSERT_FALSE(parsed);
    EXPECT_THAT(parsed.error().message, AllOf(HasSubstr("no unit"), HasSubstr("ms, s, m, h")));
}

TEST(Duration, RefusesWhatSizesRefuse) {
    for (const char* text : {"", "-1s", "1.5s", "2 weeks", "99999999999999999999s"}) {
        EXPECT_FALSE(parse_duration_ms(text)) << text;
    }
}

TEST(Duration, ReadsBackWhatItWrote) {
    EXPECT_EQ(format_duration_ms(2'000), "2s");
    for (const std::uint64_t ms : {0U, 1U, 250U, 2'000U, 90'000U, 600'000U, 86'400'000U}) {
        EXPECT_EQ(parse_duration_ms(format_duration_ms(ms)), ms) << format_duration_ms(ms);
    }
}

TEST(Duration, OfACommandLineGoesDownToMicroseconds) {
    EXPECT_EQ(parse_duration("250ms").value(), std::chrono::milliseconds(250));
    EXPECT_EQ(parse_duration("7us").value(), std::chrono::microseconds(7));
    EXPECT_EQ(parse_duration("2h").value(), std::chrono::hours(2));
    for (const char* wrong : {"", "5", "5 minutes", "-5s", "9999999h"}) {
        EXPECT_FALSE(parse_duration(wrong)) << wrong;
    }
}

TEST(Duration, IsShownForPeople) {
    EXPECT_EQ(format_duration(std::chrono::microseconds(64)), "64us");
    EXPECT_EQ(format_duration(std::chrono::milliseconds(720)), "720ms");
    EXPECT_EQ(format_duration(std::chrono::milliseconds(4200)), "4.2s");
    EXPECT_EQ(format_duration(std::chrono::seconds(90)), "1m 30s");
    EXPECT_EQ(format_duration(std::chrono::minutes(125)), "2h 5m");
}

}  // namespace
}  // namespace shmpool
