// SPDX-License-Identifier: Apache-2.0
#include "shmpool/pool/lane.hpp"

#include <algorithm>

#include "shmpool/pool/pressure.hpp"

namespace shmpool {

Lane::Lane(const PoolView& pool, std::uint32_t index)
    : pool_(pool),
      cell_(pool.lanes[index]),
      pressure_(pool.header->pressure),
      allocations_(&cell_.allocations[0]),
      index_(index) {
    for (std::uint32_t i = 0; i < pool.class_count; ++i) {
        Magazine& magazine = magazines_[i];
        magazine.records = pool.classes[i].records;
        magazine.pressure_mask = classes_served(i);
        magazine.slot_bytes = static_cast<std::uint32_t>(pool.classes[i].slot_bytes);
        magazine.slots_at_first = pool.classes[i].slots_at_first;
    }
}

bool Lane::try_to_open(std::uint32_t class_index, std::uint32_t slot_count) {
    Magazine& magazine = magazines_[class_index];
    magazine.refused_at_slots = slot_count;
    const MagazineShape shape = magazine_shape(slot_count);
    if (shape.capacity == 0 || index_ == host_lane) return false;
    const std::uint64_t class_bit = std::uint64_t{1} << class_index;

    // The sum over all lanes is the truth, so a death cannot leave a wrong count behind. Two lanes
    // that count at once may exceed the limit by one magazine each, which harms nothing.
    std::uint32_t open = 0;
    for (std::uint32_t i = 0; i < pool_.lane_count; ++i) {
        const std::uint64_t bits = pool_.lanes[i].magazines.load(std::memory_order_relaxed);
        open += (bits & class_bit) != 0 ? 1 : 0;
    }
    const std::uint64_t mine = cell_.magazines.load(std::memory_order_relaxed);
    if (open >= shape.lanes && (mine & class_bit) == 0) return false;
    cell_.magazines.store(mine | class_bit, std::memory_order_relaxed);
    if (!entries_[class_index]) {
        entries_[class_index] = std::make_unique<SlotKey[]>(shape.capacity);
    }
    magazine.base = entries_[class_index].get();
    magazine.top = magazine.base;
    magazine.limit = magazine.base + shape.capacity - 1;
    magazine.slot_count = slot_count;
    return true;
}

std::uint32_t claim_lane(const PoolView& pool, std::uint64_t owner, std::uint32_t hint,
                         LaneRange range) {
    if (range.first >= pool.lane_count) return no_lane_index;
    const std::uint32_t count = std::min(range.count, pool.lane_count - range.first);
    for (std::uint32_t step = 0; step < count; ++step) {
        const std::uint32_t index = range.first + (hint + step) % count;
        std::uint64_t expected = 0;
        Atomic<std::uint64_t>& word = pool.lanes[index].owner;
        if (word.load(std::memory_order_relaxed) == 0 &&
            word.compare_exchange_strong(expected, owner, std::memory_order_acq_rel,  // [AR-lane]
                                         std::memory_order_relaxed)) {
            return index;
        }
    }
    return no_lane_index;
}

}  // namespace shmpool
