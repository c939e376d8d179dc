// SPDX-License-Identifier: Apache-2.0
/// A peer's conversation with its host: attach, open and close endpoints, say goodbye. Never on the
/// data path. A host that does not answer in time gives `host_gone`; what was attached goes on
/// working without it. What a late answer opens is closed again: nobody uses it.
///
/// A host that dies is looked for until a next one listens: the peer hands it the segment, says
/// which endpoints it has (Rejoin), and requests that wait meanwhile are made there.
///
///   attached ──connection lost──▶ alone ──connected──▶ rejoining ──Rejoined──▶ attached
///                                   ▲                      └──Refused──▶ for ever alone
///                                   └──────connection lost─────┘
///
///   Who may run beside whom   request, drive: any threads, serialised by one mutex.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "protocol/wire/codec.hpp"
#include "protocol/wire/local_socket.hpp"
#include "shmpool/platform/event_descriptor.hpp"
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
    bool read_only = false;
    std::uint32_t lanes_wanted = 1;
    std::chrono::nanoseconds wait_for_host{0};
    std::chrono::nanoseconds answer_timeout = std::chrono::seconds(5);
};

/// What a peer shows a next host. Observers have none, and stay alone when their host is gone.
struct Place {
    std::uint32_t peer_index = 0;
    std::uint32_t peer_incarnation = 0;
    std::array<int, 3> descriptors{-1, -1, -1};  ///< control, payload, beacon; the caller's.
    std::function<bool()> host_stopped;          ///< In good order: nobody will take over.
};

/// Whether a request waits for a next host while there is none.
enum class Absence : std::uint8_t { wait, give_up };

class ControlChannel {
public:
    /// Connects, introduces the peer, and receives the segment. no_host if there is none until
    /// `wait_for_host` has passed; host_gone if it does not answer.
    [[nodiscard]] Result<Attachment> attach(const AttachRequest& request);

    /// From now on a host that dies is waited for.
    [[nodiscard]] Result<void> hold_place(Place place);

    /// One request and its answer of type `Answer`; a refusal becomes the host's own error.
    /// `work_time`: how long a host in good health may take for it, beyond what any request may.
    template <typename Answer>
    [[nodiscard]] Result<Answer> request(
        const wire::Body& body, Absence absence = Absence::wait,
        std::chrono::nanoseconds work_time = std::chrono::nanoseconds::zero()) {
        const std::scoped_lock lock(mutex_);
        return answer_of<Answer>(exchange(body, absence, answer_deadline(work_time)));
    }
    /// The same, for who has another deadline, which also counts while other requests of this peer
    /// are under way: timed_out, or host_gone, when it has passed.
    template <typename Answer>
    [[nodiscard]] Result<Answer> request_until(const wire::Body& body, Absence absence,
                                               const Deadline& deadline) {
        std::unique_lock lock(mutex_, std::defer_lock);
        while (!lock.try_lock()) {
            if (deadline.expired()) {
                return fail(Errc::timed_out, "another request of this peer is under way");
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return answer_of<Answer>(exchange(body, absence, deadline));
    }

    /// Handles what the host has sent unasked, and looks once for a next one, without waiting.
    /// False while there is no host.
    bool drive();

    /// Readable when `drive` has something to do; -1 when there is no connection.
    [[nodiscard]] int descriptor();
    /// Readable when `descriptor` means another connection than before.
    [[nodiscard]] const EventDescriptor& changed() const { return changed_; }
    /// There is no use in looking for a next host.
    [[nodiscard]] bool for_ever_alone();
    [[nodiscard]] const std::string& socket_path() const { return path_; }

    [[nodiscard]] bool host_gone() const { return host_gone_.load(std::memory_order_relaxed); }
    /// Classes that the host lets grow when they are exhausted: one bit for each.
    [[nodiscard]] std::uint64_t relieved_classes() const {
        return relieved_classes_.load(std::memory_order_relaxed);
    }
    /// The host has announced that it stops.
    [[nodiscard]] bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

private:
    [[nodiscard]] Result<Attachment> attach_once(const AttachRequest& request,
                                                 const Deadline& host_deadline);
    [[nodiscard]] Deadline answer_deadline(std::chrono::nanoseconds work_time) const;
    /// Pre: the mutex is held.
    [[nodiscard]] Result<wire::Body> exchange(const wire::Body& body, Absence absence,
                                              const Deadline& deadline);
    template <typename Answer>
    [[nodiscard]] static Result<Answer> answer_of(const Result<wire::Body>& reply) {
        if (!reply) return tl::unexpected(reply.error());
        if (const auto* answer = std::get_if<Answer>(&*reply)) return *answer;
        if (const auto* refused = std::get_if<wire::Refused>(&*reply)) {
            return tl::unexpected(wire::error_of(*refused));
        }
        return fail(Errc::protocol_violation, "the host gave an answer of the wrong type");
    }
    [[nodiscard]] Result<wire::Body> exchange_once(const wire::Body& body,
                                                   const Deadline& deadline);
    [[nodiscard]] Result<wire::Message> receive(const Deadline& deadline,
                                                std::vector<Descriptor>* descriptors);
    void handle_unasked(const wire::Message& message);
    void note_endpoint(const wire::Body& body);
    void give_up_place();

    void look_for_host();
    [[nodiscard]] Result<void> wait_until_attached(const Deadline& deadline);
    void heard_rejoin(const wire::Body& answer);
    void lose_connection();
    [[nodiscard]] std::optional<Error> why_alone() const;
    [[nodiscard]] tl::unexpected<Error> lost(const Error& error);

    std::mutex mutex_;
    std::optional<LocalConnection> connection_;
    std::chrono::nanoseconds answer_timeout_ = std::chrono::seconds(5);
    std::string pool_name_;
    std::string path_;
    std::optional<Place> place_;
    std::optional<Error> place_lost_;
    Descriptor presence_;
    EventDescriptor changed_;
    wire::IndexSet<publisher_count_max> publishers_{};    ///< Open, as the host and the user know.
    wire::IndexSet<subscriber_count_max> subscribers_{};  ///< The same.
    wire::IndexSet<heap_count_max> heaps_{};              ///< The same.
    std::uint32_t next_request_ = 1;
    std::uint32_t rejoin_request_ = 0;  ///< Not yet answered; 0: none.
    std::atomic<bool> host_gone_{false};
    std::atomic<bool> stopping_{false};
    std::atomic<std::uint64_t> relieved_classes_{0};
};

}  // namespace shmpool
