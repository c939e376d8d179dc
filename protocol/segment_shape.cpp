// SPDX-License-Identifier: Apache-2.0
#include "protocol/segment_shape.hpp"

#include <array>
#include <string>

#include "protocol/layout/protocol_images.hpp"
#include "shmpool/pool/pool_layout.hpp"

namespace shmpool {
namespace {

struct Limit {
    const char* name;
    std::uint32_t value;
    std::uint32_t maximum;
};

Result<void> check_limits(const SegmentShape& shape) {
    const std::array limits{
        Limit{"peers", shape.peers, peer_count_max},
        Limit{"channels", shape.channels, channel_count_max},
        Limit{"publishers", shape.publishers, publisher_count_max},
        Limit{"subscribers", shape.subscribers, subscriber_count_max},
        Limit{"rings", shape.rings, ring_count_max},
        Limit{"ring_entries", shape.ring_entries, 1U << 28},
        Limit{"publishers_per_channel", shape.publishers_per_channel, publishers_per_channel_max},
        Limit{"heaps", shape.heaps, heap_count_max},
    };
    for (const Limit& limit : limits) {
        if (limit.value == 0 || limit.value > limit.maximum) {
            return fail(Errc::invalid_config,
                        std::string(limit.name) + " is " + std::to_string(limit.value) +
                            "; it must be from 1 to " + std::to_string(limit.maximum));
        }
    }
    return {};
}

RegionRequest table(RegionKind kind, std::uint32_t count, std::uint64_t item_bytes) {
    return RegionRequest{kind, protocol_fingerprint, count, count * item_bytes,
                         static_cast<std::uint32_t>(item_bytes)};
}

}  // namespace

Result<SegmentPlan> plan_segment_for(const SegmentShape& shape) {
    if (auto sound = check_limits(shape); !sound) return tl::unexpected(sound.error());
    const auto pool = plan_pool(shape.classes, shape.lanes);
    if (!pool) return tl::unexpected(pool.error());
    const std::uint64_t subscriber_bytes =
        (sizeof(SubscriberImage) + std::uint64_t{4} * shape.publishers_per_channel + 63) / 64 * 64;
    const std::array requests{
        RegionRequest{RegionKind::pool_control, pool_fingerprint, 1, pool->control_bytes, 0,
                      pool->control_at_first()},
        RegionRequest{RegionKind::pool_payload, pool_fingerprint, 1, pool->payload_bytes, 0,
                      pool->payload_at_first()},
        table(RegionKind::peers, shape.peers, sizeof(PeerImage)),
        table(RegionKind::channels, shape.channels, sizeof(ChannelImage)),
        table(RegionKind::publishers, shape.publishers, sizeof(PublisherImage)),
        table(RegionKind::subscribers, shape.subscribers, subscriber_bytes),
        table(RegionKind::rings, shape.rings, sizeof(RingImage)),
        table(RegionKind::ring_entries, shape.ring_entries, sizeof(RingEntry)),
        table(RegionKind::heaps, shape.heaps, sizeof(HeapImage)),
        RegionRequest{RegionKind::heap_memory, protocol_fingerprint, 1, shape.heap_bytes, 0,
                      std::vector<ByteRange>{}},
    };
    return plan_segment(requests);
}

}  // namespace shmpool
