// SPDX-License-Identifier: Apache-2.0
#include "peer/peer.hpp"

#include "peer/endpoint_state.hpp"
#include "peer/size_classes.hpp"
#include "peer/slot_relief.hpp"
#include "protocol/wire/names.hpp"

namespace shmpool {
namespace {

/// The channel and type part that both requests share.
template <typename Request>
Result<Request> make_request(std::string_view channel, std::string_view type_name,
                             std::uint64_t type_bytes, std::uint32_t type_alignment,
                             ChannelPolicy policy) {
    if (auto sound = check_channel_name(channel); !sound) return tl::unexpected(sound.error());
    const auto channel_text = wire::Text<name_bytes>::of(channel);
    const auto type_text = wire::Text<type_name_bytes>::of(type_name);
    if (!channel_text || !type_text) {
        return fail(Errc::invalid_argument,
                    "the type name '" + std::string(type_name) +
                        "' is longer than 127 characters; give the type a shorter one as a static "
                        "member shm_type_name");
    }
    Request request{};
    request.channel = *channel_text;
    request.type_name = *type_text;
    request.type_bytes = type_bytes;
    request.type_alignment = type_alignment;
    request.policy = static_cast<std::uint32_t>(policy);
    return request;
}

}  // namespace

Result<Peer> Peer::attach(std::string_view pool_name, PeerOptions options) {
    if (auto sound = check_pool_name(pool_name); !sound) return tl::unexpected(sound.error());
    AttachRequest request;
    request.pool_name = pool_name;
    request.socket_path = std::move(options.socket_path);
    request.peer_name = std::move(options.name);
    request.wait_for_host = options.wait_for_host;
    request.answer_timeout = options.answer_timeout;
    request.read_only = options.read_only;
    auto core = PeerCore::attach(request, options.control_thread);
    if (!core) return tl::unexpected(core.error());
    return Peer(std::move(*core));
}

Outcome<void> Peer::check_usable() const {
    if (!core_) return fail(Errc::moved_from);
    if (!core_->in_own_process()) return fail(Errc::forked);
    return {};
}

Outcome<void> Peer::check_may_write() const {
    if (auto usable = check_usable(); !usable) return usable;
    if (core_->read_only()) return fail(Errc::read_only);
    return {};
}

Result<Publisher> Peer::publisher(std::string_view channel, const PublisherOptions& options) {
    return open_publisher(channel, {}, options);
}

Result<Subscriber> Peer::subscriber(std::string_view channel, const SubscriberOptions& options) {
    return open_subscriber(channel, {}, options);
}

Result<Publisher> Peer::open_publisher(std::string_view channel, const TypeDescription& type,
                                       const PublisherOptions& options) {
    if (auto usable = check_may_write(); !usable) return tl::unexpected(to_error(usable.error()));
    if (auto sound = core_->check_sound(); !sound) {
        return tl::unexpected(to_error(sound.error()));
    }
    const auto request = make_request<wire::OpenPublisher>(channel, type.name, type.bytes,
                                                           type.alignment, options.policy);
    if (!request) return tl::unexpected(request.error());
    const auto opened = core_->control().request<wire::PublisherOpened>(*request);
    if (!opened) return tl::unexpected(opened.error());
    const PublisherImage* const image = core_->view().publishers.find(opened->publisher_index);
    const ChannelImage* const channel_image = core_->view().channels.find(opened->channel_index);
    if (image == nullptr || channel_image == nullptr) {
        return fail(Errc::protocol_violation, "the host gave a publisher that does not exist");
    }
    const auto policy =
        static_cast<ChannelPolicy>(channel_image->policy.load(std::memory_order_relaxed));
    return Publisher(std::unique_ptr<Publisher::State>(new Publisher::State{
        core_, PublisherCore(core_->pool(), core_->view(), opened->publisher_index, policy),
        options.stamp_time}));
}

Result<Subscriber> Peer::open_subscriber(std::string_view channel, const TypeDescription& type,
                                         const SubscriberOptions& options) {
    if (auto usable = check_usable(); !usable) return tl::unexpected(to_error(usable.error()));
    if (auto sound = core_->check_sound(); !sound) {
        return tl::unexpected(to_error(sound.error()));
    }
    auto request = make_request<wire::OpenSubscriber>(channel, type.name, type.bytes,
                                                      type.alignment, options.policy);
    if (!request) return tl::unexpected(request.error());
    request->depth = options.depth;
    request->flags = options.may_sleep ? wire::open_subscriber_may_sleep : 0;
    const auto opened = core_->control().request<wire::SubscriberOpened>(*request);
    if (!opened) return tl::unexpected(opened.error());
    if (core_->view().subscribers.find(opened->subscriber_index) == nullptr) {
        return fail(Errc::protocol_violation, "the host gave a subscriber that does not exist");
    }
    return Subscriber(std::unique_ptr<Subscriber::State>(new Subscriber::State{
        core_, SubscriberCore(core_->pool(), core_->view(), opened->subscriber_index),
        options.may_sleep, nullptr}));
}

Outcome<SlotRef> Peer::allocate(std::size_t bytes) {
    if (auto usable = check_may_write(); !usable) return tl::unexpected(usable.error());
    if (auto sound = core_->check_sound(); !sound) return tl::unexpected(sound.error());
    const auto lane = core_->lane();
    if (!lane) return tl::unexpected(lane.error());
    return take_with_relief(*core_, bytes,
                            [&] { return core_->pool().allocate(*(*lane)->lane, bytes); });
}

Outcome<void> Peer::free(const SlotRef& ref) {
    if (auto usable = check_usable(); !usable) return usable;
    Outcome<void> freed = fail(Errc::no_lane);
    core_->with_any_lane([&](ThreadLane& lane) { freed = core_->pool().free(*lane.lane, ref); });
    return freed;
}

Outcome<std::span<std::byte>> Peer::slot_data(const SlotRef& ref) {
    if (auto usable = check_may_write(); !usable) return tl::unexpected(usable.error());
    return core_->pool().slot_data_mut(ref);
}

Outcome<std::span<const std::byte>> Peer::read_slot(const SlotRef& ref) const {
    if (auto usable = check_usable(); !usable) return tl::unexpected(usable.error());
    return core_->pool().slot_data(ref);
}

Result<QuotaReport> Peer::quota() const {
    if (auto usable = check_usable(); !usable) return tl::unexpected(to_error(usable.error()));
    return read_quota(core_->pool().view(), core_->view(), index());
}

Result<std::uint32_t> Peer::grow_class(std::uint64_t slot_bytes, std::uint32_t more_slots) {
    if (auto usable = check_usable(); !usable) return tl::unexpected(to_error(usable.error()));
    return shmpool::grow_class(core_->control(), core_->pool().view(), slot_bytes, more_slots);
}

Result<std::uint32_t> Peer::shrink_class(std::uint64_t slot_bytes, std::uint32_t keep_slots) {
    if (auto usable = check_usable(); !usable) return tl::unexpected(to_error(usable.error()));
    return shmpool::shrink_class(core_->control(), slot_bytes, keep_slots);
}

Outcome<void> Peer::drive() {
    if (auto usable = check_usable(); !usable) return usable;
    if (!core_->control().drive()) return fail(Errc::host_gone);
    return {};
}

}  // namespace shmpool
