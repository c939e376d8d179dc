// SPDX-License-Identifier: Apache-2.0
/// A ring carries slots from one publisher to one subscriber, so that no publisher can hurt
/// another. Single producer, single consumer; the ring's content is authoritative about what is on
/// its way.
///
/// Entries validate themselves by their position, so the reader polls the entry and not `tail`.
/// The reader stamps a moved slot's word (or has its lease bit) before it advances `head`.
///
/// Closing: the closer stores `closed`, runs a global barrier and drains. The publisher stores an
/// entry, then looks at `closed`. By the barrier either the publisher sees `closed` or the drainer
/// sees the entry; if both, a CAS on the stamp decides who has the slot. An entry below `head` is
/// nobody's to claim: the reader took it before it closed.
///
/// drop_oldest: publisher and reader both advance `head` by CAS. Whoever died after its step is
/// found out: the head says who stepped last, and the reader notes a publisher's step in
/// `drop_seen` before it overwrites it. (The publisher need not note the reader's: a reader's lease
/// shows in the mask.)
///
/// While somebody looks at the oldest entry, its publisher may drop it and write the next key into
/// its place: a key and a stamp that do not belong together. So nobody believes what he found
/// before he knows that the head has not passed it: the reader by its CAS, a drainer by
/// `was_dropped`.
///
/// Pairings:
///   [R-entry] -> [A-entry]    the reader sees the key, the record and the payload.
///   [R-key]   -> [A-key]      who sees the next key sees the head beyond the dropped entry.
///   [R-head]  -> [A-head]     the publisher reuses an entry only after it was read.
///   [R-closed] -> [A-closed]  beside the barrier, for the order of the closer's earlier stores.
///   [AR-claim] with itself    one claimer per entry of a closed ring.
#pragma once

#include <cstdint>

#include "protocol/protocol_view.hpp"
#include "shmpool/platform/crash_point.hpp"
#include "shmpool/platform/prefetch.hpp"
#include "shmpool/pool/var_slot_pool.hpp"

namespace shmpool {

/// How often one verb looks at its table again because the table's epoch has moved meanwhile. A
/// host that changes the table during the last look waits for the end of the verb before it uses
/// anything again; the next verb sees the change. Only a hostile peer moves an epoch so quickly.
inline constexpr int table_looks_max = 8;

/// Private addresses and sizes of one ring, checked against the tables.
struct RingView {
    RingImage* image = nullptr;
    RingEntry* entries = nullptr;
    std::uint64_t index_mask = 0;
    std::uint32_t depth = 0;
    std::uint32_t ring_index = nothing;
    std::uint32_t incarnation = 0;
    std::uint32_t lease_bit = 0;

    [[nodiscard]] explicit operator bool() const { return image != nullptr; }
    [[nodiscard]] RingEntry& entry(std::uint64_t position) const {
        return entries[position & index_mask];
    }
    [[nodiscard]] bool same_use(const RingView& other) const {
        return ring_index == other.ring_index && incarnation == other.incarnation;
    }
    [[nodiscard]] bool closed() const {
        return image->closed.load(std::memory_order_acquire) != 0;  // [A-closed]
    }
    [[nodiscard]] bool publisher_gone() const {
        return image->publisher_state.load(std::memory_order_acquire) !=  // [A-connect]
               static_cast<std::uint32_t>(EndpointState::open);
    }

    /// The ring of that index, or an empty view when the tables say nonsense about it.
    [[nodiscard]] static RingView of(const ProtocolView& view, std::uint32_t ring_index);
};

/// Puts a slot at `position`. The slot's word or mask says already that it is on its way.
inline void put_entry(const RingView& ring, std::uint64_t position, SlotKey key, EntryKind kind,
                      std::uint32_t class_index) {
    RingEntry& entry = ring.entry(position);
    entry.key.store(key, std::memory_order_release);  // [R-key]
    SHMPOOL_CRASH_POINT(entry_key_written);
    entry.stamp.store(make_stamp(position, kind, class_index),
                      std::memory_order_release);  // [R-entry]
    // The next but one cache line: its reader has it until it is fetched, but does not look there.
    fetch_to_write(&ring.entry(position + 2 * cache_line_bytes / sizeof(RingEntry)));
}

struct FoundEntry {
    SlotKey key = 0;
    std::uint32_t class_index = 0;
    EntryKind kind = EntryKind::none;
};

/// What stands at `position`; kind none when nothing has been put there yet.
[[nodiscard]] inline FoundEntry look_at(const RingView& ring, std::uint64_t position) {
    const RingEntry& entry = ring.entry(position);
    const std::uint64_t stamp = entry.stamp.load(std::memory_order_acquire);  // [A-entry]
    if (!stamp_is_for(stamp, position)) return {};
    const SlotKey key = entry.key.load(std::memory_order_acquire);  // [A-key]
    return {key, stamp_class(stamp), stamp_kind(stamp)};
}

/// Whether the entry that was found at `position` may not be believed: its publisher has dropped
/// it.
[[nodiscard]] inline bool was_dropped(const RingView& ring, std::uint64_t position) {
    return head_position(ring.image->head.load(std::memory_order_acquire)) > position;  // [A-head]
}

/// Claims an entry of a closed ring; true for exactly one claimer.
[[nodiscard]] inline bool claim_entry(const RingView& ring, std::uint64_t position,
                                      const FoundEntry& found, EntryKind claimed) {
    std::uint64_t expected = make_stamp(position, found.kind, found.class_index);
    return ring.entry(position).stamp.compare_exchange_strong(
        expected, make_stamp(position, claimed, found.class_index), std::memory_order_acq_rel,
        std::memory_order_acquire);  // [AR-claim]
}

/// Marks the ring as closed and makes the publisher see it, or its entry visible to the caller.
/// Idempotent. By the leaving subscriber, or by the host for a dead one.
void close_ring(const RingView& ring);

/// Takes every slot out of a closed ring that its publisher has not taken back: moved slots go to
/// the pool, leases are given up. Idempotent, also after a drainer that died in the middle.
void drain_ring(VarSlotPool& pool, Lane& lane, const RingView& ring);

/// The slot that a publisher moved last into this ring was for the reader: whether the newest entry
/// names it and is still to be read or was read, but not claimed back. Host only, publisher dead.
[[nodiscard]] bool newest_entry_is(const RingView& ring, std::uint32_t class_index, SlotKey key);

/// Whether all entries have been taken.
[[nodiscard]] inline bool is_drained(const RingView& ring) {
    const std::uint64_t head = ring.image->head.load(std::memory_order_acquire);  // [A-head]
    const EntryKind kind = look_at(ring, head_position(head)).kind;
    return kind != EntryKind::moved && kind != EntryKind::leased;
}

}  // namespace shmpool
