// SPDX-License-Identifier: Apache-2.0
/// The heaps that founders create and destroy while their host is killed: names that all of them
/// fight for, and one name of each seat's own, of which its lives write down whether it is there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "board.hpp"
#include "peer/peer.hpp"

namespace shmpool::storm {

inline constexpr std::uint64_t founded_names = 3;
inline constexpr std::uint64_t founded_bytes_max = std::uint64_t{8} << 20;
/// Room for all of them, and for as many that are being given back.
inline constexpr const char* founded_room = "[limits]\nheaps = 24\nheap_bytes = \"96MiB\"\n";

[[nodiscard]] std::string founded_name(std::uint64_t number);
[[nodiscard]] std::string own_name(std::size_t seat);
[[nodiscard]] bool has_heap(const Peer& peer, const std::string& name);

/// Of the whole segment.
struct MemoryInUse {
    std::uint64_t shown = 0;   ///< By the host's count.
    std::uint64_t backed = 0;  ///< Of the payload, by the kernel's.

    friend bool operator==(const MemoryInUse&, const MemoryInUse&) = default;
};
/// Of the pool that this process is attached to, without the records that classes have grown by:
/// they stay.
[[nodiscard]] MemoryInUse memory_in_use(const SegmentHeader& header, const PoolView& pool);

/// When nobody else is there: destroys them all, and has the classes shrink. What was wrong with
/// them, or is with the memory, of which there was `at_first` when there were none.
[[nodiscard]] std::vector<std::string> end_founded(Peer& peer, const Board& board,
                                                   const SegmentHeader& header,
                                                   const PoolView& pool,
                                                   const MemoryInUse& at_first);

}  // namespace shmpool::storm
