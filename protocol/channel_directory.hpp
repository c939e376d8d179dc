// SPDX-License-Identifier: Apache-2.0
/// The host's verbs on channels: who publishes, who subscribes, and a ring for each pair of them.
/// Connecting is synchronous and waits for no peer: a ring is in both tables, and both epochs have
/// moved, before the request is answered. Disconnecting is patient: a ring, a lease bit and a
/// record are used again only when the other side can no longer touch them (see `ActivityMark`).
///
/// Host only, one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "protocol/protocol_view.hpp"
#include "protocol/ring.hpp"
#include "protocol/ring_room.hpp"
#include "shmpool/pool/var_slot_pool.hpp"

namespace shmpool {

struct ChannelRequest {
    std::string channel;
    std::string type_name;  ///< Empty: plain bytes.
    std::uint64_t type_bytes = 0;
    std::uint32_t type_alignment = 0;
    ChannelPolicy policy = ChannelPolicy::as_channel;
};

struct Opened {
    std::uint32_t endpoint_index = 0;
    std::uint32_t channel_index = 0;
    std::uint32_t lease_bit = 0;
};

class ChannelDirectory {
public:
    /// `lane` is the host's own.
    ChannelDirectory(VarSlotPool& pool, Lane& lane, const ProtocolView& view);

    [[nodiscard]] Result<Opened> open_publisher(const ChannelRequest& request,
                                                std::uint32_t peer_index);
    [[nodiscard]] Result<Opened> open_subscriber(const ChannelRequest& request,
                                                 std::uint32_t peer_index, std::uint32_t depth,
                                                 std::uint32_t flags);

    /// The endpoint has left, or its peer has died. Idempotent. A dead publisher's intent is
    /// decided first; a leaving subscriber's rings are closed and drained.
    void publisher_left(std::uint32_t publisher_index, EndpointState how);
    void subscriber_left(std::uint32_t subscriber_index, EndpointState how);

    /// Frees what can be freed by now. True if something is still waiting.
    bool maintain();

    /// Looks through all published slots for leases of subscribers that are gone, and frees the
    /// bits and records that nothing carries any more.
    void recycle_leases();

    /// Wakes every sleeper, so that it looks at the host's state.
    void wake_everybody();

private:
    [[nodiscard]] Result<std::uint32_t> channel_for(const ChannelRequest& request);
    [[nodiscard]] std::optional<std::uint32_t> find_channel(std::string_view name) const;
    [[nodiscard]] Result<void> check_request(const ChannelImage& channel,
                                             const ChannelRequest& request) const;
    void define_channel(ChannelImage& channel, const ChannelRequest& request);
    [[nodiscard]] std::optional<std::uint32_t> free_lease_bit(const ChannelImage& channel) const;

    [[nodiscard]] Result<void> connect(std::uint32_t publisher_index,
                                       std::uint32_t subscriber_index, RingRoom& room);
    /// What only the host writes is not as it wrote it: nobody knows who did.
    [[nodiscard]] tl::unexpected<Error> damaged(const std::string& what) const;
    void decide_intent(PublisherImage& publisher);
    void remove_from_publisher(const RingView& ring);
    void remove_from_subscriber(const RingView& ring);
    [[nodiscard]] bool try_free(const RingView& ring);
    void free_records();
    /// Counts and lease bits of all channels, from the records: a host that died between a record
    /// and a count leaves nothing wrong behind.
    void recount();

    /// Of the two ends of a ring that has been taken out of their tables.
    struct ActivitiesSeen {
        std::uint64_t publisher = 0;
        std::uint64_t subscriber = 0;
    };

    VarSlotPool& pool_;
    Lane& lane_;
    const ProtocolView& view_;
    std::unordered_map<std::uint32_t, ActivitiesSeen> leaving_;  ///< By ring. May be lost.
};

}  // namespace shmpool
