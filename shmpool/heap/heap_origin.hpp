// SPDX-License-Identifier: Apache-2.0
/// From where the offsets count that a heap hands out. An engine counts from the beginning of its
/// memory; its users' offsets begin elsewhere, for each heap at a place of its own, so that an
/// offset knows its heap: one of another heap leads out of this one's memory, and is refused.
#pragma once

#include <cstdint>

#include "shmpool/layout/heap_image.hpp"

namespace shmpool {

/// A plain value, the same for all who have the heap open. By default offsets count from the
/// beginning of the memory: of a heap that there is no other beside of.
class HeapOrigin {
public:
    constexpr HeapOrigin() = default;
    /// Of the heap that begins so many bytes behind the first byte of all heaps of a segment;
    /// `incarnation`: no two heaps of it have the same. Offsets of those that are there are told
    /// apart by either, and of those that were there by the latter: by its last 16 bits, so of the
    /// 65,535 that were created last.
    static constexpr HeapOrigin of(std::uint64_t place, std::uint32_t incarnation) {
        return HeapOrigin((std::uint64_t{incarnation} << place_bits) + place);
    }

    /// What users call it.
    [[nodiscard]] constexpr HeapOffset given(HeapOffset inside) const { return begin_ + inside; }
    /// What the engine calls it; of another heap: more than the memory has bytes.
    [[nodiscard]] constexpr HeapOffset inside(HeapOffset given) const { return given - begin_; }

    friend constexpr bool operator==(const HeapOrigin&, const HeapOrigin&) = default;

private:
    /// More than a process has addresses.
    static constexpr int place_bits = 48;

    constexpr explicit HeapOrigin(std::uint64_t begin) : begin_(begin) {}

    std::uint64_t begin_ = 0;
};

}  // namespace shmpool
