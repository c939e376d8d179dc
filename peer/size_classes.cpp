// SPDX-License-Identifier: Apache-2.0
#include "peer/size_classes.hpp"

#include <algorithm>
#include <limits>

#include "peer/work_time.hpp"
#include "shmpool/pool/growth.hpp"

namespace shmpool {

/// What a class has is looked up here, so that a request that is made again asks for the same.
Result<std::uint32_t> grow_class(ControlChannel& control, const PoolView& pool,
                                 std::uint64_t slot_bytes, std::uint32_t more_slots) {
    std::uint64_t to_slots = more_slots;
    for (std::uint32_t index = 0; index < pool.class_count; ++index) {
        if (pool.classes[index].slot_bytes == slot_bytes) to_slots += slots_in_service(pool, index);
    }
    const wire::GrowClass request{slot_bytes,
                                  static_cast<std::uint32_t>(std::min<std::uint64_t>(
                                      to_slots, std::numeric_limits<std::uint32_t>::max())),
                                  0};
    const auto grown = control.request<wire::ClassGrown>(request, Absence::wait,
                                                         time_to_move(slot_bytes * more_slots));
    if (!grown) return tl::unexpected(grown.error());
    return grown->slots;
}

Result<std::uint32_t> shrink_class(ControlChannel& control, std::uint64_t slot_bytes,
                                   std::uint32_t keep_slots) {
    const auto shrunk = control.request<wire::ClassShrunk>(
        wire::ShrinkClass{slot_bytes, keep_slots, 0}, Absence::wait, time_to_give_back);
    if (!shrunk) return tl::unexpected(shrunk.error());
    return shrunk->slots;
}

}  // namespace shmpool
