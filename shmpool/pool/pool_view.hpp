// SPDX-License-Identifier: Apache-2.0
/// The geometry of a pool as one process keeps it privately: read from the images once, checked
/// once, never read again. Every index that comes out of the segment is checked against it (I6).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "shmpool/layout/pool_image.hpp"
#include "shmpool/layout/slot_ref.hpp"

namespace shmpool {

/// One extent of one size class. Growth will add extents; today every class has exactly one.
struct ClassView {
    ExtentImage* extent = nullptr;
    SlotRecord* records = nullptr;
    std::byte* payload = nullptr;
    std::uint64_t slot_bytes = 0;
    std::uint64_t stride_bytes = 0;
    std::uint32_t slot_count = 0;
    std::uint32_t first_block = 0;
    std::uint32_t magazine_capacity = 0;  ///< 0: too small for magazines, always the direct path.
    std::uint32_t magazine_limit = 0;     ///< How many lanes may have one: a quarter may be cached.

    /// The record of a position, or null when the position is none of this class.
    [[nodiscard]] SlotRecord* record(std::uint32_t position) const {
        return position < slot_count ? records + position : nullptr;
    }
    /// The caller has checked `position`.
    [[nodiscard]] std::byte* data(std::uint32_t position) const {
        return payload + std::uint64_t{position} * stride_bytes;
    }
};

struct PoolView {
    PoolHeader* header = nullptr;
    LaneCell* lanes = nullptr;
    std::uint32_t lane_count = 0;
    std::uint32_t class_count = 0;
    std::uint32_t block_shift = 0;
    std::array<ClassView, class_count_max> classes{};
    /// By size in steps of 64 bytes, up to 64 KiB: the first class that may do, instead of a scan.
    std::array<std::uint8_t, 1025> class_by_lines{};

    [[nodiscard]] std::span<const ClassView> all_classes() const {
        return {classes.data(), class_count};
    }

    /// Smallest class that can hold `bytes`, or class_count.
    [[nodiscard]] std::uint32_t class_for(std::uint64_t bytes) const {
        std::uint32_t index = bytes <= 64 * 1024 ? class_by_lines[(bytes + 63) / 64] : 0;
        while (index < class_count && classes[index].slot_bytes < bytes) ++index;
        return index;
    }

    [[nodiscard]] std::uint32_t block_of(std::uint32_t class_index, std::uint32_t position) const {
        return classes[class_index].first_block + (position >> block_shift);
    }

    /// Nonsense was found that no honest peer can have written.
    void mark_damaged() const { header->damaged.store(1, std::memory_order_relaxed); }
    [[nodiscard]] bool damaged() const {
        return header->damaged.load(std::memory_order_relaxed) != 0;
    }
};

}  // namespace shmpool
