// SPDX-License-Identifier: Apache-2.0
/// What the event loop of the host needs of the kernel: a queue of readable descriptors (epoll,
/// level-triggered, so that nothing is lost when a turn ends early), signals as descriptors, a flag
/// that a thread raises for the loop, and what the process itself is and may. Everything closes on
/// exec. The one file of this room that talks to the system.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "shmpool/platform/descriptor.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool::host {

/// One thread.
class EventQueue {
public:
    [[nodiscard]] static Result<EventQueue> create();

    /// From now on `wait` returns `token` while the descriptor is readable or hung up.
    [[nodiscard]] Result<void> add(const Descriptor& descriptor, std::uint64_t token);

    /// Before the descriptor is closed. Nothing happens if it is not in the queue.
    void remove(const Descriptor& descriptor) noexcept;

    /// Tokens of what is ready; none after `timeout` (max(): never) or a signal. Tokens may be of
    /// something that an earlier token of the same batch has ended.
    [[nodiscard]] Result<std::span<const std::uint64_t>> wait(std::chrono::nanoseconds timeout);

private:
    static constexpr std::size_t batch_size = 64;

    explicit EventQueue(Descriptor queue) : queue_(std::move(queue)) {}

    Descriptor queue_;
    std::array<std::uint64_t, batch_size> tokens_{};
};

/// Signals arrive here instead of interrupting. To be made before any thread is.
class SignalQueue {
public:
    /// SIGTERM and SIGINT, blocked in this thread and so in all that it starts.
    [[nodiscard]] static Result<SignalQueue> of_stop_signals();

    /// Takes one; false if there is none.
    [[nodiscard]] bool next();
    [[nodiscard]] const Descriptor& descriptor() const { return queue_; }

private:
    explicit SignalQueue(Descriptor queue) : queue_(std::move(queue)) {}

    Descriptor queue_;
};

/// Readable from `raise` until `lower`. Any thread.
class EventFlag {
public:
    [[nodiscard]] static Result<EventFlag> create();

    void raise() noexcept;
    void lower() noexcept;
    [[nodiscard]] const Descriptor& descriptor() const { return flag_; }

private:
    explicit EventFlag(Descriptor flag) : flag_(std::move(flag)) {}

    Descriptor flag_;
};

/// A log on a pipe that nobody reads is no reason to end, and a file that may not become as large
/// as asked is an error to be reported: the calls say both.
void ignore_error_signals() noexcept;

/// SIGKILL; see kill_through.
[[nodiscard]] Result<void> kill_process(const Descriptor& pidfd);

[[nodiscard]] std::uint32_t own_process_id() noexcept;
[[nodiscard]] std::uint32_t own_user_id() noexcept;  ///< The effective one.

/// Raises the limit of open files of this process as far as it may; returns the new limit.
std::uint64_t raise_descriptor_limit() noexcept;

/// A second open file of the same memory object through which nobody can write who is not root or
/// the user of this process, whoever gets it.
[[nodiscard]] Result<Descriptor> reopen_read_only(const Descriptor& object);

/// The same object with the right to write, if it was made by this user: of what a read-only peer
/// has handed over. Errc::no_permission: it belongs to somebody else.
[[nodiscard]] Result<Descriptor> reopen_for_writing(const Descriptor& object);

}  // namespace shmpool::host
