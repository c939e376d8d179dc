// SPDX-License-Identifier: Apache-2.0
#include "peer/control_channel.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include "protocol/layout/protocol_images.hpp"
#include "shmpool/layout/abi_constants.hpp"

namespace shmpool {
namespace {

constexpr std::chrono::nanoseconds connect_retry = std::chrono::milliseconds(10);

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

Result<std::string> socket_path(const AttachRequest& request) {
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
                       request.observer ? wire::hello_observer : 0,
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
    const auto path = socket_path(request);
    if (!path) return tl::unexpected(path.error());
    const auto hello = make_hello(request);
    if (!hello) return tl::unexpected(hello.error());
    auto connection = connect_until(*path, host_deadline, answer_timeout_);
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
    return attachment;
}

Result<wire::Body> ControlChannel::exchange(const wire::Body& body) {
    const std::scoped_lock lock(mutex_);
    if (!connection_ || host_gone()) {
        return fail(
            Errc::host_gone,
            "the host of this pool is gone; data goes on flowing, but nothing can be opened; "
            "attach again when there is a host");
    }
    const Deadline deadline = Deadline::after(answer_timeout_);
    const std::uint32_t id = next_request_++;
    if (auto sent = connection_->send(wire::encode(body, id), {}, deadline); !sent) {
        return lost(sent.error());
    }
    for (;;) {
        auto reply = receive(deadline, nullptr);
        if (!reply) return lost(reply.error());
        if (reply->request_id == id) return std::move(reply->body);
        handle_unasked(reply->body);
    }
}

Result<wire::Message> ControlChannel::receive(const Deadline& deadline,
                                              std::vector<Descriptor>* descriptors) {
    auto received = connection_->receive(deadline);
    if (!received) return tl::unexpected(received.error());
    auto message = wire::decode(received->packet.bytes(), received->descriptors.size());
    if (message && descriptors != nullptr) *descriptors = std::move(received->descriptors);
    return message;
}

/// The host may have given a place that cannot be used here.
void ControlChannel::give_up_place() {
    (void)connection_->send(wire::encode(wire::Goodbye{}, next_request_++), {}, Deadline::passed());
}

tl::unexpected<Error> ControlChannel::lost(const Error& error) {
    // A host that is only slow is not gone: answers carry the number of their request.
    if (error.code != Errc::timed_out) host_gone_.store(true, std::memory_order_relaxed);
    if (error.code == Errc::descriptor_limit || error.code == Errc::protocol_violation) {
        return tl::unexpected(error);
    }
    return fail(Errc::host_gone, "the host did not answer: " + error.message);
}

void ControlChannel::handle_unasked(const wire::Body& body) {
    if (std::holds_alternative<wire::Stopping>(body)) {
        stopping_.store(true, std::memory_order_relaxed);
    }
    // The rest are answers to requests that were given up.
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

bool ControlChannel::poll_once() {
    const std::scoped_lock lock(mutex_);
    while (connection_ && !host_gone()) {
        auto received = connection_->try_receive();
        if (!received) {
            host_gone_.store(true, std::memory_order_relaxed);
            break;
        }
        if (!received->has_value()) return true;
        const auto message =
            wire::decode((*received)->packet.bytes(), (*received)->descriptors.size());
        if (message) handle_unasked(message->body);
    }
    return false;
}

int ControlChannel::descriptor() const {
    return connection_ && !host_gone() ? connection_->socket().get() : -1;
}

}  // namespace shmpool
