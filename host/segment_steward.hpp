// SPDX-License-Identifier: Apache-2.0
/// The segment as its host has it: made by this host (plans it, takes all of its memory,
/// initialises pool and tables, publishes it last), or taken over from one that died. Locked
/// against every other host either way. Also the host's own numbers in the segment's header.
#pragma once

#include <cstdint>
#include <memory>

#include "host/pool_config.hpp"
#include "protocol/heap_directory.hpp"
#include "protocol/pool_growth.hpp"
#include "protocol/protocol_view.hpp"
#include "shmpool/platform/result.hpp"
#include "shmpool/pool/var_slot_pool.hpp"
#include "shmpool/segment/segment.hpp"

namespace shmpool::host {

/// The host's thread. Pinned: lanes and directories keep pointers into it.
class SegmentSteward {
public:
    /// Published, with the state `starting`. Not enough memory: `out_of_memory`.
    [[nodiscard]] static Result<std::unique_ptr<SegmentSteward>> create(const PoolConfig& config);

    /// The segment of a host that died, with all that is in it, whatever the configuration says
    /// now. Its lane is repaired: what it was doing is done or undone. State `starting`. Another
    /// host serves it: `name_taken`. Not this pool's, or of another build: an error that says so.
    [[nodiscard]] static Result<std::unique_ptr<SegmentSteward>> take_over(
        const std::string& pool_name, Descriptor control, Descriptor payload);

    SegmentSteward(const SegmentSteward&) = delete;
    SegmentSteward& operator=(const SegmentSteward&) = delete;

    [[nodiscard]] VarSlotPool& pool() { return pool_; }
    [[nodiscard]] Lane& lane() { return lane_; }  ///< Lane 0, the host's own.
    [[nodiscard]] const ProtocolView& view() const { return view_; }
    [[nodiscard]] HeapDirectory& heaps() { return heaps_; }
    [[nodiscard]] PoolGrowth& growth() { return growth_; }
    [[nodiscard]] SegmentHeader& header() const { return segment_.header(); }
    [[nodiscard]] std::uint64_t control_bytes() const { return segment_.control_bytes(); }
    [[nodiscard]] std::uint64_t payload_bytes() const { return segment_.payload_bytes(); }
    [[nodiscard]] const Descriptor& control() const { return segment_.control(); }
    [[nodiscard]] const Descriptor& payload() const { return segment_.payload(); }
    /// For observers: another open file of the control memory, without the right to write.
    [[nodiscard]] const Descriptor& control_read_only() const { return control_read_only_; }
    /// For read-only peers: the same of the payload.
    [[nodiscard]] const Descriptor& payload_read_only() const { return payload_read_only_; }
    /// Made by an earlier host.
    [[nodiscard]] bool taken_over() const { return taken_over_; }
    /// Classes that this configuration lets grow when they are exhausted: one bit for each.
    [[nodiscard]] std::uint64_t relieved_classes(const PoolConfig& config) const;
    /// Whether this configuration would make the same segment.
    [[nodiscard]] bool matches(const PoolConfig& config) const;
    /// Lanes for threads, of all peers together.
    [[nodiscard]] std::uint32_t thread_lanes() const {
        return pool_.view().lane_count - 1 - view_.peers.count;
    }

    /// Everybody who waits for a change of the host's state is woken.
    void set_state(HostState state);
    /// Nobody else has written the host's state.
    [[nodiscard]] bool shows_its_state() const;
    void show_state_again();

    /// A dead peer has given everything back but what readers still have to drain. Written so that
    /// who sees the new `peers_reclaimed` sees the other three. [R-statistics] -> any reader.
    void note_reclaim(std::uint64_t noticed_ns, std::uint64_t reclaimed_ns, std::uint64_t slots);
    /// Slots of a dead peer that came back later.
    void note_late_slots(std::uint64_t slots);

private:
    struct Locked {
        Descriptor control_read_only;
        Descriptor payload_read_only;
        Descriptor host_lock;
    };
    [[nodiscard]] static Result<Locked> lock(const Segment& segment);
    SegmentSteward(Segment segment, VarSlotPool pool, const ProtocolView& view,
                   const PoolRegions& pool_regions, const Segment::Region& heap_memory,
                   Locked locked, bool taken_over);
    void sign_header();

    Segment segment_;
    VarSlotPool pool_;
    Lane lane_;
    ProtocolView view_;
    HeapDirectory heaps_;
    PoolGrowth growth_;
    Descriptor control_read_only_;
    Descriptor payload_read_only_;
    Descriptor host_lock_;
    bool taken_over_;
    HostState state_ = HostState::starting;
};

}  // namespace shmpool::host
