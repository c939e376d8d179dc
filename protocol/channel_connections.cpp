// SPDX-License-Identifier: Apache-2.0
/// The second half of the channel directory: making, ending and recycling the rings between
/// endpoints.
#include <algorithm>
#include <bit>
#include <string>

#include "protocol/channel_directory.hpp"
#include "protocol/lease_table.hpp"
#include "shmpool/platform/crash_point.hpp"
#include "shmpool/platform/futex.hpp"
#include "shmpool/platform/membarrier.hpp"

namespace shmpool {
namespace {

bool is_open(const Atomic<std::uint32_t>& state) {
    return state.load(std::memory_order_acquire) ==  // [A-connect]
           static_cast<std::uint32_t>(EndpointState::open);
}

void set(Atomic<std::uint32_t>& state, EndpointState value) {
    state.store(static_cast<std::uint32_t>(value), std::memory_order_release);  // [R-connect]
}

bool in_use(const RingImage& ring) {
    return ring.state.load(std::memory_order_acquire) !=  // [A-connect]
           static_cast<std::uint32_t>(EndpointState::empty);
}

/// The verb that was running at the first look, after a change of the table and a global barrier,
/// has ended: later ones see the new table. (A busy endpoint is hardly ever met between two verbs.)
bool quiescent(const Atomic<std::uint64_t>& activity, std::uint64_t first_look) {
    const std::uint64_t now = activity.load(std::memory_order_acquire);  // [A-activity]
    return (now & 1) == 0 || now != first_look;
}

template <typename Image>
std::uint64_t look_at_activity(const Image& endpoint) {
    return endpoint.activity.load(std::memory_order_acquire);  // [A-activity]
}

/// Whether entry `number` of a table of ring numbers is this ring; if so, it is removed.
bool remove_number(Atomic<std::uint32_t>* numbers, std::uint32_t count, std::uint32_t ring_index) {
    for (std::uint32_t i = 0; i < count; ++i) {
        if (numbers[i].load(std::memory_order_relaxed) != ring_index + 1) continue;
        numbers[i].store(0, std::memory_order_release);  // [R-connect]
        return true;
    }
    return false;
}

}  // namespace

tl::unexpected<Error> ChannelDirectory::damaged(const std::string& what) const {
    pool_.view().mark_damaged();
    return fail(Errc::pool_damaged,
                what + ", which cannot be. " + std::string(explain(Errc::pool_damaged)));
}

Result<void> ChannelDirectory::connect(std::uint32_t publisher_index,
                                       std::uint32_t subscriber_index, RingRoom& room) {
    PublisherImage& publisher = view_.publishers.at(publisher_index);
    SubscriberImage& subscriber = view_.subscribers.at(subscriber_index);
    const std::uint32_t depth = subscriber.depth.load(std::memory_order_relaxed);
    const std::uint32_t bit = subscriber.lease_bit.load(std::memory_order_relaxed);
    if (depth == 0 || depth > ring_depth_max || bit >= subscribers_per_channel_max) {
        return damaged("subscriber " + std::to_string(subscriber_index) + " has queue depth " +
                       std::to_string(depth) + " and lease bit " + std::to_string(bit));
    }
    const std::uint64_t capacity = std::max<std::uint64_t>(4, std::bit_ceil(depth));

    const auto made = room.take(capacity);
    if (!made) {
        return fail(Errc::no_ring_space,
                    "there is no room for one more ring of depth " + std::to_string(depth) +
                        "; raise limits.rings (" + std::to_string(view_.rings.count) +
                        ") or limits.ring_entries (" + std::to_string(view_.entries.count) +
                        ") in the host's configuration, or use smaller depths");
    }
    Atomic<std::uint32_t>* const numbers = view_.ring_numbers(subscriber_index);
    Atomic<std::uint32_t>* const end = numbers + view_.publishers_per_channel;
    Atomic<std::uint32_t>* const place = std::find_if(
        numbers, end, [](const auto& one) { return one.load(std::memory_order_relaxed) == 0; });
    if (place == end) {
        return fail(Errc::too_many_publishers,
                    "the channel has " + std::to_string(view_.publishers_per_channel) +
                        " publishers already; raise limits.publishers_per_channel in the host's "
                        "configuration");
    }

    const auto [ring_index, entries_offset] = *made;
    RingImage& ring = view_.rings.at(ring_index);
    for (std::uint64_t i = 0; i < capacity; ++i) {
        // Stamps of an earlier use would be valid again: positions begin at 0.
        view_.entries.at(static_cast<std::uint32_t>(entries_offset + i))
            .stamp.store(0, std::memory_order_relaxed);
    }
    ring.publisher_index.store(publisher_index, std::memory_order_relaxed);
    ring.subscriber_index.store(subscriber_index, std::memory_order_relaxed);
    ring.channel_index.store(subscriber.channel_index.load(std::memory_order_relaxed),
                             std::memory_order_relaxed);
    ring.lease_bit.store(bit, std::memory_order_relaxed);
    ring.capacity.store(static_cast<std::uint32_t>(capacity), std::memory_order_relaxed);
    ring.depth.store(depth, std::memory_order_relaxed);
    ring.closed.store(0, std::memory_order_relaxed);
    ring.entries_offset.store(entries_offset, std::memory_order_relaxed);
    ring.head.store(0, std::memory_order_relaxed);
    ring.drop_seen.store(0, std::memory_order_relaxed);
    ring.tail.store(0, std::memory_order_relaxed);
    ring.dropped.store(0, std::memory_order_relaxed);
    set(ring.publisher_state, EndpointState::open);
    ring.incarnation.fetch_add(1, std::memory_order_release);  // [R-connect]
    set(ring.state, EndpointState::open);
    SHMPOOL_CRASH_POINT(ring_made);

    place->store(ring_index + 1, std::memory_order_release);             // [R-connect]
    subscriber.connected_total.fetch_add(1, std::memory_order_release);  // [R-connect]
    subscriber.epoch.fetch_add(1, std::memory_order_release);            // [R-connect]
    SHMPOOL_CRASH_POINT(ring_half_connected);
    publisher.rings[bit].store(ring_index + 1, std::memory_order_release);  // [R-connect]
    publisher.epoch.fetch_add(1, std::memory_order_release);                // [R-connect]
    return {};
}

void ChannelDirectory::decide_intent(PublisherImage& publisher) {
    const std::uint64_t intent =
        publisher.intent_kind.load(std::memory_order_acquire);  // [A-publish-intent]
    const SlotKey key = publisher.intent_key.load(std::memory_order_relaxed);
    const std::uint64_t detail = publisher.intent_detail.load(std::memory_order_relaxed);
    const std::uint32_t class_index = publish_intent_class(intent);
    if (publish_intent_kind(intent) == PublishIntent::publish) {
        // Not by the publisher's table: a reader that has taken the slot and left is no longer in
        // it, but its ring is kept while the publisher was inside a verb.
        std::uint64_t not_delivered = detail & ~publisher_lease;
        for (std::uint32_t i = 0; i < view_.rings.count; ++i) {
            const RingView ring = RingView::of(view_, i);
            if (ring && in_use(*ring.image) &&
                view_.publishers.find(
                    ring.image->publisher_index.load(std::memory_order_relaxed)) == &publisher &&
                newest_entry_is(ring, class_index, key)) {
                not_delivered &= ~(std::uint64_t{1} << ring.lease_bit);
            }
        }
        while (not_delivered != 0) {
            const std::uint64_t bit = not_delivered & (~not_delivered + 1);
            not_delivered &= ~bit;
            release_if_held(pool_, lane_, class_index, key, bit);
            SHMPOOL_CRASH_POINT(intent_bit_given_up);
        }
        release_if_held(pool_, lane_, class_index, key, publisher_lease);
    } else if (publish_intent_kind(intent) == PublishIntent::drop) {
        const RingView ring = RingView::of(view_, publish_intent_ring(intent));
        const bool happened = ring && (ring.image->head.load(std::memory_order_acquire) ==
                                           make_head(detail + 1, true) ||  // [A-head]
                                       ring.image->drop_seen.load(std::memory_order_acquire) ==
                                           detail + 1);  // [A-head]
        if (happened) {
            release_if_held(pool_, lane_, class_index, key, std::uint64_t{1} << ring.lease_bit);
        }
    }
    SHMPOOL_CRASH_POINT(intent_decided);
    publisher.intent_kind.store(0, std::memory_order_release);  // [R-publish-intent]
}

void ChannelDirectory::remove_from_publisher(const RingView& ring) {
    PublisherImage* const publisher =
        view_.publishers.find(ring.image->publisher_index.load(std::memory_order_relaxed));
    if (publisher == nullptr) return;
    if (remove_number(publisher->rings, subscribers_per_channel_max, ring.ring_index)) {
        publisher->epoch.fetch_add(1, std::memory_order_release);           // [R-connect]
        publisher->space_doorbell.fetch_add(1, std::memory_order_release);  // [R-space]
        futex_wake(publisher->space_doorbell, 1);
    }
}

void ChannelDirectory::remove_from_subscriber(const RingView& ring) {
    const std::uint32_t index = ring.image->subscriber_index.load(std::memory_order_relaxed);
    SubscriberImage* const subscriber = view_.subscribers.find(index);
    if (subscriber == nullptr) return;
    if (!remove_number(view_.ring_numbers(index), view_.publishers_per_channel, ring.ring_index)) {
        return;
    }
    subscriber->retired_received.fetch_add(
        head_position(ring.image->head.load(std::memory_order_relaxed)), std::memory_order_relaxed);
    subscriber->retired_dropped.fetch_add(ring.image->dropped.load(std::memory_order_relaxed),
                                          std::memory_order_relaxed);
    subscriber->epoch.fetch_add(1, std::memory_order_release);  // [R-connect]
}

bool ChannelDirectory::try_free(const RingView& ring) {
    const PublisherImage* const publisher =
        view_.publishers.find(ring.image->publisher_index.load(std::memory_order_relaxed));
    const SubscriberImage* const subscriber =
        view_.subscribers.find(ring.image->subscriber_index.load(std::memory_order_relaxed));
    const bool publisher_open = publisher != nullptr && is_open(publisher->state);
    const bool subscriber_open = subscriber != nullptr && is_open(subscriber->state);
    if (publisher_open && subscriber_open) return false;
    // A reader that has closed the ring takes nothing more, whether or not the host has heard of
    // it.
    const bool reader_takes = subscriber_open && !ring.closed();
    if (reader_takes && !is_drained(ring)) return false;
    const auto [leaving, first_time] = leaving_.try_emplace(ring.ring_index);
    ActivitiesSeen& seen = leaving->second;
    if (first_time) {
        remove_from_publisher(ring);
        SHMPOOL_CRASH_POINT(ring_half_removed);
        remove_from_subscriber(ring);
        SHMPOOL_CRASH_POINT(ring_removed);
        global_barrier();
        if (publisher_open) seen.publisher = look_at_activity(*publisher);
        if (subscriber_open) seen.subscriber = look_at_activity(*subscriber);
    }
    if (publisher_open && !quiescent(publisher->activity, seen.publisher)) return false;
    if (subscriber_open && !quiescent(subscriber->activity, seen.subscriber)) return false;
    // An entry that its publisher stored after the first drain and before its death.
    if (!reader_takes) drain_ring(pool_, lane_, ring);
    SHMPOOL_CRASH_POINT(ring_drained);
    set(ring.image->state, EndpointState::empty);
    leaving_.erase(leaving);
    return true;
}

bool ChannelDirectory::maintain() {
    bool waiting = false;
    for (std::uint32_t i = 0; i < view_.rings.count; ++i) {
        if (!in_use(view_.rings.at(i))) continue;
        const RingView ring = RingView::of(view_, i);
        if (!ring) continue;
        const bool half_gone = ring.closed() || ring.publisher_gone();
        if (half_gone && !try_free(ring)) waiting = true;
    }
    free_records();
    return waiting;
}

void ChannelDirectory::free_records() {
    std::vector<bool> publishes(view_.publishers.count);
    for (std::uint32_t i = 0; i < view_.rings.count; ++i) {
        const RingImage& ring = view_.rings.at(i);
        const std::uint32_t index = ring.publisher_index.load(std::memory_order_relaxed);
        if (in_use(ring) && index < publishes.size()) publishes[index] = true;
    }
    for (std::uint32_t i = 0; i < view_.publishers.count; ++i) {
        PublisherImage& publisher = view_.publishers.at(i);
        if (!is_open(publisher.state) && !publishes[i]) set(publisher.state, EndpointState::empty);
    }
}

void ChannelDirectory::recycle_leases() {
    std::vector<std::uint64_t> carried(view_.channels.count);
    for (const ClassView& one : pool_.view().all_classes()) {
        one.look_for_growth();
        for (std::uint32_t slot = 0; slot < one.slot_count(); ++slot) {
            const SlotRecord& record = one.records[slot];
            const std::uint64_t mask =
                record.lease_mask.load(std::memory_order_acquire);              // [A-lease]
            const SlotWord word = record.word.load(std::memory_order_acquire);  // [A-word]
            if (word_state(word) == SlotState::published && word_owner(word) < carried.size()) {
                carried[word_owner(word)] |= mask;
            }
        }
    }
    for (std::uint32_t i = 0; i < view_.rings.count; ++i) {
        const RingImage& ring = view_.rings.at(i);
        const std::uint32_t channel = ring.channel_index.load(std::memory_order_relaxed);
        if (in_use(ring) && channel < carried.size()) {
            carried[channel] |= std::uint64_t{1}
                                << (ring.lease_bit.load(std::memory_order_relaxed) % 64);
        }
    }
    for (std::uint32_t i = 0; i < view_.subscribers.count; ++i) {
        SubscriberImage& subscriber = view_.subscribers.at(i);
        const std::uint32_t channel_index =
            subscriber.channel_index.load(std::memory_order_relaxed);
        const bool gone =
            !is_open(subscriber.state) && subscriber.state.load(std::memory_order_relaxed) !=
                                              static_cast<std::uint32_t>(EndpointState::empty);
        if (!gone || channel_index >= carried.size()) continue;
        const std::uint64_t bit = std::uint64_t{1}
                                  << (subscriber.lease_bit.load(std::memory_order_relaxed) % 64);
        if ((carried[channel_index] & bit) != 0) continue;
        SHMPOOL_CRASH_POINT(bit_found_free);
        set(subscriber.state, EndpointState::empty);
        SHMPOOL_CRASH_POINT(bit_freed);
    }
    recount();
}

void ChannelDirectory::recount() {
    struct Sums {
        std::uint32_t publishers = 0;
        std::uint32_t subscribers = 0;
        std::uint64_t bits = 0;
        std::uint64_t draining = 0;
    };
    std::vector<Sums> sums(view_.channels.count);
    for (std::uint32_t i = 0; i < view_.publishers.count; ++i) {
        const PublisherImage& one = view_.publishers.at(i);
        const std::uint32_t channel = one.channel_index.load(std::memory_order_relaxed);
        if (is_open(one.state) && channel < sums.size()) ++sums[channel].publishers;
    }
    for (std::uint32_t i = 0; i < view_.subscribers.count; ++i) {
        const SubscriberImage& one = view_.subscribers.at(i);
        const std::uint32_t channel = one.channel_index.load(std::memory_order_relaxed);
        const std::uint32_t state = one.state.load(std::memory_order_relaxed);
        if (state == static_cast<std::uint32_t>(EndpointState::empty) || channel >= sums.size()) {
            continue;
        }
        const std::uint64_t bit = std::uint64_t{1}
                                  << (one.lease_bit.load(std::memory_order_relaxed) % 64);
        sums[channel].bits |= bit;
        if (is_open(one.state)) {
            ++sums[channel].subscribers;
        } else {
            sums[channel].draining |= bit;
        }
    }
    for (std::uint32_t i = 0; i < view_.channels.count; ++i) {
        ChannelImage& channel = view_.channels.at(i);
        channel.publisher_count.store(sums[i].publishers, std::memory_order_relaxed);
        channel.subscriber_count.store(sums[i].subscribers, std::memory_order_relaxed);
        channel.lease_bits.store(sums[i].bits, std::memory_order_relaxed);
        channel.draining_bits.store(sums[i].draining, std::memory_order_relaxed);
    }
}

}  // namespace shmpool
