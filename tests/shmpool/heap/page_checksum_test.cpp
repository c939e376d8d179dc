// SPDX-License-Identifier: Apache-2.0
/// What the checksum of pages must find. Ids in brackets are of the list of features.
#include "shmpool/heap/page_checksum.hpp"

#include <gmock/gmock.h>

#include <cstring>
#include <string>
#include <vector>

namespace shmpool {
namespace {

using ::testing::HasSubstr;

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
}

TEST(PageChecksum, IsCrc64) {
    EXPECT_EQ(page_checksum(bytes_of("123456789")), 0x995D'C9BB'DF19'39FAU) << "the check of XZ";
    EXPECT_EQ(page_checksum({}), 0U);
}

TEST(PageChecksum, SaysWhatItExpectedAndWhatItFound) {  // T-PG-7
    const std::string page(4096, 'x');
    const std::uint64_t sum = page_checksum(bytes_of(page));
    EXPECT_TRUE(validate_checksum(bytes_of(page), sum));
    const auto wrong = validate_checksum(bytes_of(page), sum + 1);
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code, Errc::heap_damaged);
    EXPECT_THAT(wrong.error().message, HasSubstr(std::to_string(sum)));
    EXPECT_THAT(wrong.error().message, HasSubstr(std::to_string(sum + 1)));
}

TEST(PageChecksum, SeesEveryChangeOfOneBitAndOfOrder) {  // T-PG-26, D-PG-7
    std::string page(4096, '\0');
    for (std::size_t i = 0; i < page.size(); ++i) page[i] = static_cast<char>(i * 7);
    const std::uint64_t sum = page_checksum(bytes_of(page));
    for (std::size_t i = 1; i < page.size(); i += 31) {
        std::swap(page[i - 1], page[i]);
        EXPECT_NE(page_checksum(bytes_of(page)), sum) << "transposed at " << i;
        std::swap(page[i - 1], page[i]);
        page[i] = static_cast<char>(page[i] ^ (1 << i % 8));
        EXPECT_NE(page_checksum(bytes_of(page)), sum) << "a bit at " << i;
        page[i] = static_cast<char>(page[i] ^ (1 << i % 8));
    }
    EXPECT_NE(page_checksum(bytes_of("ab")), page_checksum(bytes_of("ba")));
    EXPECT_EQ(page_checksum(bytes_of(page)), sum);
}

TEST(FreePageHeader, GoesThroughBytes) {  // T-PG-8
    const FreePageHeader header = FreePageHeader::of(7, 42);
    const auto bytes = header.to_bytes();
    const auto back = FreePageHeader::from_bytes(bytes);
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, header);
    EXPECT_TRUE(back->is_of(7));
    EXPECT_FALSE(back->is_of(8)) << "of another page";
    EXPECT_EQ(std::to_integer<int>(bytes[0]), 42) << "little-endian";
    EXPECT_FALSE(FreePageHeader::from_bytes(std::span(bytes).first(15)));
    EXPECT_FALSE((FreePageHeader{43, header.checksum}).is_of(7));
}

TEST(FileOffset, IsThatOfTheFormat) {  // T-PG-2, T-PG-24, D-PG-8
    EXPECT_EQ(file_offset(0, 4096), 0U);
    EXPECT_EQ(file_offset(1, 4096), 112U);
    EXPECT_EQ(file_offset(2, 4096), 4208U);
    EXPECT_EQ(file_offset(2, 8192), 112U + 8192);
    EXPECT_EQ(file_offset(3, 16384), 112U + 2 * 16384);
    EXPECT_EQ(file_offset(~PageId{0}, 4096).error(), Errc::invalid_argument);
    EXPECT_EQ(file_offset(5, 0).error(), Errc::invalid_argument);
}

}  // namespace
}  // namespace shmpool
