// SPDX-License-Identifier: Apache-2.0
#include "peer/slot_relief.hpp"

#include "shmpool/platform/monotonic_clock.hpp"
#include "shmpool/pool/growth.hpp"

namespace shmpool {
namespace {

/// A step of 1 GiB takes half of it. A host that is stopped, or busy, must not hold up a writer
/// that can do without the slot.
constexpr std::chrono::seconds relief_patience{1};
/// After that, so that it is held up now and then at most.
constexpr std::chrono::seconds relief_pause{5};

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
    auto& pause_until_ns = core.relief_pause_until_ns();
    if (monotonic_ns() < pause_until_ns.load(std::memory_order_relaxed)) return false;
    const Deadline deadline = Deadline::after(relief_patience);
    const auto grown =
        core.control().request_until<wire::ClassGrown>(request, Absence::give_up, deadline);
    if (!grown && deadline.expired()) {
        constexpr auto pause_ns = std::chrono::nanoseconds(relief_pause).count();
        pause_until_ns.store(monotonic_ns() + static_cast<std::uint64_t>(pause_ns),
                             std::memory_order_relaxed);
    }
    return grown && grown->slots > wanted.slots_seen;
}

}  // namespace shmpool
