// SPDX-License-Identifier: Apache-2.0
/// What the heaps of the stack family hand out: where a block begins, in bytes from the beginning
/// of its stack plus the heap's origin (heap_origin.hpp), and how many bytes of it its user asked
/// for. A plain value of 16 bytes, the same in every process; nothing is kept for it but by its
/// user.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#include "shmpool/platform/result.hpp"

namespace shmpool {

/// Equal and ordered by offset, then length, whatever heap it is of.
struct StackHandle {
    std::uint64_t offset = 0;
    std::uint64_t len = 0;

    friend constexpr auto operator<=>(const StackHandle&, const StackHandle&) = default;

    [[nodiscard]] constexpr std::uint64_t end() const { return offset + len; }
    [[nodiscard]] constexpr bool is_empty() const { return len == 0; }
    /// What stands for no block in every kind but linear.
    [[nodiscard]] constexpr bool is_null() const { return offset == 0 && len == 0; }

    /// A part of it, from `first` to before `last`, counted from its beginning: to read and write
    /// through, not to free. invalid_argument: it ends before it begins, or behind this one.
    [[nodiscard]] constexpr Outcome<StackHandle> subslice(std::uint64_t first,
                                                          std::uint64_t last) const {
        if (first > last || last > len) return fail(Errc::invalid_argument);
        return StackHandle{offset + first, last - first};
    }
};
static_assert(sizeof(StackHandle) == 16);

/// A handle as bytes, offset first, both little-endian. Whoever reads one knows where it is from:
/// a heap checks it when it is used, not before.
using StackToken = std::array<std::byte, 16>;

static_assert(std::endian::native == std::endian::little, "tokens are copies of handles");

[[nodiscard]] constexpr StackToken token_of(const StackHandle& handle) {
    return std::bit_cast<StackToken>(handle);
}
[[nodiscard]] constexpr StackHandle handle_of(const StackToken& token) {
    return std::bit_cast<StackHandle>(token);
}

}  // namespace shmpool

template <>
struct std::hash<shmpool::StackHandle> {
    std::size_t operator()(const shmpool::StackHandle& handle) const noexcept {
        return std::hash<std::uint64_t>{}(handle.offset ^ std::rotl(handle.len, 32));
    }
};
