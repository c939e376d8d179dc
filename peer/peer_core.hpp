// SPDX-License-Identifier: Apache-2.0
/// What a Peer and its publishers and subscribers share: the mapped segment, the control channel,
/// the lanes, and the control thread that holds the beacon. It lives as long as the last of them;
/// and with a Loan or Sample still alive, until the process ends: nothing is ever unmapped under a
/// handle.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "peer/control_channel.hpp"
#include "peer/heap_shelf.hpp"
#include "peer/lane_shelf.hpp"
#include "protocol/protocol_view.hpp"
#include "shmpool/platform/beacon.hpp"
#include "shmpool/platform/event_descriptor.hpp"
#include "shmpool/pool/var_slot_pool.hpp"
#include "shmpool/segment/segment.hpp"

namespace shmpool {

class PeerCore {
public:
    /// Attaches to a host. With `own_thread` a control thread is started; without it the caller
    /// polls `control()` and the calling thread holds the beacon.
    [[nodiscard]] static Result<std::shared_ptr<PeerCore>> attach(const AttachRequest& request,
                                                                  bool own_thread);
    ~PeerCore();
    PeerCore(const PeerCore&) = delete;
    PeerCore& operator=(const PeerCore&) = delete;

    [[nodiscard]] VarSlotPool& pool() { return *pool_; }
    [[nodiscard]] const ProtocolView& view() const { return view_; }
    [[nodiscard]] HeapShelf& heaps() { return heaps_; }
    [[nodiscard]] const Segment& segment() const { return *segment_; }
    [[nodiscard]] Result<Segment::Region> heap_region() const {
        return segment_->region(RegionKind::heap_memory);
    }
    [[nodiscard]] ControlChannel& control() { return control_; }
    [[nodiscard]] bool in_own_process() const { return shelf_->in_own_process(); }
    [[nodiscard]] const wire::Welcome& welcome() const { return welcome_; }
    /// The payload can be read only.
    [[nodiscard]] bool read_only() const { return read_only_; }

    /// The calling thread's lane. forked in a child of fork(); no_lane when the pool has none left.
    [[nodiscard]] Outcome<ThreadLane*> lane() {
        if (ThreadLane* const lane = lane_or_null(); lane != nullptr) [[likely]]
            return lane;
        return fail(why_no_lane());
    }

    /// The same for each message: in a register, where an Outcome is written to memory in parts and
    /// read whole.
    [[nodiscard]] ThreadLane* lane_or_null() { return in_own_process() ? shelf_->lane() : nullptr; }
    [[nodiscard]] Errc why_no_lane() const {
        return in_own_process() ? Errc::no_lane : Errc::forked;
    }

    /// For what ends a handle, which must not fail for want of a lane: calls `end(ThreadLane&)`
    /// with the calling thread's lane, else with the peer's reserve. False in a child of fork().
    template <typename End>
    bool with_any_lane(End end) {
        if (!in_own_process()) [[unlikely]]
            return false;
        if (ThreadLane* const lane = shelf_->lane(); lane != nullptr) [[likely]] {
            end(*lane);
            return true;
        }
        return shelf_->with_reserve(end);
    }

    /// Monotonic: until then the host is not asked for more slots, because it did not answer.
    [[nodiscard]] std::atomic<std::uint64_t>& relief_pause_until_ns() {
        return relief_pause_until_ns_;
    }

    /// Whether anything can still come of this segment; else why not: host_stopped,
    /// segment_replaced, pool_damaged.
    [[nodiscard]] Outcome<void> check_serving() const {
        if (host_state() <= HostState::stopping && !pool_->view().damaged()) [[likely]]
            return {};
        return why_not_serving();
    }
    [[nodiscard]] tl::unexpected<Errc> why_not_serving() const;
    /// As check_serving, for what goes on after an orderly stop too.
    [[nodiscard]] Outcome<void> check_sound() const {
        const auto serving = check_serving();
        if (serving || serving.error() == Errc::host_stopped) [[likely]]
            return {};
        return serving;
    }

    [[nodiscard]] HostState host_state() const {
        return static_cast<HostState>(
            segment_->header().host_state.load(std::memory_order_acquire));  // [A-host-state]
    }

private:
    PeerCore() = default;
    static void end(PeerCore* core);
    [[nodiscard]] static Result<std::shared_ptr<PeerCore>> attach_once(const AttachRequest& request,
                                                                       bool own_thread);
    [[nodiscard]] Result<void> open_segment(Attachment attachment);
    [[nodiscard]] Result<void> take_place();
    [[nodiscard]] Result<void> hold_place();
    [[nodiscard]] Result<void> start_control(bool own_thread);
    void run_control();

    ControlChannel control_;
    wire::Welcome welcome_{};
    bool read_only_ = false;
    std::unique_ptr<Segment> segment_;
    std::unique_ptr<VarSlotPool> pool_;
    ProtocolView view_;
    std::shared_ptr<LaneShelf> shelf_;
    HeapShelf heaps_;
    Descriptor beacon_memory_;
    Beacon beacon_;  ///< Held by the attaching thread when there is no control thread.
    std::atomic<std::uint64_t> relief_pause_until_ns_{0};
    EventDescriptor stop_;
    std::thread thread_;
};

}  // namespace shmpool
