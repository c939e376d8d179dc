// SPDX-License-Identifier: Apache-2.0
/// A peer's conversation with its host: attach, open and close endpoints, say goodbye. Never on the
/// data path. A host that does not answer in time, or dies, gives `host_gone`; what was attached
/// goes on working without it. What a late answer opens is closed again: nobody uses it.
///
///   Who may run beside whom   request, poll_once: any threads, serialised by one mutex.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

#include "protocol/wire/codec.hpp"
#include "protocol/wire/local_socket.hpp"
#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool {

/// What the host gave at attachment.
struct Attachment {
    wire::Welcome welcome{};
    std::vector<Descriptor> descriptors;  ///< [control, payload, beacon]; observers: [control].
};

struct AttachRequest {
    std::string pool_name;
    std::string socket_path;  ///< Empty: where the pool's name says.
    std::string peer_name;
    bool observer = false;
    std::uint32_t lanes_wanted = 1;
    std::chrono::nanoseconds wait_for_host{0};
    std::chrono::nanoseconds answer_timeout = std::chrono::seconds(5);
};

class ControlChannel {
public:
    /// Connects, introduces the peer, and receives the segment. no_host if there is none until
    /// `wait_for_host` has passed; host_gone if it does not answer.
    [[nodiscard]] Result<Attachment> attach(const AttachRequest& request);

    /// One request and its answer of type `Answer`; a refusal becomes the host's own error.
    template <typename Answer>
    [[nodiscard]] Result<Answer> request(const wire::Body& body) {
        auto reply = exchange(body);
        if (!reply) return tl::unexpected(reply.error());
        if (const auto* answer = std::get_if<Answer>(&*reply)) return *answer;
        if (const auto* refused = std::get_if<wire::Refused>(&*reply)) {
            return tl::unexpected(wire::error_of(*refused));
        }
        return fail(Errc::protocol_violation, "the host gave an answer of the wrong type");
    }

    /// Handles what the host has sent unasked, without waiting. False when the host is gone.
    bool poll_once();

    /// Readable when poll_once has something to do; -1 when there is no connection.
    [[nodiscard]] int descriptor() const;
    [[nodiscard]] bool host_gone() const { return host_gone_.load(std::memory_order_relaxed); }
    /// The host has announced that it stops.
    [[nodiscard]] bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

private:
    [[nodiscard]] Result<Attachment> attach_once(const AttachRequest& request,
                                                 const Deadline& host_deadline);
    [[nodiscard]] Result<wire::Body> exchange(const wire::Body& body);
    [[nodiscard]] Result<wire::Message> receive(const Deadline& deadline,
                                                std::vector<Descriptor>* descriptors);
    void handle_unasked(const wire::Body& body);
    void give_up_place();
    [[nodiscard]] tl::unexpected<Error> lost(const Error& error);

    std::mutex mutex_;
    std::optional<LocalConnection> connection_;
    std::chrono::nanoseconds answer_timeout_ = std::chrono::seconds(5);
    std::uint32_t next_request_ = 1;
    std::atomic<bool> host_gone_{false};
    std::atomic<bool> stopping_{false};
};

}  // namespace shmpool
