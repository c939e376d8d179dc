// SPDX-License-Identifier: Apache-2.0
/// Closes what strangers have sent, and their sockets with all that nobody has read, on threads of
/// its own: a close(2) that waits holds up neither the host's loop nor another user.
///
///   One thread at a time for each user and kind, and a few together: who sends what does not end
///     stands in his own way. Sockets have threads apart, for what lies unread in them was never in
///     our hands, and the kernel has nothing to flush before it lets go. A socket in which no
///     descriptors lie is closed in place.
///   A wait that may be interrupted is, after 0.2 ms: we owe nobody his linger. What is left
///     are waits for the server of a file system, which no signal ends.
///   A user of whom too much waits `is_behind`: the host lets in nobody of his until it is less.
///
/// The threads start when there is something to close and end when there is nothing for a second.
/// They own what they need: nobody waits for them, neither this object's end nor the process's.
#pragma once

#include <cstddef>
#include <memory>

#include "protocol/wire/descriptor_closer.hpp"

namespace shmpool::host {

class Closer final : public DescriptorCloser {
public:
    static constexpr std::size_t threads_max = 8;     ///< Of each kind.
    static constexpr std::size_t waiting_max = 1024;  ///< Of each user.

    Closer();
    ~Closer() override;

    void close_received(uid_t user, Descriptor descriptor) noexcept override;
    void close_socket(Descriptor socket) noexcept override;

    /// More of this user's descriptors than `waiting_max` wait to be closed.
    [[nodiscard]] bool is_behind(uid_t user) const;

private:
    class Crew;

    [[nodiscard]] bool is_forked() const noexcept;

    std::shared_ptr<Crew> of_received_;
    std::shared_ptr<Crew> of_sockets_;
    unsigned process_id_;
};

}  // namespace shmpool::host
