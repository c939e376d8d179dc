// SPDX-License-Identifier: Apache-2.0
#include "host/segment_steward.hpp"

#include "host/kernel_events.hpp"
#include "protocol/segment_shape.hpp"
#include "shmpool/platform/futex.hpp"

namespace shmpool::host {
namespace {

SegmentShape shape_of(const PoolConfig& config) {
    const PoolLimits& limits = config.limits;
    SegmentShape shape;
    shape.classes = config.classes;
    shape.lanes = lane_cells_of(limits);
    shape.peers = limits.peers;
    shape.channels = limits.channels;
    shape.publishers = limits.publishers;
    shape.subscribers = limits.subscribers;
    shape.rings = limits.rings;
    shape.ring_entries = limits.ring_entries;
    shape.publishers_per_channel = limits.publishers_per_channel;
    return shape;
}

Result<VarSlotPool> make_pool(const Segment& segment, const PoolConfig& config) {
    const auto control = segment.region(RegionKind::pool_control);
    if (!control) return tl::unexpected(control.error());
    const auto payload = segment.region(RegionKind::pool_payload);
    if (!payload) return tl::unexpected(payload.error());
    return VarSlotPool::init({control->bytes, payload->bytes}, config.classes,
                             lane_cells_of(config.limits));
}

}  // namespace

Result<std::unique_ptr<SegmentSteward>> SegmentSteward::create(const PoolConfig& config) {
    const auto plan = plan_segment_for(shape_of(config));
    if (!plan) return tl::unexpected(plan.error());
    auto segment = Segment::create(config.name, *plan, protocol_fingerprint);
    if (!segment) return tl::unexpected(segment.error());
    auto pool = make_pool(*segment, config);
    if (!pool) return tl::unexpected(pool.error());
    const auto view = ProtocolView::of(*segment);
    if (!view) return tl::unexpected(view.error());
    auto read_only = reopen_read_only(segment->control());
    if (!read_only) return tl::unexpected(read_only.error());

    SegmentHeader& header = segment->header();
    // Relaxed: publish() releases all of it.
    header.host_pid.store(own_process_id(), std::memory_order_relaxed);
    header.host_incarnation.store(1, std::memory_order_relaxed);
    header.host_state.store(static_cast<std::uint32_t>(HostState::starting),
                            std::memory_order_relaxed);
    segment->publish();
    return std::unique_ptr<SegmentSteward>(
        new SegmentSteward(std::move(*segment), std::move(*pool), *view, std::move(*read_only)));
}

SegmentSteward::SegmentSteward(Segment segment, VarSlotPool pool, const ProtocolView& view,
                               Descriptor control_read_only)
    : segment_(std::move(segment)),
      pool_(std::move(pool)),
      lane_(pool_.view(), host_lane),
      view_(view),
      control_read_only_(std::move(control_read_only)) {}

void SegmentSteward::set_state(HostState state) {
    Atomic<std::uint32_t>& word = header().host_state;
    word.store(static_cast<std::uint32_t>(state), std::memory_order_release);  // [R-host-state]
    futex_wake(word, 0x7FFF'FFFF);
}

void SegmentSteward::note_reclaim(std::uint64_t noticed_ns, std::uint64_t reclaimed_ns,
                                  std::uint64_t slots) {
    SegmentHeader& numbers = header();
    numbers.last_notice_ns.store(noticed_ns, std::memory_order_relaxed);
    numbers.last_reclaim_ns.store(reclaimed_ns, std::memory_order_relaxed);
    note_late_slots(slots);
    numbers.peers_reclaimed.fetch_add(1, std::memory_order_release);  // [R-statistics]
}

void SegmentSteward::note_late_slots(std::uint64_t slots) {
    header().slots_reclaimed.fetch_add(slots, std::memory_order_relaxed);
}

}  // namespace shmpool::host
