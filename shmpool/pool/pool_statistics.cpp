// SPDX-License-Identifier: Apache-2.0
#include "shmpool/pool/pool_statistics.hpp"

namespace shmpool {
namespace {

void count_slot(SlotWord word, ClassStatistics& into) {
    into.high_water += word_generation(word) != 0 ? 1U : 0U;
    switch (word_state(word)) {
        case SlotState::listed: ++into.free; break;
        case SlotState::cached: ++into.cached; break;
        case SlotState::loaned_raw:
        case SlotState::loaned: ++into.loaned; break;
        case SlotState::in_transit: ++into.in_transit; break;
        case SlotState::published: ++into.published; break;
    }
}

}  // namespace

std::vector<ClassStatistics> read_statistics(const PoolView& pool) {
    std::vector<ClassStatistics> all(pool.class_count);
    for (std::uint32_t i = 0; i < pool.class_count; ++i) {
        const ClassView& view = pool.classes[i];
        all[i].slot_size = view.slot_bytes;
        all[i].slot_limit = view.slot_limit;
        for_each_slot_in_service(view, [&](const SlotRecord& record) {
            ++all[i].slot_count;
            count_slot(record.word.load(std::memory_order_relaxed), all[i]);
        });
        for (std::uint32_t lane = 0; lane < pool.lane_count; ++lane) {
            const LaneCell& cell = pool.lanes[lane];
            all[i].allocations_total += cell.allocations[i].load(std::memory_order_relaxed);
            all[i].exhausted_total += cell.exhausted[i].load(std::memory_order_relaxed);
        }
    }
    return all;
}

}  // namespace shmpool
