// SPDX-License-Identifier: Apache-2.0
/// The reading end of a channel. One thread at a time; every thread opens its own. It may be moved
/// to another thread between calls. Keeps its Peer's attachment alive.
///
///   while (true) {
///       auto sample = subscriber.take(1s);    // a message, or timed_out / ended / ended_by_death
///       if (!sample) break;
///       use(sample->bytes());
///   }                                         // the sample's end gives the slot back
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "peer/sample.hpp"

namespace shmpool {

struct SubscriberOptions {
    /// Messages that may wait, for each publisher.
    std::uint32_t depth = 16;
    /// Asked of the channel when this is its first endpoint; else must agree, or be as_channel.
    ChannelPolicy policy = ChannelPolicy::as_channel;
    /// Whether `wait`, `take(timeout)` and `descriptor` may be used. A reader that only polls saves
    /// its publishers one locked instruction per message.
    bool may_sleep = true;
};

class Subscriber {
public:
    Subscriber(Subscriber&&) noexcept;
    Subscriber& operator=(Subscriber&&) noexcept;
    ~Subscriber();

    /// The next message, without waiting. empty; ended (every publisher has left) or ended_by_death
    /// (the last one died), both after everything they published was taken; host_stopped; no_lane;
    /// forked.
    [[nodiscard]] Outcome<Sample> take() {
        Outcome<Sample> sample(tl::in_place);
        const Errc error = take_into(*sample);
        if (error != Errc{}) sample = fail(error);
        return sample;
    }
    /// The same for who takes one after the other: Errc{} if `into`, which was empty, is a message
    /// now.
    [[nodiscard]] Errc take_into(Sample& into);

    /// As take, but waits up to `timeout` for a message: timed_out.
    [[nodiscard]] Outcome<Sample> take(std::chrono::nanoseconds timeout);

    /// Waits until take has something to say. timed_out; invalid_argument if it was opened without
    /// may_sleep.
    Outcome<void> wait(std::chrono::nanoseconds timeout);

    /// Readable while there may be something to take: for poll, epoll, asio. Level-triggered; call
    /// `take` until it says empty. Stays this object's; the first call starts a small thread. Hot
    /// loops are better served by `take` and `wait`.
    [[nodiscard]] Result<int> descriptor();

    /// Messages that this subscriber lost because its queue was full (drop_newest, drop_oldest).
    [[nodiscard]] std::uint64_t dropped_total() const;

private:
    friend class Peer;
    struct State;
    friend struct DescriptorBridge;
    explicit Subscriber(std::unique_ptr<State> state);
    void close() noexcept;

    std::unique_ptr<State> state_;
};

}  // namespace shmpool
