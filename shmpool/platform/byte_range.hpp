// SPDX-License-Identifier: Apache-2.0
/// A part of some memory, and the pages of it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "shmpool/platform/alignment.hpp"
#include "shmpool/platform/atomics.hpp"

namespace shmpool {

struct ByteRange {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;

    [[nodiscard]] constexpr std::uint64_t end() const { return offset + bytes; }
    friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

/// Empty if nothing is in both.
[[nodiscard]] constexpr ByteRange intersection(const ByteRange& one, const ByteRange& other) {
    const std::uint64_t first = std::max(one.offset, other.offset);
    const std::uint64_t end = std::min(one.end(), other.end());
    return end > first ? ByteRange{first, end - first} : ByteRange{};
}

/// The pages that belong to it alone: neighbours may have something on its first and its last one.
[[nodiscard]] constexpr ByteRange whole_pages_in(const ByteRange& range) {
    const std::uint64_t first = align_up(range.offset, page_bytes);
    const std::uint64_t end = align_down(range.end(), page_bytes);
    return end > first ? ByteRange{first, end - first} : ByteRange{};
}

/// All pages on which there is something of it.
[[nodiscard]] constexpr ByteRange all_pages_of(const ByteRange& range) {
    const std::uint64_t first = align_down(range.offset, page_bytes);
    return {first, align_up(range.end(), page_bytes) - first};
}

}  // namespace shmpool
