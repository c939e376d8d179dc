// SPDX-License-Identifier: Apache-2.0
/// See page_checksum.hpp.
#include "shmpool/heap/page_checksum.hpp"

#include <boost/crc.hpp>

#include <bit>
#include <cstring>
#include <limits>

namespace shmpool {
namespace {

using Crc64 =
    boost::crc_optimal<64, 0x42F0'E1EB'A9EA'3693, ~std::uint64_t{0}, ~std::uint64_t{0}, true, true>;

static_assert(std::endian::native == std::endian::little, "the words of heaps are little-endian");

}  // namespace

std::uint64_t page_checksum(std::span<const std::byte> bytes) {
    Crc64 sum;
    sum.process_bytes(bytes.data(), bytes.size());
    return sum.checksum();
}

Result<void> validate_checksum(std::span<const std::byte> bytes, std::uint64_t stored) {
    const std::uint64_t found = page_checksum(bytes);
    if (found == stored) return {};
    return fail(Errc::heap_damaged, "the checksum of " + std::to_string(bytes.size()) +
                                        " bytes should be " + std::to_string(stored) + ", it is " +
                                        std::to_string(found) +
                                        "; what they held is lost, read them from elsewhere");
}

FreePageHeader FreePageHeader::of(PageId page, PageId next_free) {
    const std::array<std::uint64_t, 2> summed{next_free, page};
    return {next_free, page_checksum(std::as_bytes(std::span(summed)))};
}

std::array<std::byte, FreePageHeader::bytes> FreePageHeader::to_bytes() const {
    std::array<std::byte, bytes> to{};
    std::memcpy(to.data(), &next_free, sizeof next_free);
    std::memcpy(to.data() + sizeof next_free, &checksum, sizeof checksum);
    return to;
}

std::optional<FreePageHeader> FreePageHeader::from_bytes(std::span<const std::byte> from) {
    if (from.size() < bytes) return std::nullopt;
    FreePageHeader header;
    std::memcpy(&header.next_free, from.data(), sizeof header.next_free);
    std::memcpy(&header.checksum, from.data() + sizeof header.next_free, sizeof header.checksum);
    return header;
}

Outcome<std::uint64_t> file_offset(PageId id, std::uint64_t page_size) {
    constexpr std::uint64_t header_bytes = 112;
    if (id == 0) return 0;
    const std::uint64_t room = std::numeric_limits<std::uint64_t>::max() - header_bytes;
    if (page_size == 0 || id - 1 > room / page_size) return fail(Errc::invalid_argument);
    return header_bytes + (id - 1) * page_size;
}

}  // namespace shmpool
