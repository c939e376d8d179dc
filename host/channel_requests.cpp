// SPDX-License-Identifier: Apache-2.0
/// What peers ask about channels: to publish, to subscribe, and to end it. The rest of
/// request_desk.hpp.
#include <string>

#include "host/answers.hpp"
#include "host/request_desk.hpp"
#include "protocol/wire/names.hpp"

namespace shmpool::host {
namespace {

template <typename Open>
ChannelRequest channel_request_of(const Open& request) {
    return {std::string(request.channel.view()), std::string(request.type_name.view()),
            request.type_bytes, request.type_alignment, static_cast<ChannelPolicy>(request.policy)};
}

template <typename Image>
bool is_open_and_of(const Image* image, PeerId peer) {
    return image != nullptr &&
           image->state.load(std::memory_order_acquire) ==  // [A-connect]
               static_cast<std::uint32_t>(EndpointState::open) &&
           image->peer_index.load(std::memory_order_relaxed) == peer.index &&
           image->peer_incarnation.load(std::memory_order_relaxed) == peer.incarnation;
}

}  // namespace

/// What the peer has closed while nobody listened, or never heard that it was opened.
void RequestDesk::close_unlisted(PeerId peer, const wire::Rejoin& request) {
    const ProtocolView& view = steward_.view();
    for (std::uint32_t i = 0; i < view.publishers.count; ++i) {
        if (is_open_and_of(&view.publishers.at(i), peer) && !request.publishers.contains(i)) {
            directory_.publisher_left(i, EndpointState::left);
        }
    }
    for (std::uint32_t i = 0; i < view.subscribers.count; ++i) {
        if (is_open_and_of(&view.subscribers.at(i), peer) && !request.subscribers.contains(i)) {
            directory_.subscriber_left(i, EndpointState::left);
        }
    }
    for (std::uint32_t i = 0; i < view.heaps.count; ++i) {
        if (!request.heaps.contains(i)) (void)steward_.heaps().close(i, peer.index);
    }
    reaper_.endpoint_closed();
}

/// Its own library refuses before it asks.
RequestDesk::Allowed RequestDesk::check_may_publish(const Session& session) const {
    const Peer* const peer = registry_.find(session.peer);
    if (peer == nullptr || !peer->read_only) return {};
    return refuse(to_error(Errc::read_only));
}

RequestDesk::Granted RequestDesk::grant(Session& session, const wire::OpenPublisher& request) {
    if (auto allowed = check_may_publish(session); !allowed) {
        return tl::unexpected(allowed.error());
    }
    if (auto named = check_channel_name(request.channel.view()); !named) {
        return refuse(named.error());
    }
    const auto opened = directory_.open_publisher(channel_request_of(request), session.peer.index);
    if (!opened) return refuse(opened.error());
    return plain(wire::PublisherOpened{opened->endpoint_index, opened->channel_index});
}

RequestDesk::Granted RequestDesk::grant(Session& session, const wire::OpenSubscriber& request) {
    if (auto named = check_channel_name(request.channel.view()); !named) {
        return refuse(named.error());
    }
    const bool may_sleep = (request.flags & wire::open_subscriber_may_sleep) != 0;
    const auto opened =
        directory_.open_subscriber(channel_request_of(request), session.peer.index, request.depth,
                                   may_sleep ? subscriber_may_sleep : 0);
    if (!opened) return refuse(opened.error());
    return plain(
        wire::SubscriberOpened{opened->endpoint_index, opened->channel_index, opened->lease_bit});
}

RequestDesk::Granted RequestDesk::grant(Session& session, const wire::ClosePublisher& request) {
    const std::uint32_t index = request.publisher_index;
    if (!is_open_and_of(steward_.view().publishers.find(index), session.peer)) {
        return refuse(Errc::protocol_violation,
                      "publisher " + std::to_string(index) + " is not one of this peer's");
    }
    directory_.publisher_left(index, EndpointState::left);
    reaper_.endpoint_closed();
    return plain(wire::Closed{});
}

RequestDesk::Granted RequestDesk::grant(Session& session, const wire::CloseSubscriber& request) {
    const std::uint32_t index = request.subscriber_index;
    if (!is_open_and_of(steward_.view().subscribers.find(index), session.peer)) {
        return refuse(Errc::protocol_violation,
                      "subscriber " + std::to_string(index) + " is not one of this peer's");
    }
    directory_.subscriber_left(index, EndpointState::left);
    reaper_.endpoint_closed();
    return plain(wire::Closed{});
}

}  // namespace shmpool::host
