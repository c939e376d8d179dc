// SPDX-License-Identifier: Apache-2.0
#include "protocol/subscriber_core.hpp"

#include <algorithm>

#include "protocol/lease_table.hpp"
#include "protocol/publisher_core.hpp"
#include "shmpool/platform/futex.hpp"
#include "shmpool/platform/prefetch.hpp"

namespace shmpool {
namespace {

bool channel_drops_oldest(const ProtocolView& view, const SubscriberImage& subscriber) {
    const ChannelImage* const channel = view.channels.find(
        subscriber.channel_index.load(std::memory_order_acquire));  // [A-connect]
    return channel != nullptr && channel->policy.load(std::memory_order_relaxed) ==
                                     static_cast<std::uint32_t>(ChannelPolicy::drop_oldest);
}

}  // namespace

SubscriberCore::SubscriberCore(VarSlotPool& pool, const ProtocolView& view,
                               std::uint32_t subscriber_index)
    : pool_(pool),
      view_(view),
      image_(view.subscribers.at(subscriber_index)),
      index_(subscriber_index),
      drops_oldest_(channel_drops_oldest(view, image_)),
      lease_(std::uint64_t{1} << (image_.lease_bit.load(std::memory_order_relaxed) % 63)) {
    refresh();
}

TakeResult SubscriberCore::try_take(Lane& lane) {
    const ActivityMark mark(image_.activity);
    refresh();
    for (std::size_t tried = 0; tried < connections_.size(); ++tried) {
        if (next_ >= connections_.size()) next_ = 0;
        const TakeResult result = take_from(lane, connections_[next_++]);
        if (result.error != Errc::empty) return result;
    }
    return {.error = why_empty()};
}

TakeResult SubscriberCore::take_from(Lane& lane, Connection& connection) {
    for (std::uint32_t attempt = 0; attempt < retry_limit; ++attempt) {
        if (drops_oldest_) {
            connection.position = head_position(
                connection.ring.image->head.load(std::memory_order_acquire));  // [A-head]
        }
        const FoundEntry found = look_at(connection.ring, connection.position);
        if (found.kind == EntryKind::none) return {.error = Errc::empty};
        if (!is_slot(found)) {
            if (drops_oldest_ && was_dropped(connection.ring, connection.position)) continue;
            pool_.view().mark_damaged();
            return {.error = Errc::pool_damaged};
        }
        fetch(found);
        fetch_what_follows(connection);
        if (found.kind == EntryKind::moved) {
            if (!stamp_moved(lane, found)) return {.error = Errc::pool_damaged};
            SHMPOOL_CRASH_POINT(take_stamped);
            if (!advance(connection)) continue;
            SHMPOOL_CRASH_POINT(take_advanced);
            return {found.key, found.class_index, Errc{}, false};
        }
        if (found.kind != EntryKind::leased) return {.error = Errc::empty};
        lane.mark_touched(found.class_index, position_of(found.key));
        SHMPOOL_CRASH_POINT(take_touched);
        if (!advance(connection)) continue;
        SHMPOOL_CRASH_POINT(take_leased);
        return {found.key, found.class_index, Errc{}, true};
    }
    pool_.view().mark_damaged();
    return {.error = Errc::pool_damaged};
}

bool SubscriberCore::is_slot(const FoundEntry& found) const {
    return found.class_index < pool_.view().class_count &&
           pool_.view().classes[found.class_index].has(position_of(found.key));
}

/// Both lie in the sender's core: on their way at once, not one after the other.
void SubscriberCore::fetch(const FoundEntry& found) const {
    const ClassView& view = pool_.view().classes[found.class_index];
    fetch_to_write(&view.records[position_of(found.key)]);
    fetch_to_read(view.data(position_of(found.key)));
}

/// Of a reader that is behind, what waits; of one that is not, nothing is there.
void SubscriberCore::fetch_what_follows(Connection& connection) const {
    constexpr std::uint64_t ahead = 6;
    connection.fetched = std::max(connection.fetched, connection.position);
    while (connection.fetched < connection.position + ahead) {
        const FoundEntry later = look_at(connection.ring, connection.fetched + 1);
        if (later.kind == EntryKind::none || !is_slot(later)) return;
        fetch(later);
        ++connection.fetched;
    }
}

bool SubscriberCore::stamp_moved(Lane& lane, const FoundEntry& found) {
    SlotRecord& record = pool_.view().classes[found.class_index].records[position_of(found.key)];
    const SlotWord word = record.word.load(std::memory_order_relaxed);
    if (word_generation(word) != generation_of(found.key) ||
        word_state(word) != SlotState::in_transit) {
        pool_.view().mark_damaged();
        return false;
    }
    lane.mark_touched(found.class_index, position_of(found.key));
    record.word.store(make_key(generation_of(found.key), lane.holder(SlotState::loaned)),
                      std::memory_order_release);  // [R-word] before the head
    return true;
}

bool SubscriberCore::advance(Connection& connection) {
    RingImage& ring = *connection.ring.image;
    if (!drops_oldest_) {
        ++connection.position;
        ring.head.store(make_head(connection.position, false),
                        std::memory_order_release);  // [R-head]
    } else {
        std::uint64_t head = ring.head.load(std::memory_order_acquire);  // [A-head]
        if (head_position(head) != connection.position) return false;
        // The publisher's step is about to disappear from the head: note it for the host.
        if (head_by_publisher(head)) {
            ring.drop_seen.store(connection.position, std::memory_order_relaxed);
            SHMPOOL_CRASH_POINT(take_drop_noted);
        }
        if (!ring.head.compare_exchange_strong(head, make_head(connection.position + 1, false),
                                               std::memory_order_acq_rel,  // [AR-head]
                                               std::memory_order_relaxed)) {
            return false;
        }
    }
    offer_room(connection);
    return true;
}

void SubscriberCore::offer_room(Connection& connection) {
    PublisherImage& publisher = *connection.publisher;
    const std::uint32_t ticket = publisher.wait_ticket.load(std::memory_order_relaxed);
    if ((ticket & 1) == 0 || ticket == connection.woken_ticket) return;
    connection.woken_ticket = ticket;
    publisher.space_doorbell.fetch_add(1, std::memory_order_release);  // [R-space]
    futex_wake(publisher.space_doorbell, 1);
}

Errc SubscriberCore::why_empty() const {
    if (image_.connected_total.load(std::memory_order_acquire) == 0)
        return Errc::empty;  // [A-connect]
    SHMPOOL_CRASH_POINT(end_looked_for);
    for (const Connection& connection : connections_) {
        // Departure first, then the entry: what was published before the departure is seen.
        if (!connection.ring.publisher_gone() || has_entry(connection)) return Errc::empty;
    }
    // After the departures, of which it describes the last; still empty while the first publisher
    // is being connected.
    const std::uint32_t departure =
        image_.last_departure.load(std::memory_order_acquire);  // [A-connect]
    if (departure == static_cast<std::uint32_t>(EndpointState::empty)) return Errc::empty;
    if (image_.epoch.load(std::memory_order_acquire) != epoch_) return Errc::empty;  // [A-connect]
    return departure == static_cast<std::uint32_t>(EndpointState::died) ? Errc::ended_by_death
                                                                        : Errc::ended;
}

/// By the position at which `take` will look: else a head that somebody else has written could say
/// "ready" for ever.
bool SubscriberCore::has_entry(const Connection& connection) const {
    if (drops_oldest_) return !is_drained(connection.ring);
    const EntryKind kind = look_at(connection.ring, connection.position).kind;
    return kind == EntryKind::moved || kind == EntryKind::leased;
}

bool SubscriberCore::ready() const {
    if (image_.epoch.load(std::memory_order_acquire) != epoch_) return true;  // [A-connect]
    for (const Connection& connection : connections_) {
        if (has_entry(connection)) return true;
    }
    return why_empty() != Errc::empty;
}

void SubscriberCore::wait(const Deadline& deadline) {
    const std::uint32_t rung = image_.doorbell.load(std::memory_order_acquire);  // [A-doorbell]
    if (ready() || deadline.expired()) return;
    const std::uint32_t ticket = (image_.sleep_ticket.load(std::memory_order_relaxed) + 1) | 1;
    image_.sleep_ticket.store(ticket, std::memory_order_relaxed);
    store_load_barrier();  // The ticket before the entry; the publisher does it the other way
                           // round.
    if (!ready()) futex_wait(image_.doorbell, rung, deadline.remaining());
    image_.sleep_ticket.store(ticket + 1, std::memory_order_relaxed);
}

bool SubscriberCore::arm() {
    const std::uint32_t ticket = image_.sleep_ticket.load(std::memory_order_relaxed);
    image_.sleep_ticket.store((ticket + 1) | 1, std::memory_order_relaxed);
    store_load_barrier();  // The ticket before the entry; the publisher does it the other way
                           // round.
    return ready();
}

void SubscriberCore::release(VarSlotPool& pool, Lane& lane, const Taken& taken) {
    if (taken.lease == 0) {
        pool.put_owned(lane, taken.class_index, taken.key);
    } else {
        release_lease(pool, lane, taken.class_index, taken.key, taken.lease);
    }
}

void SubscriberCore::close(Lane& lane) {
    const ActivityMark mark(image_.activity);
    refresh();
    for (const Connection& connection : connections_) close_ring(connection.ring);
    SHMPOOL_CRASH_POINT(subscriber_closed);
    for (const Connection& connection : connections_) drain_ring(pool_, lane, connection.ring);
    connections_.clear();
}

void SubscriberCore::refresh() {
    std::uint32_t epoch = image_.epoch.load(std::memory_order_acquire);  // [A-connect]
    for (int look = 0; epoch != epoch_ && look < table_looks_max; ++look) {
        const std::vector<Connection> before = std::move(connections_);
        connections_.clear();
        for (std::uint32_t i = 0; i < view_.publishers_per_channel; ++i) {
            const std::uint32_t number =
                view_.ring_numbers(index_)[i].load(std::memory_order_acquire);  // [A-connect]
            if (number != 0) connect(number - 1);
        }
        for (Connection& connection : connections_) {
            const auto known = std::ranges::find_if(
                before, [&](const Connection& one) { return one.ring.same_use(connection.ring); });
            if (known != before.end()) connection = *known;
        }
        epoch_ = epoch;
        epoch = image_.epoch.load(std::memory_order_acquire);  // [A-connect]
    }
}

void SubscriberCore::connect(std::uint32_t ring_index) {
    Connection fresh;
    fresh.ring = RingView::of(view_, ring_index);
    if (!fresh.ring) return;
    fresh.publisher =
        view_.publishers.find(fresh.ring.image->publisher_index.load(std::memory_order_relaxed));
    if (fresh.publisher == nullptr) return;
    fresh.position =
        head_position(fresh.ring.image->head.load(std::memory_order_acquire));  // [A-head]
    connections_.push_back(fresh);
}

}  // namespace shmpool
