// SPDX-License-Identifier: Apache-2.0
/// The parts of the command line that need no host: quantities, sequence numbers, tables.
#include <gmock/gmock.h>

#include "peer/cli/printing.hpp"
#include "peer/cli/quantity.hpp"
#include "peer/cli/sequence_log.hpp"

namespace shmpool::cli {
namespace {

TEST(Quantity, OfBytesTakesUnitsOf1024) {
    EXPECT_EQ(parse_bytes("0").value(), 0U);
    EXPECT_EQ(parse_bytes("4096").value(), 4096U);
    EXPECT_EQ(parse_bytes("64KiB").value(), 65536U);
    EXPECT_EQ(parse_bytes("1 GiB").value(), std::uint64_t{1} << 30);
    EXPECT_EQ(parse_bytes("18446744073709551615").value(), ~std::uint64_t{0});
    for (const char* wrong : {"", "KiB", "-1", "+1", "1.5KiB", "64kib", "64KB", "1e3", "4 096",
                              "18446744073709551616", "99999999TiB", "1KiB "}) {
        EXPECT_FALSE(parse_bytes(wrong)) << wrong;
    }
}

TEST(Quantity, OfTimeNeedsAUnit) {
    EXPECT_EQ(parse_duration("250ms").value(), std::chrono::milliseconds(250));
    EXPECT_EQ(parse_duration("7us").value(), std::chrono::microseconds(7));
    EXPECT_EQ(parse_duration("2h").value(), std::chrono::hours(2));
    for (const char* wrong : {"", "5", "5 minutes", "-5s", "9999999h"}) {
        EXPECT_FALSE(parse_duration(wrong)) << wrong;
    }
}

TEST(Quantity, IsShownForPeople) {
    EXPECT_EQ(format_bytes(0), "0B");
    EXPECT_EQ(format_bytes(65536), "64KiB");
    EXPECT_EQ(format_bytes(1'500'000), "1.4MiB");
    EXPECT_EQ(format_duration(std::chrono::microseconds(64)), "64us");
    EXPECT_EQ(format_duration(std::chrono::milliseconds(720)), "720ms");
    EXPECT_EQ(format_duration(std::chrono::milliseconds(4200)), "4.2s");
    EXPECT_EQ(format_duration(std::chrono::minutes(125)), "2h 5m");
}

TEST(SequenceLog, CountsGapsForEachPublisher) {
    SequenceLog log;
    for (const std::uint64_t sequence : {5U, 6U, 9U}) log.note(0, sequence);  // 7 and 8 missing.
    for (const std::uint64_t sequence : {1U, 2U, 4U, 6U}) log.note(1, sequence);
    EXPECT_EQ(log.gaps(), 3U);
    EXPECT_EQ(log.missed(), 4U);
    ASSERT_EQ(log.streams().size(), 2U);
    EXPECT_EQ(log.streams()[0].first_sequence, 5U);
    EXPECT_EQ(log.streams()[0].last_sequence, 9U);
    EXPECT_EQ(log.streams()[0].messages, 3U);
}

TEST(SequenceLog, TakesANumberThatBeginsAgainForAnotherPublisher) {
    SequenceLog log;
    for (const std::uint64_t sequence : {1U, 2U, 3U, 1U, 2U}) log.note(7, sequence);
    EXPECT_EQ(log.missed(), 0U);
    EXPECT_EQ(log.streams().size(), 2U);
}

TEST(TextTable, AlignsNumbersToTheRight) {
    TextTable table({"NAME", "SLOTS"});
    table.add({"a", "1"});
    table.add({"long", "1000"});
    EXPECT_EQ(table.text(),
              "NAME  SLOTS\n"
              "a         1\n"
              "long   1000\n");
}

TEST(Printing, KeepsControlCharactersOfOthersOffTheTerminal) {
    EXPECT_EQ(printable("a\x1b[31mb\n"), "a?[31mb?");
    EXPECT_EQ(nlohmann::json::parse(dump(Json{{"name", "\xff"}}))["name"], "\xEF\xBF\xBD");
}

}  // namespace
}  // namespace shmpool::cli
