// SPDX-License-Identifier: Apache-2.0
/// The writing end of a channel. One thread at a time; every thread opens its own. It may be moved
/// to another thread between calls. Keeps its Peer's attachment alive.
///
///   auto loan = publisher.loan(bytes);        // a free slot, or exhausted / too_large
///   fill(loan->bytes());
///   publisher.publish(std::move(*loan));      // to all readers, or timed_out and the loan is
///   still ours
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "peer/loan.hpp"
#include "protocol/publisher_core.hpp"

namespace shmpool {

inline constexpr std::chrono::nanoseconds forever = std::chrono::nanoseconds::max();

struct PublisherOptions {
    /// What happens when a reader's queue is full. as_channel: as the channel has it; `block` for a
    /// new one.
    ChannelPolicy policy = ChannelPolicy::as_channel;
    /// Write the time into each message's header (one clock read each).
    bool stamp_time = true;
};

class Publisher {
public:
    Publisher(Publisher&&) noexcept;
    /// Closes what it was before.
    Publisher& operator=(Publisher&&) noexcept;
    ~Publisher();

    /// A slot for `bytes`, whose payload is aligned to `alignment` (a power of two up to 4096).
    /// Waits up to `timeout` for a free one. exhausted (timeout 0) or timed_out; too_large;
    /// host_stopped; no_lane; forked.
    [[nodiscard]] Outcome<Loan> loan(std::size_t bytes, std::chrono::nanoseconds timeout = {},
                                     std::size_t alignment = 64) {
        Outcome<Loan> loan(tl::in_place);
        const Errc error = loan_into(*loan, bytes, timeout, alignment);
        if (error != Errc{}) loan = fail(error);
        return loan;
    }
    /// The same for who loans one after the other: Errc{} if `into`, which was empty, is a loan
    /// now.
    [[nodiscard]] Errc loan_into(Loan& into, std::size_t bytes,
                                 std::chrono::nanoseconds timeout = {}, std::size_t alignment = 64);

    /// Hands the loan to every reader connected now; returns how many got it. On failure the loan
    /// is still the caller's: timed_out (`block`, and a queue stayed full), moved_from,
    /// invalid_argument (of another Peer), host_stopped, no_lane, forked.
    Outcome<std::uint32_t> publish(Loan&& loan, std::chrono::nanoseconds timeout = forever) {
        const Delivery delivery = try_publish(loan, timeout);
        if (delivery.error != Errc{}) return fail(delivery.error);
        return delivery.readers;
    }

    /// Readers connected now.
    [[nodiscard]] std::uint32_t reader_count();
    /// Waits until at least `count` readers are connected: timed_out, host_stopped.
    Outcome<void> wait_for_readers(std::uint32_t count, std::chrono::nanoseconds timeout);

    [[nodiscard]] std::uint64_t published_total() const;

private:
    friend class Peer;
    struct State;
    explicit Publisher(std::unique_ptr<State> state);
    [[nodiscard]] Delivery try_publish(Loan& loan, std::chrono::nanoseconds timeout);
    void close() noexcept;
    std::unique_ptr<State> state_;
};

}  // namespace shmpool
