// SPDX-License-Identifier: Apache-2.0
#include "protocol/publisher_core.hpp"

#include <algorithm>

#include "protocol/lease_table.hpp"
#include "shmpool/platform/futex.hpp"

namespace shmpool {
namespace {

SlotRecord& record_of(const VarSlotPool& pool, const VarSlotPool::Loaned& slot) {
    return pool.view().classes[slot.class_index].records[position_of(slot.key)];
}

}  // namespace

PublisherCore::PublisherCore(VarSlotPool& pool, const ProtocolView& view,
                             std::uint32_t publisher_index, ChannelPolicy policy)
    : pool_(pool),
      view_(view),
      image_(view.publishers.at(publisher_index)),
      index_(publisher_index),
      policy_(policy),
      channel_index_(image_.channel_index.load(std::memory_order_acquire)) {  // [A-connect]
    refresh();
}

std::uint32_t PublisherCore::reader_count() {
    const ActivityMark mark(image_.activity);
    refresh();
    drop_closed();
    return connection_count_;
}

Delivery PublisherCore::try_publish(Lane& lane, const VarSlotPool::Loaned& slot,
                                    const Deadline& deadline) {
    for (;;) {
        {
            const ActivityMark mark(image_.activity);
            refresh();
            drop_closed();
            const bool all_have_room =
                policy_ != ChannelPolicy::block ||
                std::all_of(connections_.begin(), connections_.begin() + connection_count_,
                            [this](Connection& one) { return has_room(one); });
            // Room only grows: whoever has room now still has it when the entry is put.
            if (all_have_room) {
                choose_readers(lane);
                const auto chosen =
                    std::count_if(connections_.begin(), connections_.begin() + connection_count_,
                                  [](const Connection& one) { return one.chosen; });
                return {publish_chosen(lane, slot, static_cast<std::uint32_t>(chosen)), Errc{}};
            }
        }
        if (!wait_for_room(lane, deadline)) return {0, Errc::timed_out};
    }
}

void PublisherCore::refresh() {
    std::uint32_t epoch = image_.epoch.load(std::memory_order_acquire);  // [A-connect]
    for (int look = 0; epoch != epoch_ && look < table_looks_max; ++look) {
        const auto before = connections_;
        const std::uint32_t before_count = connection_count_;
        connection_count_ = 0;
        any_may_sleep_ = false;
        for (std::uint32_t bit = 0; bit < subscribers_per_channel_max; ++bit) {
            const std::uint32_t number =
                image_.rings[bit].load(std::memory_order_acquire);  // [A-connect]
            if (number == 0) continue;
            connect(bit, number - 1);
        }
        for (std::uint32_t i = 0; i < connection_count_; ++i) {
            for (std::uint32_t j = 0; j < before_count; ++j) {
                if (connections_[i].ring.same_use(before[j].ring)) connections_[i] = before[j];
            }
        }
        epoch_ = epoch;
        epoch = image_.epoch.load(std::memory_order_acquire);  // [A-connect]
    }
}

void PublisherCore::connect(std::uint32_t lease_bit, std::uint32_t ring_index) {
    Connection fresh;
    fresh.ring = RingView::of(view_, ring_index);
    if (!fresh.ring || fresh.ring.lease_bit != lease_bit) return;
    fresh.subscriber =
        view_.subscribers.find(fresh.ring.image->subscriber_index.load(std::memory_order_relaxed));
    if (fresh.subscriber == nullptr) return;
    fresh.tail = fresh.ring.image->tail.load(std::memory_order_relaxed);
    fresh.may_sleep =
        (fresh.subscriber->flags.load(std::memory_order_relaxed) & subscriber_may_sleep) != 0;
    any_may_sleep_ = any_may_sleep_ || fresh.may_sleep;
    connections_[connection_count_++] = fresh;
}

void PublisherCore::drop_closed() {
    const auto end = std::remove_if(connections_.begin(), connections_.begin() + connection_count_,
                                    [](const Connection& one) { return one.ring.closed(); });
    connection_count_ = static_cast<std::uint32_t>(end - connections_.begin());
}

bool PublisherCore::has_room(Connection& connection) {
    if (connection.tail - connection.known_head < connection.ring.depth) return true;
    connection.known_head =
        head_position(connection.ring.image->head.load(std::memory_order_acquire));  // [A-head]
    // A head beyond the tail is nonsense of its reader alone: treated as no room (I6).
    return connection.tail - connection.known_head < connection.ring.depth;
}

bool PublisherCore::wait_for_room(Lane& lane, const Deadline& deadline) {
    // A reader that makes room between the look and the sleep may miss the ticket, because it pays
    // for no barrier: sleeps are short, and grow only while nothing happens.
    constexpr std::chrono::nanoseconds longest_sleep = std::chrono::milliseconds(5);
    if (deadline.expired()) return false;
    pool_.flush(lane);  // A lane that sleeps has nothing cached.
    const std::uint32_t rung = image_.space_doorbell.load(std::memory_order_acquire);  // [A-space]
    const std::uint32_t ticket = image_.wait_ticket.load(std::memory_order_relaxed);
    image_.wait_ticket.store(ticket | 1, std::memory_order_relaxed);
    store_load_barrier();
    const auto full = [this](Connection& one) { return !has_room(one) && !one.ring.closed(); };
    const bool still_full =
        std::any_of(connections_.begin(), connections_.begin() + connection_count_, full);
    if (still_full) {
        futex_wait(image_.space_doorbell, rung, std::min(longest_sleep, deadline.remaining()));
    }
    image_.wait_ticket.store((ticket | 1) + 1, std::memory_order_relaxed);
    return true;
}

void PublisherCore::choose_readers(Lane& lane) {
    for (std::uint32_t i = 0; i < connection_count_; ++i) {
        Connection& one = connections_[i];
        one.chosen = has_room(one);
        if (!one.chosen && policy_ == ChannelPolicy::drop_oldest) {
            drop_oldest(lane, one);
            one.chosen = has_room(one);
        }
        if (!one.chosen) {
            Atomic<std::uint64_t>& dropped = one.ring.image->dropped;
            dropped.store(dropped.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        }
    }
}

void PublisherCore::drop_oldest(Lane& lane, Connection& connection) {
    RingImage& ring = *connection.ring.image;
    std::uint64_t head = ring.head.load(std::memory_order_acquire);  // [A-head]
    for (std::uint32_t attempt = 0; connection.tail - head_position(head) >= connection.ring.depth;
         ++attempt) {
        if (attempt == retry_limit) return pool_.view().mark_damaged();
        const std::uint64_t position = head_position(head);
        const FoundEntry oldest = look_at(connection.ring, position);
        if (oldest.kind != EntryKind::leased) return;  // Closed and drained, or nonsense.
        image_.intent_key.store(oldest.key, std::memory_order_relaxed);
        image_.intent_detail.store(position, std::memory_order_relaxed);
        image_.intent_kind.store(make_publish_intent(PublishIntent::drop, oldest.class_index,
                                                     connection.ring.ring_index),
                                 std::memory_order_release);  // [R-publish-intent]
        SHMPOOL_CRASH_POINT(drop_announced);
        if (ring.head.compare_exchange_strong(head, make_head(position + 1, true),
                                              std::memory_order_acq_rel,     // [AR-head]
                                              std::memory_order_acquire)) {  // [A-head]
            SHMPOOL_CRASH_POINT(drop_happened);
            release_if_held(pool_, lane, oldest.class_index, oldest.key,
                            std::uint64_t{1} << connection.ring.lease_bit);
            SHMPOOL_CRASH_POINT(drop_released);
            ring.dropped.store(ring.dropped.load(std::memory_order_relaxed) + 1,
                               std::memory_order_relaxed);
            head = make_head(position + 1, true);
        }
        image_.intent_kind.store(0, std::memory_order_release);  // [R-publish-intent]
    }
}

std::uint32_t PublisherCore::publish_chosen(Lane& lane, const VarSlotPool::Loaned& slot,
                                            std::uint32_t chosen) {
    SlotRecord& record = record_of(pool_, slot);
    record.sequence.store(++sequence_, std::memory_order_relaxed);
    record.publisher_index.store(index_, std::memory_order_relaxed);
    std::uint32_t delivered = 0;
    if (chosen == 0) {
        pool_.put_owned(lane, slot.class_index, slot.key);
    } else if (chosen == 1 && connection_count_ == 1 && policy_ != ChannelPolicy::drop_oldest) {
        delivered = move_to(lane, slot, connections_[0]);
    } else {
        delivered = lease_to_all(lane, slot);
    }
    image_.published_total.store(sequence_, std::memory_order_relaxed);
    wake_sleepers();
    return delivered;
}

std::uint32_t PublisherCore::move_to(Lane& lane, const VarSlotPool::Loaned& slot,
                                     Connection& connection) {
    SlotRecord& record = record_of(pool_, slot);
    lane.mark_touched(slot.class_index, position_of(slot.key));  // Another lane may have taken it.
    record.word.store(make_key(generation_of(slot.key), lane.holder(SlotState::in_transit)),
                      std::memory_order_relaxed);
    SHMPOOL_CRASH_POINT(move_stamped);
    const FoundEntry entry{slot.key, slot.class_index, EntryKind::moved};
    put_entry(connection.ring, connection.tail, slot.key, EntryKind::moved, slot.class_index);
    SHMPOOL_CRASH_POINT(move_entered);
    advance_tail(connection);
    SHMPOOL_CRASH_POINT(move_counted);
    compiler_barrier();  // The closer's global barrier does the rest.
    if (!connection.ring.closed() || was_taken(connection)) return 1;
    if (claim_entry(connection.ring, connection.tail - 1, entry, EntryKind::claimed_by_publisher)) {
        SHMPOOL_CRASH_POINT(move_taken_back);
        // A reader that died between its stamp and its head has the slot: the host will find it.
        SlotWord word = make_key(generation_of(slot.key), lane.holder(SlotState::in_transit));
        if (record.word.compare_exchange_strong(
                word, make_key(generation_of(slot.key), lane.holder(SlotState::loaned)),
                std::memory_order_acq_rel, std::memory_order_relaxed)) {  // [AR-word]
            pool_.put_owned(lane, slot.class_index, slot.key);
        }
    }
    return 0;
}

std::uint32_t PublisherCore::lease_to_all(Lane& lane, const VarSlotPool::Loaned& slot) {
    SlotRecord& record = record_of(pool_, slot);
    std::uint64_t readers = 0;
    for (std::uint32_t i = 0; i < connection_count_; ++i) {
        if (connections_[i].chosen) {
            readers |= std::uint64_t{1} << connections_[i].ring.lease_bit;
        }
    }
    image_.intent_key.store(slot.key, std::memory_order_relaxed);
    image_.intent_detail.store(readers, std::memory_order_relaxed);
    image_.intent_kind.store(make_publish_intent(PublishIntent::publish, slot.class_index, 0),
                             std::memory_order_release);  // [R-publish-intent]
    SHMPOOL_CRASH_POINT(publish_announced);
    record.lease_mask.store(readers | publisher_lease, std::memory_order_relaxed);
    SHMPOOL_CRASH_POINT(publish_leases_granted);
    record.word.store(make_word(generation_of(slot.key), SlotState::published, channel_index_),
                      std::memory_order_release);  // [R-word]
    SHMPOOL_CRASH_POINT(publish_stamped);
    std::uint32_t delivered = 0;
    const FoundEntry entry{slot.key, slot.class_index, EntryKind::leased};
    for (std::uint32_t i = 0; i < connection_count_; ++i) {
        Connection& one = connections_[i];
        if (!one.chosen) continue;
        put_entry(one.ring, one.tail, slot.key, EntryKind::leased, slot.class_index);
        SHMPOOL_CRASH_POINT(publish_entered);
        advance_tail(one);
        compiler_barrier();  // The closer's global barrier does the rest.
        if (!one.ring.closed() || was_taken(one)) {
            ++delivered;
        } else if (claim_entry(one.ring, one.tail - 1, entry, EntryKind::claimed_by_publisher)) {
            SHMPOOL_CRASH_POINT(publish_taken_back);
            release_lease(pool_, lane, slot.class_index, slot.key,
                          std::uint64_t{1} << one.ring.lease_bit);
        }
    }
    SHMPOOL_CRASH_POINT(publish_all_entered);
    release_lease(pool_, lane, slot.class_index, slot.key, publisher_lease);
    SHMPOOL_CRASH_POINT(publish_released);
    image_.intent_kind.store(0, std::memory_order_release);  // [R-publish-intent]
    return delivered;
}

bool PublisherCore::was_taken(const Connection& connection) {
    // After [A-closed]: the reader does not move the head any more.
    const std::uint64_t head =
        connection.ring.image->head.load(std::memory_order_acquire);  // [A-head]
    return head_position(head) >= connection.tail;
}

void PublisherCore::advance_tail(Connection& connection) {
    ++connection.tail;
    connection.ring.image->tail.store(connection.tail, std::memory_order_release);  // [R-tail]
}

void PublisherCore::wake_sleepers() {
    if (!any_may_sleep_) return;
    SHMPOOL_CRASH_POINT(publish_before_wake);
    store_load_barrier();  // The entry before the ticket; the reader does it the other way round.
    for (std::uint32_t i = 0; i < connection_count_; ++i) {
        Connection& one = connections_[i];
        if (!one.may_sleep || !one.chosen) continue;
        const std::uint32_t ticket = one.subscriber->sleep_ticket.load(std::memory_order_relaxed);
        if ((ticket & 1) == 0 || ticket == one.woken_ticket) continue;
        one.woken_ticket = ticket;
        one.subscriber->doorbell.fetch_add(1, std::memory_order_release);  // [R-doorbell]
        futex_wake(one.subscriber->doorbell, 1);
    }
}

}  // namespace shmpool
