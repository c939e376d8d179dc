// SPDX-License-Identifier: Apache-2.0
/// The checksum of pages, and what a free page of a page_chain begins with. CRC-64/XZ: every bit
/// of every byte counts, and where it stands; two bytes that change places are found, as are all
/// bursts of up to 64 bits. It finds accidents, not enemies: who wants to can compute it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "shmpool/platform/result.hpp"

namespace shmpool {

/// Of one page in its heap: 0 and 1 are reserved, 2 is the first that is handed out.
using PageId = std::uint64_t;

/// Of no bytes: 0.
[[nodiscard]] std::uint64_t page_checksum(std::span<const std::byte> bytes);

/// heap_damaged; the message has what was expected, and what was found.
[[nodiscard]] Result<void> validate_checksum(std::span<const std::byte> bytes,
                                             std::uint64_t stored);

//  FreePageHeader: 16 bytes at the beginning of a free page. Integers little-endian.
//     offset  bytes  field      written under the lock
//          0      8  next_free  the next page of the chain; 0: this is the last one
//          8      8  checksum   of next_free, and of this page's own id
struct FreePageHeader {
    static constexpr std::size_t bytes = 16;

    PageId next_free = 0;
    std::uint64_t checksum = 0;

    /// The page's own id is summed too: a header of another page is none of this one.
    [[nodiscard]] static FreePageHeader of(PageId page, PageId next_free);
    /// It is what `of` has made for this page.
    [[nodiscard]] bool is_of(PageId page) const { return *this == of(page, next_free); }

    [[nodiscard]] std::array<std::byte, bytes> to_bytes() const;
    /// Nothing if there are fewer than 16. Whether it is good, `is_of` says.
    [[nodiscard]] static std::optional<FreePageHeader> from_bytes(std::span<const std::byte> from);

    friend bool operator==(const FreePageHeader&, const FreePageHeader&) = default;
};

/// Where page `id` lies in a data base's file of format V3, whose header has 112 bytes; 0 of page
/// 0. For tools that know that format; heaps lie elsewhere (PageChain::offset_of).
/// invalid_argument: so large a file there can not be.
[[nodiscard]] Outcome<std::uint64_t> file_offset(PageId id, std::uint64_t page_size);

}  // namespace shmpool
