// SPDX-License-Identifier: Apache-2.0
/// Taking and releasing, as the protocol knows it: one subscriber polls the entries of its rings.
///
/// MOVED: the reader stamps the slot's word with its lane, then advances `head`. Killed in between,
/// the word names it. LEASED: the reader's bit is in the mask since before the entry was put; it
/// only remembers, before `head`, that the slot's block may hold a lease of its lane.
///
/// One thread at a time; beside any number of publishers and the host. `release` by any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "protocol/ring.hpp"
#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool {

/// A message in the hands of the reader: a slot that is its own, or a lease on one.
struct Taken {
    std::uint32_t class_index = 0;
    SlotKey key = 0;
    std::uint64_t lease = 0;  ///< The reader's bit; 0 when the slot was moved.
};

/// What `try_take` has to say, in two registers.
struct TakeResult {
    SlotKey key = 0;
    std::uint32_t class_index = 0;
    Errc error{};  ///< Errc{}: there is a message.
    bool leased = false;
};
static_assert(sizeof(TakeResult) == 16);

class SubscriberCore {
public:
    SubscriberCore(VarSlotPool& pool, const ProtocolView& view, std::uint32_t subscriber_index);

    /// The next message, in order for each publisher. empty: none yet. ended, ended_by_death: at
    /// least one publisher has been there, all have left, everything they published was taken.
    [[nodiscard]] Outcome<Taken> take(Lane& lane) {
        const TakeResult result = try_take(lane);
        if (result.error != Errc{}) return fail(result.error);
        return taken(result);
    }
    /// The same for who takes one message after the other.
    [[nodiscard]] TakeResult try_take(Lane& lane);
    [[nodiscard]] Taken taken(const TakeResult& result) const {
        return {result.class_index, result.key, result.leased ? lease_ : 0};
    }

    /// Sleeps until there may be something to take, or the deadline. Spurious returns are possible.
    void wait(const Deadline& deadline);

    /// For a sleeper elsewhere, on the doorbell: asks the publishers to ring it once. True if there
    /// may be something already.
    [[nodiscard]] bool arm();

    /// Ends a message; static, because a sample may outlive its subscriber.
    static void release(VarSlotPool& pool, Lane& lane, const Taken& taken);

    /// Closes and drains all rings: unread messages go back. The host then removes the subscriber.
    void close(Lane& lane);

    [[nodiscard]] std::uint32_t index() const { return index_; }
    [[nodiscard]] Atomic<std::uint32_t>& doorbell() const { return image_.doorbell; }
    /// Whether a message could be taken or the end be seen right now. Only its own thread asks.
    [[nodiscard]] bool ready() const;

private:
    struct Connection {
        RingView ring;
        PublisherImage* publisher = nullptr;
        std::uint64_t position = 0;
        std::uint64_t fetched = 0;  ///< The last position of which the slot is on its way here.
        std::uint32_t woken_ticket = 0;
    };

    void refresh();
    void connect(std::uint32_t ring_index);
    [[nodiscard]] TakeResult take_from(Lane& lane, Connection& connection);
    [[nodiscard]] bool is_slot(const FoundEntry& found) const;
    void fetch(const FoundEntry& found) const;
    void fetch_what_follows(Connection& connection) const;
    [[nodiscard]] bool stamp_moved(Lane& lane, const FoundEntry& found);
    [[nodiscard]] bool advance(Connection& connection);
    void offer_room(Connection& connection);
    [[nodiscard]] Errc why_empty() const;
    [[nodiscard]] bool has_entry(const Connection& connection) const;

    VarSlotPool& pool_;
    const ProtocolView& view_;
    SubscriberImage& image_;
    const std::uint32_t index_;
    const bool drops_oldest_;
    std::uint64_t lease_ = 0;
    std::uint32_t epoch_ = 0;
    std::size_t next_ = 0;
    std::vector<Connection> connections_;
};

}  // namespace shmpool
