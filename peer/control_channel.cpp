// SPDX-License-Identifier: Apache-2.0
#include "peer/control_channel.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include "protocol/layout/protocol_images.hpp"
#include "protocol/wire/presence_mark.hpp"
#include "shmpool/layout/abi_constants.hpp"

namespace shmpool {
namespace {

constexpr std::chrono::nanoseconds connect_retry = std::chrono::milliseconds(10);
/// A connection to a local socket waits only while its host has a full queue.
constexpr std::chrono::nanoseconds connect_patience = std::chrono::milliseconds(100);

/// A connection to a host that may not be there yet.
Result<LocalConnection> connect_until(const std::string& path, const Deadline& deadline,
                                      std::chrono::nanoseconds answer_timeout) {
    for (;;) {
        auto connection = LocalConnection::connect(path, Deadline::after(answer_timeout));
        if (connection || connection.error().code != Errc::no_host || deadline.expired()) {
            return connection;
        }
        std::this_thread::sleep_for(std::min(connect_retry, deadline.remaining()));
    }
}

/// A host that stops makes room for another; what it lacks now it, or another, may have later.
bool is_final(Errc refusal) {
    return refusal != Errc::host_stopped && refusal != Errc::descriptor_limit &&
           refusal != Errc::out_of_memory && refusal != Errc::system;
}

Result<std::string> path_for(const AttachRequest& request) {
    if (!request.socket_path.empty()) return request.socket_path;
    auto path = socket_path_of(request.pool_name);
    if (!path) return tl::unexpected(path.error());
    return path->path;
}

Result<wire::Hello> make_hello(const AttachRequest& request) {
    const auto pool_name = wire::Text<name_bytes>::of(request.pool_name);
    const auto peer_name = wire::Text<name_bytes>::of(request.peer_name);
    if (!pool_name || !peer_name) {
        return fail(Errc::invalid_argument, "the pool name '" + request.pool_name +
                                                "' or the peer name '" + request.peer_name +
                                                "' is longer than 63 characters");
    }
    return wire::Hello{layout_version,
                       protocol_fingerprint,
                       (request.observer ? wire::hello_observer : 0) |
                           (request.read_only ? wire::hello_read_only : 0),
                       request.observer ? 0 : std::max(1U, request.lanes_wanted),
                       *pool_name,
                       *peer_name};
}

}  // namespace

Result<Attachment> ControlChannel::attach(const AttachRequest& request) {
    const std::scoped_lock lock(mutex_);
    answer_timeout_ = request.answer_timeout;
    const Deadline deadline = Deadline::after(request.wait_for_host);
    for (;;) {
        auto attachment = attach_once(request, deadline);
        // A host that stops, or ends before it answers, is as good as none: the next is waited for.
        const bool may_come = !attachment && (attachment.error().code == Errc::host_stopped ||
                                              attachment.error().code == Errc::host_gone);
        if (!may_come || deadline.expired()) return attachment;
        std::this_thread::sleep_for(std::min(connect_retry, deadline.remaining()));
    }
}

Result<Attachment> ControlChannel::attach_once(const AttachRequest& request,
                                               const Deadline& host_deadline) {
    auto path = path_for(request);
    if (!path) return tl::unexpected(path.error());
    pool_name_ = request.pool_name;
    path_ = std::move(*path);
    const auto hello = make_hello(request);
    if (!hello) return tl::unexpected(hello.error());
    auto connection = connect_until(path_, host_deadline, answer_timeout_);
    if (!connection) return tl::unexpected(connection.error());
    connection_ = std::move(*connection);
    host_gone_.store(false, std::memory_order_relaxed);

    const Deadline deadline = Deadline::after(answer_timeout_);
    const std::uint32_t id = next_request_++;
    if (auto sent = connection_->send(wire::encode(*hello, id), {}, deadline); !sent) {
        return lost(sent.error());
    }
    Attachment attachment;
    auto reply = receive(deadline, &attachment.descriptors);
    if (!reply) {
        give_up_place();
        return lost(reply.error());
    }
    if (const auto* refused = std::get_if<wire::Refused>(&reply->body)) {
        return tl::unexpected(wire::error_of(*refused));
    }
    const auto* welcome = std::get_if<wire::Welcome>(&reply->body);
    if (welcome == nullptr) {
        return fail(Errc::protocol_violation, "the host answered hello with something else");
    }
    attachment.welcome = *welcome;
    relieved_classes_.store(welcome->relieved_classes, std::memory_order_relaxed);
    return attachment;
}

Deadline ControlChannel::answer_deadline(std::chrono::nanoseconds work_time) const {
    const bool is_endless = answer_timeout_ > std::chrono::nanoseconds::max() - work_time;
    return is_endless ? Deadline::never() : Deadline::after(answer_timeout_ + work_time);
}

Result<wire::Body> ControlChannel::exchange(const wire::Body& body, Absence absence,
                                            const Deadline& deadline) {
    note_endpoint(body);
    for (;;) {
        if (const auto alone = why_alone()) return tl::unexpected(*alone);
        if (host_gone()) {
            const Deadline patience = absence == Absence::wait ? deadline : Deadline::passed();
            if (auto attached = wait_until_attached(patience); !attached) {
                return tl::unexpected(attached.error());
            }
        }
        auto reply = exchange_once(body, deadline);
        if (reply) note_endpoint(*reply);
        // A request that may have been granted by a host that died before it could say so is made
        // again: what nobody lists is closed when the peer comes back.
        if (reply || !host_gone() || reply.error().code != Errc::host_gone) return reply;
    }
}

Result<wire::Body> ControlChannel::exchange_once(const wire::Body& body, const Deadline& deadline) {
    const std::uint32_t id = next_request_++;
    if (auto sent = connection_->send(wire::encode(body, id), {}, deadline); !sent) {
        return lost(sent.error());
    }
    while (connection_) {
        auto reply = receive(deadline, nullptr);
        if (!reply) return lost(reply.error());
        if (reply->request_id == id) return std::move(reply->body);
        handle_unasked(*reply);
    }
    return fail(Errc::host_gone, "the host has ended the connection");
}

Result<wire::Message> ControlChannel::receive(const Deadline& deadline,
                                              std::vector<Descriptor>* descriptors) {
    auto received = connection_->receive(deadline);
    if (!received) return tl::unexpected(received.error());
    auto message = wire::decode(received->packet.bytes(), received->descriptors.size());
    if (message && descriptors != nullptr) *descriptors = received->descriptors.release();
    return message;
}

/// The host may have given a place that cannot be used here.
void ControlChannel::give_up_place() {
    (void)connection_->send(wire::encode(wire::Goodbye{}, next_request_++), {}, Deadline::passed());
}

void ControlChannel::note_endpoint(const wire::Body& body) {
    if (const auto* one = std::get_if<wire::PublisherOpened>(&body)) {
        publishers_.add(one->publisher_index);
    } else if (const auto* two = std::get_if<wire::SubscriberOpened>(&body)) {
        subscribers_.add(two->subscriber_index);
    } else if (const auto* three = std::get_if<wire::ClosePublisher>(&body)) {
        publishers_.remove(three->publisher_index);
    } else if (const auto* four = std::get_if<wire::CloseSubscriber>(&body)) {
        subscribers_.remove(four->subscriber_index);
    } else if (const auto* five = std::get_if<wire::HeapOpened>(&body)) {
        heaps_.add(five->heap_index);
    } else if (const auto* six = std::get_if<wire::CloseHeap>(&body)) {
        heaps_.remove(six->heap_index);
    }
}

void ControlChannel::handle_unasked(const wire::Message& message) {
    const wire::Body& body = message.body;
    if (std::holds_alternative<wire::Stopping>(body)) {
        stopping_.store(true, std::memory_order_relaxed);
        return;
    }
    if (rejoin_request_ != 0 && message.request_id == rejoin_request_) return heard_rejoin(body);
    // The rest are answers to requests that were given up. (A heap that was opened so is not
    // closed: it may have been opened again by now, and the host counts no openings.)
    const auto close = [this](const wire::Body& request) {
        (void)connection_->send(wire::encode(request, next_request_++), {},
                                Deadline::after(answer_timeout_));
    };
    if (const auto* opened = std::get_if<wire::PublisherOpened>(&body)) {
        close(wire::ClosePublisher{opened->publisher_index});
    } else if (const auto* late = std::get_if<wire::SubscriberOpened>(&body)) {
        close(wire::CloseSubscriber{late->subscriber_index});
    }
}

bool ControlChannel::drive() {
    const std::scoped_lock lock(mutex_);
    if (!connection_) look_for_host();
    while (connection_) {
        auto received = connection_->try_receive();
        if (!received) {
            lose_connection();
            break;
        }
        if (!received->has_value()) break;
        const auto message =
            wire::decode((*received)->packet.bytes(), (*received)->descriptors.size());
        if (message) handle_unasked(*message);
    }
    return !host_gone();
}

int ControlChannel::descriptor() {
    const std::scoped_lock lock(mutex_);
    return connection_ ? connection_->socket().get() : -1;
}

// --- without a host ------------------------------------------------------------------------------

Result<void> ControlChannel::hold_place(Place place) {
    const std::scoped_lock lock(mutex_);
    auto changed = EventDescriptor::create();
    if (!changed) return tl::unexpected(changed.error());
    changed_ = std::move(*changed);
    place_ = std::move(place);
    presence_ = mark_presence(path_);
    return {};
}

bool ControlChannel::for_ever_alone() {
    const std::scoped_lock lock(mutex_);
    return why_alone().has_value();
}

std::optional<Error> ControlChannel::why_alone() const {
    if (place_lost_) return place_lost_;
    if (!host_gone()) return std::nullopt;
    if (place_ && !place_->host_stopped()) return std::nullopt;
    return Error{Errc::host_gone,
                 "the host of this pool is gone; data goes on flowing, but nothing can be opened; "
                 "attach again when there is a host"};
}

/// One try. Afterwards there is a connection on which the answer will come, or none.
void ControlChannel::look_for_host() {
    if (connection_ || why_alone() || !place_) return;
    const auto pool_name = wire::Text<name_bytes>::of(pool_name_);
    auto connection = LocalConnection::connect(path_, Deadline::after(connect_patience));
    if (!connection || !pool_name) return;
    const wire::Rejoin rejoin{
        layout_version,           protocol_fingerprint, *pool_name,   place_->peer_index,
        place_->peer_incarnation, publishers_,          subscribers_, heaps_};
    const std::uint32_t id = next_request_++;
    const auto sent = connection->send(wire::encode(rejoin, id), place_->descriptors,
                                       Deadline::after(connect_patience));
    if (!sent) return;
    connection_ = std::move(*connection);
    rejoin_request_ = id;
    changed_.signal();
}

Result<void> ControlChannel::wait_until_attached(const Deadline& deadline) {
    while (host_gone()) {
        if (const auto alone = why_alone()) return tl::unexpected(*alone);
        look_for_host();
        if (deadline.expired()) {
            return fail(Errc::host_gone,
                        "the host of this pool is gone and no other has come in time; data goes on "
                        "flowing, but nothing can be opened; start shmpoold again");
        }
        if (!connection_) {
            std::this_thread::sleep_for(std::min(connect_retry, deadline.remaining()));
            continue;
        }
        const auto message = receive(deadline, nullptr);
        if (message) {
            handle_unasked(*message);
        } else if (message.error().code != Errc::timed_out) {
            lose_connection();
        }
    }
    return {};
}

void ControlChannel::heard_rejoin(const wire::Body& answer) {
    rejoin_request_ = 0;
    if (const auto* rejoined = std::get_if<wire::Rejoined>(&answer)) {
        relieved_classes_.store(rejoined->relieved_classes, std::memory_order_relaxed);
        stopping_.store(false, std::memory_order_relaxed);
        host_gone_.store(false, std::memory_order_relaxed);
        return;
    }
    if (const auto* refused = std::get_if<wire::Refused>(&answer)) {
        const Error error = wire::error_of(*refused);
        if (is_final(error.code)) place_lost_ = error;
    }
    lose_connection();
}

void ControlChannel::lose_connection() {
    connection_.reset();
    rejoin_request_ = 0;
    host_gone_.store(true, std::memory_order_relaxed);
    if (changed_) changed_.signal();
}

tl::unexpected<Error> ControlChannel::lost(const Error& error) {
    // A host that is only slow is not gone: answers carry the number of their request.
    if (error.code != Errc::timed_out) lose_connection();
    if (error.code == Errc::descriptor_limit || error.code == Errc::protocol_violation) {
        return tl::unexpected(error);
    }
    return fail(Errc::host_gone, "the host did not answer: " + error.message);
}

}  // namespace shmpool
