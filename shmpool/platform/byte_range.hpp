// SPDX-License-Identifier: Apache-2.0
/// A part of some memory.
#pragma once

#include <cstdint>

namespace shmpool {

struct ByteRange {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;

    [[nodiscard]] constexpr std::uint64_t end() const { return offset + bytes; }
    friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

}  // namespace shmpool
