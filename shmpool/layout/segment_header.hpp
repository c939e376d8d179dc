// SPDX-License-Identifier: Apache-2.0
/// The first page of the control memory: what the segment is, who its host is, and the directory of
/// its regions. The host writes everything, and `layout_version` last: as long as it is 0 the
/// segment is not yet published.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "shmpool/platform/atomics.hpp"

namespace shmpool {

inline constexpr std::uint64_t segment_magic = 0x676573'6D687302;  // "\2shmseg" in memory order.
inline constexpr std::size_t pool_name_bytes = 64;
inline constexpr std::uint32_t region_count_max = 48;

enum class RegionKind : std::uint32_t {
    none = 0,
    pool_control = 1,
    pool_payload = 2,
    peers = 3,
    channels = 4,
    publishers = 5,
    subscribers = 6,
    rings = 7,
    ring_entries = 8,
    heaps = 9,
    heap_memory = 10,  ///< Behind the pool's payload; committed where a heap is.
};

/// Which lie in the payload memory; everything else is control.
[[nodiscard]] constexpr bool lies_in_payload(RegionKind kind) {
    return kind == RegionKind::pool_payload || kind == RegionKind::heap_memory;
}

enum class HostState : std::uint32_t {
    starting = 0,
    running = 1,
    stopping = 2,
    stopped = 3,   ///< In good order; nothing more will come.
    replaced = 4,  ///< The pool was made anew in another segment.
};

//  RegionImage: 32 bytes per entry of the directory.
//     offset  bytes  field          written by   read by
//          0      4  kind           host, once   all
//          4      4  shape          host, once   all     <- fingerprint of what lies in it
//          8      8  offset_bytes   host, once   all     <- in control or payload: lies_in_payload
//         16      8  length_bytes   host, once   all
//         24      4  item_count     host, once   all
//         28      4  item_bytes     host, once   all
struct RegionImage {
    std::uint32_t kind;
    std::uint32_t shape;
    std::uint64_t offset_bytes;
    std::uint64_t length_bytes;
    std::uint32_t item_count;
    std::uint32_t item_bytes;
};
static_assert(sizeof(RegionImage) == 32 && std::is_trivially_copyable_v<RegionImage>);

//  SegmentHeader: 2048 bytes at offset 0 of control.
//     offset  bytes  field               written by              read by
//          0      8  magic               host, once              all
//          8      4  layout_version      host, last              all   <- 0 means "not yet"
//         12      4  layout_fingerprint  host, once              all
//         16      8  control_bytes       host, once              all
//         24      8  payload_bytes       host, once              all
//         32      8  committed_bytes     host, when it grows     all
//         40      4  region_count        host, once              all
//         44      4  host_pid            host, at takeover       all
//         48      8  created_ns          host, once              all   <- CLOCK_MONOTONIC
//         56      4  host_incarnation    host, at takeover       all
//         60      4  reserved
//         64     64  pool_name           host, once              all
//        128      4  host_state          host                    all   <- futex: peers wait on it
//        132      4  reserved
//        136      8  peers_reclaimed     host                    all   <- peers that died; last
//        144      8  slots_reclaimed     host                    all   <- what they held
//        152      8  last_notice_ns      host                    all   <- of the last, see below
//        160      8  last_reclaim_ns     host                    all
//        168    344  reserved
//        512   1536  regions             host, once              all
//  last_notice_ns: when the last death was first noticed (by beacon or pidfd), last_reclaim_ns:
//  when what that peer held had been taken back; both are moments of CLOCK_MONOTONIC. Slots that a
//  reader still has to take out of its rings come back, and are counted, later. peers_reclaimed is
//  written last: who sees it grow sees the others. Peers that leave in order are not counted.
struct SegmentHeader {
    std::uint64_t magic;
    Atomic<std::uint32_t> layout_version;
    std::uint32_t layout_fingerprint;
    std::uint64_t control_bytes;
    std::uint64_t payload_bytes;
    Atomic<std::uint64_t> committed_bytes;
    std::uint32_t region_count;
    Atomic<std::uint32_t> host_pid;
    std::uint64_t created_ns;
    Atomic<std::uint32_t> host_incarnation;
    std::uint32_t reserved_0;
    char pool_name[pool_name_bytes];
    Atomic<std::uint32_t> host_state;
    std::uint32_t reserved_1;
    Atomic<std::uint64_t> peers_reclaimed;
    Atomic<std::uint64_t> slots_reclaimed;
    Atomic<std::uint64_t> last_notice_ns;
    Atomic<std::uint64_t> last_reclaim_ns;
    std::uint64_t reserved_2[43];
    RegionImage regions[region_count_max];
};
static_assert(offsetof(SegmentHeader, pool_name) == 64);
static_assert(offsetof(SegmentHeader, host_state) == 128);
static_assert(offsetof(SegmentHeader, regions) == 512, "the table above says 512");
static_assert(sizeof(SegmentHeader) == 2048 && std::is_standard_layout_v<SegmentHeader>);

}  // namespace shmpool
