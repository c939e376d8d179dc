// SPDX-License-Identifier: Apache-2.0
/// The parts of the command line that need no host: sequence numbers, tables.
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "peer/cli/printing.hpp"
#include "peer/cli/sequence_log.hpp"

namespace shmpool::cli {
namespace {

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
