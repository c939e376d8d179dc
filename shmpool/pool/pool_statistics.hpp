// SPDX-License-Identifier: Apache-2.0
/// What each slot is right now, counted from the control words, and the lanes' counters. Reading
/// stops nobody; on a quiet pool the five states of a class add up to its slot_count.
#pragma once

#include <cstdint>
#include <vector>

#include "shmpool/pool/pool_view.hpp"

namespace shmpool {

struct ClassStatistics {
    std::uint64_t slot_size = 0;
    std::uint32_t slot_count = 0;  ///< That have memory.
    std::uint32_t slot_limit = 0;  ///< That the class may grow to.
    std::uint32_t free = 0;
    std::uint32_t cached = 0;
    std::uint32_t loaned = 0;  ///< By handles and raw.
    std::uint32_t published = 0;
    std::uint32_t in_transit = 0;
    std::uint64_t allocations_total = 0;  ///< Never reset; with lanes that have retired.
    std::uint64_t exhausted_total = 0;
    std::uint32_t high_water = 0;  ///< Different slots that ever were in use.
};

/// Calls `each` with the record of every slot that has memory.
template <typename Each>
void for_each_slot_in_service(const ClassView& view, Each each) {
    view.look_for_growth();
    for (std::uint32_t index = 0; index < view.extent_count(); ++index) {
        const ExtentView extent = view.extent(index);
        if (extent.is_withdrawn()) continue;
        for (std::uint32_t slot = 0; slot < extent.slot_count; ++slot) each(extent.records[slot]);
    }
}

[[nodiscard]] std::vector<ClassStatistics> read_statistics(const PoolView& pool);

}  // namespace shmpool
