// SPDX-License-Identifier: Apache-2.0
/// The format of the segment and of the messages, pinned: whoever changes a shared byte changes
/// layout.txt in the same commit, and raises layout_version or wire_version. To write it anew:
/// shmpoold --print-layout > tests/format/layout.txt
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>

#include "protocol/layout/protocol_images.hpp"
#include "protocol/protocol_table.hpp"
#include "protocol/segment_shape.hpp"
#include "shmpool/segment/segment.hpp"

namespace shmpool {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(LayoutFreeze, IsWhatTheCommittedTextSays) {
    std::ostringstream committed;
    committed << std::ifstream(SHMPOOL_LAYOUT_TEXT).rdbuf();
    EXPECT_EQ(layout_text(), committed.str());
}

TEST(LayoutFreeze, IsPrintedByTheDaemon) {
    const std::unique_ptr<FILE, int (*)(FILE*)> program(
        ::popen(SHMPOOLD_PROGRAM " --print-layout", "r"), ::pclose);
    ASSERT_NE(program, nullptr);
    std::string printed;
    std::array<char, 4096> buffer{};
    for (std::size_t count = 0;
         (count = std::fread(buffer.data(), 1, buffer.size(), program.get())) > 0;) {
        printed.append(buffer.data(), count);
    }
    EXPECT_EQ(printed, layout_text());
}

TEST(LayoutFreeze, HasTablesWhoseFieldsDoNotOverlap) {
    std::vector<ImageTable> tables = memory_tables();
    for (const ImageTable& table : protocol_tables()) tables.push_back(table);
    EXPECT_EQ(tables.size(), 18U);
    for (const ImageTable& table : tables) {
        std::size_t end = 0;
        for (const FieldRow& field : table.fields) {
            EXPECT_GE(field.offset, end) << table.name << "." << field.name;
            end = field.offset + field.bytes;
        }
        EXPECT_LE(end, table.bytes) << table.name;
    }
}

TEST(LayoutFreeze, RefusesASegmentOfAnotherFingerprintWithBothNumbers) {
    SegmentShape shape;
    shape.classes = {{64, 4}};
    const auto plan = plan_segment_for(shape);
    ASSERT_TRUE(plan) << plan.error().message;
    constexpr std::uint32_t other = protocol_fingerprint ^ 1;
    auto segment = Segment::create("test", *plan, other);
    ASSERT_TRUE(segment) << segment.error().message;
    segment->publish();
    auto control = Descriptor::duplicate(segment->control());
    ASSERT_TRUE(control);
    const auto opened =
        Segment::open(std::move(*control), Descriptor(), Access::read_only, protocol_fingerprint);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::wrong_fingerprint);
    EXPECT_THAT(opened.error().message, AllOf(HasSubstr(std::to_string(other)),
                                              HasSubstr(std::to_string(protocol_fingerprint))));
}

}  // namespace
}  // namespace shmpool
