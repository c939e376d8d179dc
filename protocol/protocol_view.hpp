// SPDX-License-Identifier: Apache-2.0
/// The tables of the protocol as one process keeps them privately: addresses and counts, checked
/// once when the segment was opened (I6). A look-up with an index from the segment may answer null.
#pragma once

#include <cstdint>

#include "protocol/layout/protocol_images.hpp"
#include "shmpool/platform/result.hpp"
#include "shmpool/segment/segment.hpp"

namespace shmpool {

template <typename Image>
struct Table {
    std::byte* base = nullptr;
    std::uint32_t count = 0;
    std::uint32_t item_bytes = sizeof(Image);

    [[nodiscard]] Image* find(std::uint32_t index) const {
        return index < count ? reinterpret_cast<Image*>(base + std::uint64_t{index} * item_bytes)
                             : nullptr;
    }
    [[nodiscard]] Image& at(std::uint32_t index) const { return *find(index); }
};

struct ProtocolView {
    SegmentHeader* header = nullptr;
    Table<PeerImage> peers;
    Table<ChannelImage> channels;
    Table<PublisherImage> publishers;
    Table<SubscriberImage> subscribers;
    Table<RingImage> rings;
    Table<RingEntry> entries;
    Table<HeapImage> heaps;
    std::uint32_t publishers_per_channel = 0;

    [[nodiscard]] static Result<ProtocolView> of(const Segment& segment);

    /// Ring numbers of a subscriber, stored as ring index + 1; `publishers_per_channel` of them.
    [[nodiscard]] Atomic<std::uint32_t>* ring_numbers(std::uint32_t subscriber_index) const {
        return reinterpret_cast<Atomic<std::uint32_t>*>(
            reinterpret_cast<std::byte*>(&subscribers.at(subscriber_index)) +
            sizeof(SubscriberImage));
    }
};

/// The owner id under which a peer claims its lanes. 0 is nobody; the host owns lane 0 by position.
[[nodiscard]] constexpr std::uint64_t owner_of_peer(std::uint32_t peer_index,
                                                    std::uint32_t incarnation) {
    return (std::uint64_t{incarnation} << 32) | (std::uint64_t{peer_index} + 1);
}
[[nodiscard]] constexpr std::uint32_t peer_of_owner(std::uint64_t owner) {
    return static_cast<std::uint32_t>(owner) - 1;  // 0 (nobody) becomes `nothing`.
}
static_assert(peer_of_owner(0) == nothing);

/// The owner of a lane that the host has taken for a moment, so that nobody else claims it
/// (heap_directory.hpp). No peer's: there is none of that number.
inline constexpr std::uint64_t taken_by_host = std::uint64_t{1} << 32;
static_assert(peer_of_owner(taken_by_host) == nothing);

}  // namespace shmpool
