// SPDX-License-Identifier: Apache-2.0
/// What a handle of the stack family is, and what may be read and written through it. Ids in
/// brackets are of the list of features [BS-03].
#include "shmpool/heap/stack_handle.hpp"

#include <gmock/gmock.h>

#include <array>
#include <unordered_set>

#include "shmpool/heap/stack_slice.hpp"

namespace shmpool {
namespace {

using ::testing::ElementsAre;

class StackSliceTest : public testing::Test {
protected:
    void SetUp() override {
        for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = std::byte(i);
    }
    [[nodiscard]] std::vector<int> at(std::size_t first, std::size_t last) const {
        std::vector<int> values;
        for (std::size_t i = first; i < last; ++i)
            values.push_back(std::to_integer<int>(memory[i]));
        return values;
    }
    template <typename Value>
    static void expect_refused(const Outcome<Value>& outcome) {
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error(), Errc::invalid_argument);
    }

    std::array<std::byte, 32> memory{};
    StackSlice slice = StackSlice::of(memory, {8, 8}).value();
    std::array<std::byte, 4> four{std::byte{90}, std::byte{91}, std::byte{92}, std::byte{93}};
    std::array<std::byte, 12> twelve{};
};

TEST_F(StackSliceTest, HasPartsWithinItsBounds) {  // T-BS-2
    EXPECT_EQ((StackHandle{8, 8}.subslice(2, 5).value()), (StackHandle{10, 3}));
    EXPECT_EQ(slice.subslice(2, 5)->handle(), (StackHandle{10, 3}));
    EXPECT_EQ(slice.subslice(8, 8)->handle(), (StackHandle{16, 0}));
    EXPECT_TRUE(slice.subslice(3, 3)->handle().is_empty());
    expect_refused(slice.subslice(5, 2));
    expect_refused(slice.subslice(0, 9));
    expect_refused(StackSlice::of(memory, {30, 3}));
    expect_refused(StackSlice::of(memory, {33, 0}));
    expect_refused(StackSlice::of(memory, {1, ~std::uint64_t{0}}));
}

TEST_F(StackSliceTest, IsReadAsFarAsBothReach) {  // T-BS-3
    EXPECT_EQ(slice.read().size(), 8U);
    EXPECT_EQ(slice.read_into(four), 4U);
    EXPECT_EQ(four[3], std::byte{11});
    EXPECT_EQ(slice.read_into(twelve), 8U);
    EXPECT_EQ(twelve[7], std::byte{15});
    EXPECT_THAT(slice.read_range(6, 8).value(), ElementsAre(std::byte{14}, std::byte{15}));
    EXPECT_TRUE(slice.read_range_into(4, four));
    EXPECT_EQ(four[0], std::byte{12});
    expect_refused(slice.read_range(6, 9));
    expect_refused(slice.read_range_into(5, four));
    expect_refused(slice.read_range_into(~std::uint64_t{0}, four));
}

TEST_F(StackSliceTest, IsWrittenAsFarAsBothReach) {  // T-BS-4
    EXPECT_EQ(slice.write(four), 4U);
    EXPECT_THAT(at(7, 13), ElementsAre(7, 90, 91, 92, 93, 12));
    EXPECT_EQ(slice.write(twelve), 8U);
    EXPECT_THAT(at(14, 18), ElementsAre(0, 0, 16, 17));
    EXPECT_TRUE(slice.write_range(4, four));
    EXPECT_THAT(at(11, 17), ElementsAre(0, 90, 91, 92, 93, 16));
    EXPECT_TRUE(slice.zero_range(5, 2));
    EXPECT_THAT(at(12, 16), ElementsAre(90, 0, 0, 93));
    expect_refused(slice.write_range(5, four));
    expect_refused(slice.zero_range(7, 2));
    expect_refused(slice.zero_range(9, 0));
    slice.zero();
    EXPECT_THAT(at(15, 17), ElementsAre(0, 16));
}

TEST_F(StackSliceTest, IsReadAndWrittenByCursors) {  // T-BS-5
    StackReader reader(slice);
    EXPECT_EQ(reader.read(four), 4U);
    EXPECT_EQ(reader.read(twelve), 4U);
    EXPECT_EQ(reader.read(four), 0U) << "the end";
    EXPECT_EQ(reader.seek(SeekFrom::start, 6).value(), 6U);
    EXPECT_EQ(reader.read(twelve), 2U);
    EXPECT_EQ(reader.seek(SeekFrom::current, -5).value(), 3U);
    EXPECT_EQ(reader.seek(SeekFrom::end, -8).value(), 0U);
    expect_refused(reader.seek(SeekFrom::end, -9));
    expect_refused(reader.seek(SeekFrom::current, std::numeric_limits<std::int64_t>::min()));
    EXPECT_EQ(reader.position(), 0U);
    EXPECT_EQ(reader.seek(SeekFrom::end, 3).value(), 11U) << "behind the end";
    EXPECT_EQ(reader.read(four), 0U);

    StackWriter writer(slice, 6);
    EXPECT_EQ(writer.write(four), 2U) << "the end stays where it is";
    EXPECT_EQ(writer.write(four), 0U);
    EXPECT_EQ(memory[16], std::byte{16});
}

TEST_F(StackSliceTest, IsEqualAndOrderedByWhereItIs) {  // T-BS-6
    std::array<std::byte, 32> elsewhere{};
    EXPECT_EQ(slice, StackSlice::of(elsewhere, {8, 8}).value());
    EXPECT_LT(slice, StackSlice::of(memory, {8, 9}).value());
    EXPECT_LT(slice, StackSlice::of(memory, {9, 1}).value());
    EXPECT_EQ((std::unordered_set<StackHandle>{{8, 8}, {8, 8}, {8, 9}}.size()), 2U);

    const StackReader reader(slice, 4);
    EXPECT_EQ(reader, slice) << "wherever it is in it";
    EXPECT_EQ(reader, StackWriter(slice, 4));
    EXPECT_LT(reader, StackWriter(slice, 5));
    const StackSlice longer = StackSlice::of(memory, {8, 9}).value();
    EXPECT_LT(reader, StackReader(longer, 4)) << "then by the length";
    EXPECT_LT(StackReader(longer, 3), reader) << "the place first";
    EXPECT_EQ(StackReader(*slice.subslice(4, 8), 0) <=> StackReader(slice, 4),
              std::strong_ordering::less);
}

TEST(StackHandle, IsASmallTokenAndBack) {  // T-BS-7
    const StackHandle handle{0x0102'0304'0506'0708, 0x1112'1314'1516'1718};
    const StackToken token = token_of(handle);
    EXPECT_EQ(token[0], std::byte{0x08});
    EXPECT_EQ(token[8], std::byte{0x18});
    EXPECT_EQ(token.size(), 16U);
    EXPECT_EQ(handle_of(token), handle);
    EXPECT_TRUE(handle_of({}).is_null());
}

}  // namespace
}  // namespace shmpool
