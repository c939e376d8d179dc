// SPDX-License-Identifier: Apache-2.0
#include "protocol/committed_memory.hpp"

#include "shmpool/pool/growth.hpp"

namespace shmpool {

void show_committed(const Segment& segment, const PoolView& pool, const ProtocolView& view) {
    const auto payload = segment.region(RegionKind::pool_payload);
    std::uint64_t bytes = segment.control_bytes() + (payload ? payload->bytes.size() : 0);
    for (std::uint32_t index = 0; index < pool.class_count; ++index) {
        for (const ByteRange& range : unused_payload(pool, index)) bytes -= range.bytes;
        bytes -= unused_records(pool, index).bytes;
    }
    for (std::uint32_t i = 0; i < view.heaps.count; ++i) {
        bytes += view.heaps.at(i).committed_bytes.load(std::memory_order_relaxed);
    }
    segment.header().committed_bytes.store(bytes, std::memory_order_relaxed);
}

}  // namespace shmpool
