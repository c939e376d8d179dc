// SPDX-License-Identifier: Apache-2.0
/// The geometry of a pool as one process keeps it privately: read from the images once, checked
/// once, never read again (but for growth: class_view.hpp). Every index that comes out of the
/// segment is checked against it (I6).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "shmpool/pool/class_view.hpp"

namespace shmpool {

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

    /// No class in front of this one can hold `bytes`; class_count: none at all.
    [[nodiscard]] std::uint32_t first_guess_for(std::uint64_t bytes) const {
        return class_by_lines[std::min<std::uint64_t>((bytes + 63) / 64,
                                                      class_by_lines.size() - 1)];
    }
    /// Smallest class that can hold `bytes`, or class_count.
    [[nodiscard]] std::uint32_t class_for(std::uint64_t bytes) const {
        std::uint32_t index = first_guess_for(bytes);
        while (index < class_count && classes[index].slot_bytes < bytes) ++index;
        return index;
    }

    [[nodiscard]] std::uint32_t block_of(std::uint32_t class_index, std::uint32_t position) const {
        return classes[class_index].first_block + (position >> block_shift);
    }

    /// The name of a slot that is there, for other processes.
    [[nodiscard]] SlotRef ref_of(std::uint32_t class_index, SlotKey key) const {
        const ClassView& view = classes[class_index];
        if (position_of(key) < view.slots_at_first) [[likely]] {
            return SlotRef{static_cast<std::uint8_t>(class_index), 0, 0, position_of(key),
                           generation_of(key)};
        }
        const std::uint32_t extent = view.extent_of(position_of(key));
        return SlotRef{static_cast<std::uint8_t>(class_index), static_cast<std::uint8_t>(extent), 0,
                       position_of(key) - view.extent(extent).first, generation_of(key)};
    }
    /// The life of a slot that a name means; none if there is no such slot. It may be over.
    [[nodiscard]] std::optional<SlotKey> key_of(const SlotRef& ref) const {
        if (ref.class_index >= class_count || ref.reserved != 0) return std::nullopt;
        const ClassView& view = classes[ref.class_index];
        if (ref.extent_index == 0 && ref.slot_index < view.slots_at_first) [[likely]] {
            return make_key(ref.generation, ref.slot_index);
        }
        if (ref.extent_index >= view.extent_count() &&
            !(view.look_for_growth() && ref.extent_index < view.extent_count())) {
            return std::nullopt;
        }
        const ExtentView extent = view.extent(ref.extent_index);
        if (ref.slot_index >= extent.slot_count) return std::nullopt;
        return make_key(ref.generation, extent.first + ref.slot_index);
    }

    /// Nonsense was found that no honest peer can have written.
    void mark_damaged() const { header->damaged.store(1, std::memory_order_relaxed); }
    [[nodiscard]] bool damaged() const {
        return header->damaged.load(std::memory_order_relaxed) != 0;
    }
};

}  // namespace shmpool
