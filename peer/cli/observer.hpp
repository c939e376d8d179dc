// SPDX-License-Identifier: Apache-2.0
/// A look into a pool without being a peer: the control memory, mapped read-only. Stops nobody,
/// holds nothing, and cannot change anything; so whoever looks must not call what marks or repairs.
#pragma once

#include <memory>
#include <optional>

#include "peer/cli/command.hpp"
#include "peer/control_channel.hpp"
#include "protocol/protocol_view.hpp"
#include "shmpool/pool/var_slot_pool.hpp"
#include "shmpool/segment/segment.hpp"

namespace shmpool::cli {

class Observer {
public:
    [[nodiscard]] static Result<Observer> attach(const CommonOptions& common);

    [[nodiscard]] const SegmentHeader& header() const { return segment_.header(); }
    [[nodiscard]] const PoolView& pool() const { return pool_.view(); }
    [[nodiscard]] const ProtocolView& view() const { return view_; }
    /// For requests to the host.
    [[nodiscard]] ControlChannel& control() const { return *control_; }

private:
    Observer(std::unique_ptr<ControlChannel> control, Segment segment, VarSlotPool pool,
             const ProtocolView& view)
        : control_(std::move(control)),
          segment_(std::move(segment)),
          pool_(std::move(pool)),
          view_(view) {}

    std::unique_ptr<ControlChannel> control_;
    Segment segment_;
    VarSlotPool pool_;
    ProtocolView view_;
};

/// The peer of that number, if there is one: owner_of_peer says so too.
[[nodiscard]] const PeerImage* find_peer(const ProtocolView& view, std::uint32_t peer_index);

/// The peer that an owner of lanes stands for: none if it is over.
[[nodiscard]] std::optional<std::uint32_t> living_peer_of(const ProtocolView& view,
                                                          std::uint64_t owner);

/// It is no lane of anybody: who has locked a heap by it, or seems to, will not come back.
[[nodiscard]] bool is_nobodys_lane(const Observer& observer, std::uint32_t lane);

/// Text from the segment: at most `limit` bytes, whatever they are.
[[nodiscard]] std::string text_of(const char* chars, std::size_t limit);

}  // namespace shmpool::cli
