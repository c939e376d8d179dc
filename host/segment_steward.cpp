// SPDX-License-Identifier: Apache-2.0
#include "host/segment_steward.hpp"

#include <algorithm>
#include <cstring>

#include "host/host_log.hpp"
#include "host/kernel_events.hpp"
#include "protocol/segment_shape.hpp"
#include "shmpool/platform/futex.hpp"
#include "shmpool/platform/memory_object.hpp"
#include "shmpool/pool/reclaim.hpp"

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
    shape.heaps = limits.heaps;
    shape.heap_bytes = limits.heap_bytes;
    return shape;
}

Result<void> check_pool_name(const SegmentHeader& header, const std::string& wanted) {
    const std::string found(header.pool_name, strnlen(header.pool_name, pool_name_bytes));
    if (found == wanted) return {};
    return fail(Errc::refused, "the segment that was handed over is of the pool '" +
                                   printable(found) + "', not of '" + wanted + "'");
}

/// What the dead host held: the chain of slots that it was giving back to a list. (A slot of its
/// lane is in no ring: it never publishes.)
void repair_host_lane(VarSlotPool& pool) {
    recover_intent(pool.view(), host_lane);
    Lane lane(pool.view(), host_lane);
    (void)sweep_lane(pool, lane, host_lane, [](std::uint32_t, SlotKey) { return false; });
}

}  // namespace

Result<std::unique_ptr<SegmentSteward>> SegmentSteward::create(const PoolConfig& config) {
    const auto plan = plan_segment_for(shape_of(config));
    if (!plan) return tl::unexpected(plan.error());
    auto segment = Segment::create(config.name, *plan, protocol_fingerprint);
    if (!segment) return tl::unexpected(segment.error());
    const auto regions = PoolRegions::of(*segment);
    if (!regions) return tl::unexpected(regions.error());
    auto pool = VarSlotPool::init({regions->control.bytes, regions->payload.bytes}, config.classes,
                                  lane_cells_of(config.limits));
    if (!pool) return tl::unexpected(pool.error());
    const auto view = ProtocolView::of(*segment);
    if (!view) return tl::unexpected(view.error());
    const auto heap_memory = segment->region(RegionKind::heap_memory);
    if (!heap_memory) return tl::unexpected(heap_memory.error());
    auto locked = lock(*segment);
    if (!locked) return tl::unexpected(locked.error());

    std::unique_ptr<SegmentSteward> steward(
        new SegmentSteward(std::move(*segment), std::move(*pool), *view, *regions, *heap_memory,
                           std::move(*locked), false));
    for (const HeapRequest& heap : config.heaps) {
        const auto created = steward->heaps_.create(heap).and_then(
            [&](HeapWorkId work) { return steward->heaps_.finish(work); });
        if (!created) {
            return fail(created.error().code,
                        "[[heap]] '" + heap.name + "': " + created.error().message);
        }
    }
    steward->sign_header();
    steward->segment_.publish();
    return steward;
}

Result<std::unique_ptr<SegmentSteward>> SegmentSteward::take_over(const std::string& pool_name,
                                                                  Descriptor control,
                                                                  Descriptor payload) {
    if (!is_open_for_writing(payload)) {  // Of a read-only peer.
        auto writable = reopen_for_writing(payload);
        if (!writable) return tl::unexpected(writable.error());
        payload = std::move(*writable);
    }
    auto segment = Segment::open(std::move(control), std::move(payload), Access::read_write,
                                 protocol_fingerprint);
    if (!segment) return tl::unexpected(segment.error());
    if (auto right = check_pool_name(segment->header(), pool_name); !right) {
        return tl::unexpected(right.error());
    }
    if (segment->header().host_state.load(std::memory_order_relaxed) ==
        static_cast<std::uint32_t>(HostState::replaced)) {
        return fail(Errc::segment_replaced,
                    "this segment was given up when the pool was made anew");
    }
    auto locked = lock(*segment);
    if (!locked) return tl::unexpected(locked.error());
    const auto regions = PoolRegions::of(*segment);
    if (!regions) return tl::unexpected(regions.error());
    auto pool = VarSlotPool::attach({regions->control.bytes, regions->payload.bytes});
    if (!pool) return tl::unexpected(pool.error());
    const auto view = ProtocolView::of(*segment);
    if (!view) return tl::unexpected(view.error());
    if (pool->view().lane_count <= view->peers.count) {
        return fail(Errc::damaged_header, "the segment has fewer lanes than peers");
    }
    const auto heap_memory = segment->region(RegionKind::heap_memory);
    if (!heap_memory) return tl::unexpected(heap_memory.error());
    repair_host_lane(*pool);

    std::unique_ptr<SegmentSteward> steward(
        new SegmentSteward(std::move(*segment), std::move(*pool), *view, *regions, *heap_memory,
                           std::move(*locked), true));
    steward->heaps_.take_over();
    steward->growth_.take_over();
    steward->sign_header();
    return steward;
}

Result<SegmentSteward::Locked> SegmentSteward::lock(const Segment& segment) {
    // Not control: whoever may look has a descriptor of that, and could take the lock himself.
    auto host_lock = lock_object(segment.payload());
    if (!host_lock && host_lock.error().code == Errc::name_taken) {
        return fail(Errc::name_taken, "another host serves this segment; stop it first");
    }
    if (!host_lock) return tl::unexpected(host_lock.error());
    auto read_only = reopen_read_only(segment.control());
    if (!read_only) return tl::unexpected(read_only.error());
    auto payload_read_only = reopen_read_only(segment.payload());
    if (!payload_read_only) return tl::unexpected(payload_read_only.error());
    return Locked{std::move(*read_only), std::move(*payload_read_only), std::move(*host_lock)};
}

SegmentSteward::SegmentSteward(Segment segment, VarSlotPool pool, const ProtocolView& view,
                               const PoolRegions& pool_regions, const Segment::Region& heap_memory,
                               Locked locked, bool taken_over)
    : segment_(std::move(segment)),
      pool_(std::move(pool)),
      lane_(pool_.view(), host_lane),
      view_(view),
      heaps_(segment_, pool_.view(), view_, heap_memory),
      growth_(segment_, pool_, view_, lane_, pool_regions),
      control_read_only_(std::move(locked.control_read_only)),
      payload_read_only_(std::move(locked.payload_read_only)),
      host_lock_(std::move(locked.host_lock)),
      taken_over_(taken_over) {}

/// Relaxed: set_state or publish() releases it, and nobody decides by it.
void SegmentSteward::sign_header() {
    header().host_pid.store(own_process_id(), std::memory_order_relaxed);
    header().host_incarnation.fetch_add(1, std::memory_order_relaxed);
    header().host_state.store(static_cast<std::uint32_t>(HostState::starting),
                              std::memory_order_relaxed);
}

std::uint64_t SegmentSteward::relieved_classes(const PoolConfig& config) const {
    std::uint64_t bits = 0;
    for (std::uint32_t index = 0; index < pool_.class_count(); ++index) {
        const bool relieved = std::ranges::any_of(config.classes, [&](const SizeClassConfig& one) {
            return one.grow_when_exhausted &&
                   one.slot_size == pool_.view().classes[index].slot_bytes;
        });
        if (relieved) bits |= std::uint64_t{1} << index;
    }
    return bits;
}

bool SegmentSteward::matches(const PoolConfig& config) const {
    const auto plan = plan_segment_for(shape_of(config));
    const SegmentHeader& is = header();
    const auto same_class = [](const ClassView& one, const SizeClassConfig& other) {
        return one.slot_bytes == other.slot_size && one.extent(0).slot_count == other.slot_count &&
               one.slot_limit == other.most_slots();
    };
    std::vector<SizeClassConfig> classes = config.classes;
    std::ranges::sort(classes, {}, &SizeClassConfig::slot_size);
    return plan && plan->control_bytes == is.control_bytes &&
           plan->payload_bytes == is.payload_bytes && plan->regions.size() == is.region_count &&
           std::memcmp(plan->regions.data(), is.regions,
                       plan->regions.size() * sizeof(RegionImage)) == 0 &&
           std::ranges::equal(pool_.view().all_classes(), classes, same_class);
}

void SegmentSteward::set_state(HostState state) {
    state_ = state;
    show_state_again();
    futex_wake(header().host_state, 0x7FFF'FFFF);
}

bool SegmentSteward::shows_its_state() const {
    return header().host_state.load(std::memory_order_relaxed) ==
           static_cast<std::uint32_t>(state_);
}

void SegmentSteward::show_state_again() {
    header().host_state.store(static_cast<std::uint32_t>(state_),
                              std::memory_order_release);  // [R-host-state]
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
