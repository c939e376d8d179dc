// SPDX-License-Identifier: Apache-2.0
/// Publishing, as the protocol knows it: a slot that the lane owns goes to every reader of a
/// channel.
///
/// One reader, and the channel never drops its oldest: the slot is MOVED by plain stores; its word
/// says in_transit and still names the sender until the reader stamps it. Otherwise it is LEASED:
///   1 intent {slot, readers}  2 mask = readers | own bit  3 word = published  4 an entry per ring,
///   then a look at `closed`          5 own bit given up          6 intent idle.
/// Killed before 3: the word names the lane, the sweep finds it. Killed after 3: the intent names
/// the slot; a reader has it exactly if the newest entry of its ring is this slot, the host gives
/// up the other bits, then the publisher's. (The own bit goes before the intent, so that it is
/// never nobody's.)
///
/// Locked instructions: none for a move to a reader that only polls; one if a reader may sleep.
/// One thread at a time; beside any number of publishers, readers, and the host.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "protocol/ring.hpp"
#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool {

/// What `try_publish` has to say, in one register: what is written to memory in parts and read
/// whole waits until all that was written before it, into the lines of other cores too, has
/// arrived.
struct Delivery {
    std::uint32_t readers = 0;
    Errc error{};  ///< Errc{}: the readers have it.
};

class PublisherCore {
public:
    PublisherCore(VarSlotPool& pool, const ProtocolView& view, std::uint32_t publisher_index,
                  ChannelPolicy policy);

    /// Hands the slot to all readers; returns how many got it. With no reader the slot is put back.
    /// block: timed_out when a ring has no room until the deadline: then nobody got it and the slot
    /// is still the caller's. drop_newest, drop_oldest: never waits; drops are counted in the ring.
    /// The record's header fields are written already, except `sequence`.
    [[nodiscard]] Outcome<std::uint32_t> publish(Lane& lane, const VarSlotPool::Loaned& slot,
                                                 const Deadline& deadline) {
        const Delivery delivery = try_publish(lane, slot, deadline);
        if (delivery.error != Errc{}) return fail(delivery.error);
        return delivery.readers;
    }
    /// The same for who publishes one message after the other.
    [[nodiscard]] Delivery try_publish(Lane& lane, const VarSlotPool::Loaned& slot,
                                       const Deadline& deadline);

    /// Readers connected at this moment.
    [[nodiscard]] std::uint32_t reader_count();

    [[nodiscard]] std::uint32_t index() const { return index_; }
    [[nodiscard]] std::uint64_t published_total() const { return sequence_; }

private:
    struct Connection {
        RingView ring;
        SubscriberImage* subscriber = nullptr;
        std::uint64_t tail = 0;
        std::uint64_t known_head = 0;
        std::uint32_t woken_ticket = 0;
        bool may_sleep = false;
        bool chosen = false;
    };

    void refresh();
    void connect(std::uint32_t lease_bit, std::uint32_t ring_index);
    [[nodiscard]] bool has_room(Connection& connection);
    [[nodiscard]] bool wait_for_room(Lane& lane, const Deadline& deadline);
    void choose_readers(Lane& lane);
    void drop_oldest(Lane& lane, Connection& connection);
    [[nodiscard]] std::uint32_t publish_chosen(Lane& lane, const VarSlotPool::Loaned& slot,
                                               std::uint32_t chosen);
    std::uint32_t move_to(Lane& lane, const VarSlotPool::Loaned& slot, Connection& connection);
    std::uint32_t lease_to_all(Lane& lane, const VarSlotPool::Loaned& slot);
    /// Of a closed ring: the reader had taken the newest entry before the ring was closed.
    [[nodiscard]] static bool was_taken(const Connection& connection);
    void advance_tail(Connection& connection);
    void wake_sleepers();
    void drop_closed();

    VarSlotPool& pool_;
    const ProtocolView& view_;
    PublisherImage& image_;
    const std::uint32_t index_;
    const ChannelPolicy policy_;
    std::uint32_t channel_index_;
    std::uint32_t epoch_ = 0;
    std::uint32_t connection_count_ = 0;
    std::uint64_t sequence_ = 0;
    bool any_may_sleep_ = false;
    std::array<Connection, subscribers_per_channel_max> connections_{};
};

/// Says to the host, by plain stores, that a verb is running: after it has changed a table and run
/// a global barrier, an even `activity` means that the next verb will see the new table.
class ActivityMark {
public:
    explicit ActivityMark(Atomic<std::uint64_t>& activity) : activity_(activity) {
        before_ = activity_.load(std::memory_order_relaxed);
        activity_.store(before_ | 1, std::memory_order_relaxed);
        compiler_barrier();
    }
    ~ActivityMark() {
        activity_.store((before_ | 1) + 1, std::memory_order_release);  // [R-activity]
    }
    ActivityMark(const ActivityMark&) = delete;
    ActivityMark& operator=(const ActivityMark&) = delete;

private:
    Atomic<std::uint64_t>& activity_;
    std::uint64_t before_;
};

}  // namespace shmpool
