// SPDX-License-Identifier: Apache-2.0
#include "peer/slot_relief.hpp"

#include "shmpool/pool/growth.hpp"

namespace shmpool {
namespace {

/// A step of 1 GiB takes half of it. A host that is stopped, or busy, must not hold up a writer
/// that can do without the slot.
constexpr std::chrono::seconds relief_patience{1};

}  // namespace

ReliefWanted relief_for(PeerCore& core, std::uint64_t bytes) {
    const std::uint64_t relieved = core.control().relieved_classes();
    if (relieved == 0) return {};
    const PoolView& pool = core.pool().view();
    for (std::uint32_t index = pool.class_for(bytes); index < pool.class_count; ++index) {
        if ((relieved >> index & 1) == 0) continue;
        const auto slots = static_cast<std::uint32_t>(slots_in_service(pool, index));
        if (slots < pool.classes[index].slot_limit) {
            return {pool.classes[index].slot_bytes, slots};
        }
    }
    return {};
}

bool ask_for_relief(PeerCore& core, const ReliefWanted& wanted) {
    const wire::RelieveClass request{wanted.slot_bytes, wanted.slots_seen, 0};
    const auto grown = core.control().request_until<wire::ClassGrown>(
        request, Absence::give_up, Deadline::after(relief_patience));
    return grown && grown->slots > wanted.slots_seen;
}

}  // namespace shmpool
