// SPDX-License-Identifier: Apache-2.0
/// The table of heaps as anybody may look at it; only the host writes it (heap_directory.hpp). What
/// is read is copied, and may be old by then.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/protocol_view.hpp"

namespace shmpool {

/// The incarnation tells a heap from the next one that gets its index.
struct HeapId {
    std::uint32_t index = nothing;
    std::uint32_t incarnation = 0;

    friend bool operator==(const HeapId&, const HeapId&) = default;
};

struct HeapEntry {
    HeapId id;
    std::string name;
    HeapKind kind = HeapKind::none;
    OnDeath on_death = OnDeath::keep;
    std::uint64_t bytes = 0;            ///< Of all of it.
    std::uint64_t committed_bytes = 0;  ///< What of it is backed by memory.
    std::uint32_t created_by = 0;       ///< User.
    std::vector<std::uint32_t> users;   ///< Peers that have it open.
};

/// None if there is no heap open there.
[[nodiscard]] std::optional<HeapEntry> read_heap(const ProtocolView& view, std::uint32_t index);
/// All that there are, by index.
[[nodiscard]] std::vector<HeapEntry> read_heaps(const ProtocolView& view);
/// no_heap.
[[nodiscard]] Result<HeapEntry> find_heap(const ProtocolView& view, std::string_view name);

/// Where a heap lies in this process; empty if the table says nonsense. `all`: the segment's region
/// heap_memory.
[[nodiscard]] std::span<std::byte> heap_memory(const Segment::Region& all, const HeapImage& heap);

}  // namespace shmpool
