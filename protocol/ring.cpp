// SPDX-License-Identifier: Apache-2.0
#include "protocol/ring.hpp"

#include <bit>

#include "protocol/lease_table.hpp"
#include "shmpool/platform/membarrier.hpp"

namespace shmpool {

RingView RingView::of(const ProtocolView& view, std::uint32_t ring_index) {
    RingImage* const image = view.rings.find(ring_index);
    if (image == nullptr) return {};
    RingView ring;
    ring.image = image;
    ring.ring_index = ring_index;
    ring.incarnation = image->incarnation.load(std::memory_order_acquire);  // [A-connect]
    ring.depth = image->depth.load(std::memory_order_relaxed);
    ring.lease_bit = image->lease_bit.load(std::memory_order_relaxed);
    const std::uint64_t capacity = image->capacity.load(std::memory_order_relaxed);
    const std::uint64_t offset = image->entries_offset.load(std::memory_order_relaxed);
    if (!std::has_single_bit(capacity) || ring.depth == 0 || ring.depth > capacity ||
        offset > view.entries.count || view.entries.count - offset < capacity ||
        ring.lease_bit >= subscribers_per_channel_max) {
        return {};
    }
    ring.entries = view.entries.find(0) + offset;
    ring.index_mask = capacity - 1;
    return ring;
}

void close_ring(const RingView& ring) {
    ring.image->closed.store(1, std::memory_order_release);  // [R-closed]
    SHMPOOL_CRASH_POINT(ring_marked_closed);
    global_barrier();
}

namespace {

/// A moved slot that its drainer has claimed: its word still names the publisher's lane, unless
/// somebody has finished this before.
void take_moved(VarSlotPool& pool, Lane& lane, const FoundEntry& found) {
    SlotRecord* const record =
        pool.view().classes[found.class_index].record(position_of(found.key));
    if (record == nullptr) return pool.view().mark_damaged();
    SlotWord word = record->word.load(std::memory_order_acquire);  // [A-word]
    if (word_generation(word) != generation_of(found.key) ||
        word_state(word) != SlotState::in_transit) {
        return;
    }
    lane.mark_touched(found.class_index, position_of(found.key));
    if (record->word.compare_exchange_strong(
            word, make_key(generation_of(found.key), lane.holder(SlotState::loaned)),
            std::memory_order_acq_rel, std::memory_order_relaxed)) {  // [AR-word]
        SHMPOOL_CRASH_POINT(drain_stamped);
        pool.put_owned(lane, found.class_index, found.key);
    }
}

void drain_entry(VarSlotPool& pool, Lane& lane, const RingView& ring, std::uint64_t position) {
    const FoundEntry found = look_at(ring, position);
    if (was_dropped(ring, position)) return;  // By a publisher that will see `closed` a bit later.
    if (found.class_index >= pool.view().class_count) return pool.view().mark_damaged();
    const bool moved = found.kind == EntryKind::moved;
    if (moved || found.kind == EntryKind::leased) {
        if (!claim_entry(ring, position, found, EntryKind::claimed_by_drainer)) return;
    } else if (found.kind != EntryKind::claimed_by_drainer) {
        return;
    }
    SHMPOOL_CRASH_POINT(drain_claimed);
    // An entry claimed by a drainer that died may be of either kind; both repairs are idempotent
    // and look at the slot's own word first.
    take_moved(pool, lane, found);
    release_if_held(pool, lane, found.class_index, found.key, std::uint64_t{1} << ring.lease_bit);
}

}  // namespace

void drain_ring(VarSlotPool& pool, Lane& lane, const RingView& ring) {
    const std::uint64_t head =
        head_position(ring.image->head.load(std::memory_order_acquire));  // [A-head]
    std::uint64_t position = head;
    while (position - head <= ring.index_mask && look_at(ring, position).kind != EntryKind::none) {
        drain_entry(pool, lane, ring, position);
        ++position;
    }
}

bool newest_entry_is(const RingView& ring, std::uint32_t class_index, SlotKey key) {
    // The publisher may have died between the entry and the tail that counts it.
    const std::uint64_t tail = ring.image->tail.load(std::memory_order_acquire);  // [A-tail]
    FoundEntry newest = look_at(ring, tail);
    if (newest.kind == EntryKind::none && tail > 0) newest = look_at(ring, tail - 1);
    return newest.kind == EntryKind::leased && newest.class_index == class_index &&
           newest.key == key;
}

}  // namespace shmpool
