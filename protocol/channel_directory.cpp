// SPDX-License-Identifier: Apache-2.0
#include "protocol/channel_directory.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "protocol/lease_table.hpp"
#include "shmpool/platform/crash_point.hpp"
#include "shmpool/platform/futex.hpp"

namespace shmpool {
namespace {

template <typename State>
bool is(const Atomic<std::uint32_t>& state, State expected) {
    return state.load(std::memory_order_acquire) ==  // [A-connect]
           static_cast<std::uint32_t>(expected);
}

template <typename State>
void set(Atomic<std::uint32_t>& state, State value) {
    state.store(static_cast<std::uint32_t>(value), std::memory_order_release);  // [R-connect]
}

template <typename Image>
std::optional<std::uint32_t> find_empty(const Table<Image>& table) {
    for (std::uint32_t i = 0; i < table.count; ++i) {
        if (is(table.at(i).state, EndpointState::empty)) return i;
    }
    return std::nullopt;
}

std::string_view text_of(const char* chars, std::size_t limit) {
    return {chars, strnlen(chars, limit)};
}

void copy_text(std::string_view text, char* chars, std::size_t limit) {
    std::memset(chars, 0, limit);
    std::ranges::copy(text.substr(0, limit - 1), chars);
}

std::string_view name_of_policy(std::uint32_t policy) {
    constexpr std::string_view names[] = {"as_channel", "block", "drop_newest", "drop_oldest"};
    return policy < std::size(names) ? names[policy] : "unknown";
}

void ring_bell(Atomic<std::uint32_t>& doorbell) {
    doorbell.fetch_add(1, std::memory_order_release);  // [R-doorbell]
    futex_wake(doorbell, 0x7FFF'FFFF);
}

}  // namespace

ChannelDirectory::ChannelDirectory(VarSlotPool& pool, Lane& lane, const ProtocolView& view)
    : pool_(pool), lane_(lane), view_(view) {
    recount();
}

std::optional<std::uint32_t> ChannelDirectory::find_channel(std::string_view name) const {
    for (std::uint32_t i = 0; i < view_.channels.count; ++i) {
        const ChannelImage& channel = view_.channels.at(i);
        if (is(channel.state, EndpointState::open) && text_of(channel.name, name_bytes) == name) {
            return i;
        }
    }
    return std::nullopt;
}

Result<void> ChannelDirectory::check_request(const ChannelImage& channel,
                                             const ChannelRequest& request) const {
    const std::string name = "channel '" + request.channel + "'";
    const std::string_view type = text_of(channel.type_name, type_name_bytes);
    if (channel.type_bytes != request.type_bytes || type != request.type_name ||
        channel.type_alignment != request.type_alignment) {
        const auto describe = [](std::string_view one, std::uint64_t bytes, std::uint64_t align) {
            if (one.empty()) return std::string("plain bytes");
            return "type '" + std::string(one) + "' (" + std::to_string(bytes) +
                   " bytes, alignment " + std::to_string(align) + ")";
        };
        return fail(Errc::type_mismatch,
                    name + " carries " +
                        describe(type, channel.type_bytes, channel.type_alignment) +
                        ", the request says " +
                        describe(request.type_name, request.type_bytes, request.type_alignment) +
                        "; use the same type on both sides or another channel");
    }
    const std::uint32_t policy = channel.policy.load(std::memory_order_relaxed);
    if (request.policy != ChannelPolicy::as_channel &&
        policy != static_cast<std::uint32_t>(request.policy)) {
        return fail(Errc::policy_mismatch,
                    name + " has the policy " + std::string(name_of_policy(policy)) +
                        ", the request says " +
                        std::string(name_of_policy(static_cast<std::uint32_t>(request.policy))) +
                        "; leave the policy out or use the channel's");
    }
    return {};
}

void ChannelDirectory::define_channel(ChannelImage& channel, const ChannelRequest& request) {
    const ChannelPolicy policy =
        request.policy == ChannelPolicy::as_channel ? ChannelPolicy::block : request.policy;
    channel.policy.store(static_cast<std::uint32_t>(policy), std::memory_order_relaxed);
    channel.type_bytes = request.type_bytes;
    channel.type_alignment = request.type_alignment;
    copy_text(request.channel, channel.name, name_bytes);
    copy_text(request.type_name, channel.type_name, type_name_bytes);
    set(channel.state, EndpointState::open);
}

Result<std::uint32_t> ChannelDirectory::channel_for(const ChannelRequest& request) {
    const auto idle = [this](std::uint32_t index) {
        const ChannelImage& channel = view_.channels.at(index);
        if (channel.publisher_count.load(std::memory_order_relaxed) != 0 ||
            channel.subscriber_count.load(std::memory_order_relaxed) != 0 ||
            channel.lease_bits.load(std::memory_order_relaxed) != 0) {
            return false;
        }
        for (std::uint32_t i = 0; i < view_.rings.count; ++i) {
            const RingImage& ring = view_.rings.at(i);
            if (!is(ring.state, EndpointState::empty) &&
                ring.channel_index.load(std::memory_order_relaxed) == index) {
                return false;
            }
        }
        return true;
    };
    if (const auto known = find_channel(request.channel)) {
        ChannelImage& channel = view_.channels.at(*known);
        auto fits = check_request(channel, request);
        if (fits) return *known;
        if (!idle(*known)) recycle_leases();
        if (!idle(*known)) return tl::unexpected(fits.error());
        define_channel(channel, request);  // Nobody is there any more: it may change its nature.
        return *known;
    }
    std::optional<std::uint32_t> index = find_empty(view_.channels);
    if (!index) recycle_leases();
    for (std::uint32_t i = 0; !index && i < view_.channels.count; ++i) {
        if (idle(i)) index = i;
    }
    if (!index) {
        return fail(Errc::too_many_channels,
                    "channel '" + request.channel + "' would be one more than the " +
                        std::to_string(view_.channels.count) +
                        " that limits.channels allows; raise it in the host's configuration");
    }
    view_.channels.at(*index).retired_published.store(0, std::memory_order_relaxed);
    define_channel(view_.channels.at(*index), request);
    return *index;
}

Result<Opened> ChannelDirectory::open_publisher(const ChannelRequest& request,
                                                std::uint32_t peer_index) {
    maintain();
    const auto index = find_empty(view_.publishers);
    if (!index) {
        return fail(Errc::too_many_publishers,
                    "all " + std::to_string(view_.publishers.count) +
                        " publishers of limits.publishers are in use; raise it in the host's "
                        "configuration");
    }
    const auto channel_index = channel_for(request);
    if (!channel_index) return tl::unexpected(channel_index.error());
    PublisherImage& publisher = view_.publishers.at(*index);
    publisher.peer_index.store(peer_index, std::memory_order_relaxed);
    publisher.peer_incarnation.store(
        view_.peers.at(peer_index).incarnation.load(std::memory_order_relaxed),
        std::memory_order_relaxed);
    publisher.channel_index.store(*channel_index, std::memory_order_relaxed);
    publisher.intent_kind.store(0, std::memory_order_relaxed);
    publisher.published_total.store(0, std::memory_order_relaxed);
    publisher.activity.store(0, std::memory_order_relaxed);
    publisher.wait_ticket.store(0, std::memory_order_relaxed);
    for (auto& number : publisher.rings) number.store(0, std::memory_order_relaxed);
    publisher.epoch.fetch_add(1, std::memory_order_relaxed);
    set(publisher.state, EndpointState::open);
    recount();

    RingRoom room(pool_.view(), view_);
    for (std::uint32_t i = 0; i < view_.subscribers.count; ++i) {
        const SubscriberImage& subscriber = view_.subscribers.at(i);
        if (!is(subscriber.state, EndpointState::open) ||
            subscriber.channel_index.load(std::memory_order_relaxed) != *channel_index) {
            continue;
        }
        if (auto connected = connect(*index, i, room); !connected) {
            publisher_left(*index, EndpointState::left);
            return tl::unexpected(connected.error());
        }
    }
    return Opened{*index, *channel_index, 0};
}

std::optional<std::uint32_t> ChannelDirectory::free_lease_bit(const ChannelImage& channel) const {
    const std::uint64_t taken = channel.lease_bits.load(std::memory_order_relaxed);
    const auto bit = static_cast<std::uint32_t>(std::countr_one(taken));
    return bit < subscribers_per_channel_max ? std::optional(bit) : std::nullopt;
}

Result<Opened> ChannelDirectory::open_subscriber(const ChannelRequest& request,
                                                 std::uint32_t peer_index, std::uint32_t depth,
                                                 std::uint32_t flags) {
    maintain();
    if (depth == 0 || depth > ring_depth_max) {
        return fail(Errc::invalid_argument, "a queue depth of " + std::to_string(depth) +
                                                " is asked for; it must be from 1 to 65536");
    }
    const auto channel_index = channel_for(request);
    if (!channel_index) return tl::unexpected(channel_index.error());
    const ChannelImage& channel = view_.channels.at(*channel_index);
    auto index = find_empty(view_.subscribers);
    auto bit = free_lease_bit(channel);
    if (!index || !bit) {
        recycle_leases();
        index = find_empty(view_.subscribers);
        bit = free_lease_bit(channel);
    }
    if (!bit) {
        return fail(Errc::too_many_subscribers,
                    "channel '" + request.channel + "' has its 60 subscribers already; close one");
    }
    if (!index) {
        return fail(Errc::too_many_subscribers,
                    "all " + std::to_string(view_.subscribers.count) +
                        " subscribers of limits.subscribers are in use; raise it in the host's "
                        "configuration");
    }
    SubscriberImage& subscriber = view_.subscribers.at(*index);
    subscriber.peer_index.store(peer_index, std::memory_order_relaxed);
    subscriber.peer_incarnation.store(
        view_.peers.at(peer_index).incarnation.load(std::memory_order_relaxed),
        std::memory_order_relaxed);
    subscriber.channel_index.store(*channel_index, std::memory_order_relaxed);
    subscriber.lease_bit.store(*bit, std::memory_order_relaxed);
    subscriber.depth.store(depth, std::memory_order_relaxed);
    subscriber.flags.store(flags, std::memory_order_relaxed);
    subscriber.connected_total.store(0, std::memory_order_relaxed);
    subscriber.last_departure.store(0, std::memory_order_relaxed);
    subscriber.retired_received.store(0, std::memory_order_relaxed);
    subscriber.retired_dropped.store(0, std::memory_order_relaxed);
    subscriber.sleep_ticket.store(0, std::memory_order_relaxed);
    subscriber.activity.store(0, std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < view_.publishers_per_channel; ++i) {
        view_.ring_numbers(*index)[i].store(0, std::memory_order_relaxed);
    }
    subscriber.epoch.fetch_add(1, std::memory_order_relaxed);
    set(subscriber.state, EndpointState::open);
    recount();

    RingRoom room(pool_.view(), view_);
    for (std::uint32_t i = 0; i < view_.publishers.count; ++i) {
        const PublisherImage& publisher = view_.publishers.at(i);
        if (!is(publisher.state, EndpointState::open) ||
            publisher.channel_index.load(std::memory_order_relaxed) != *channel_index) {
            continue;
        }
        if (auto connected = connect(i, *index, room); !connected) {
            subscriber_left(*index, EndpointState::left);
            return tl::unexpected(connected.error());
        }
    }
    return Opened{*index, *channel_index, *bit};
}

void ChannelDirectory::publisher_left(std::uint32_t publisher_index, EndpointState how) {
    PublisherImage& publisher = view_.publishers.at(publisher_index);
    if (!is(publisher.state, EndpointState::open)) return;
    decide_intent(publisher);
    for (std::uint32_t i = 0; i < view_.rings.count; ++i) {
        const RingView ring = RingView::of(view_, i);
        if (!ring || is(ring.image->state, EndpointState::empty) ||
            ring.image->publisher_index.load(std::memory_order_relaxed) != publisher_index) {
            continue;
        }
        SubscriberImage* const subscriber =
            view_.subscribers.find(ring.image->subscriber_index.load(std::memory_order_relaxed));
        if (subscriber != nullptr) set(subscriber->last_departure, how);
        SHMPOOL_CRASH_POINT(departure_half_told);
        set(ring.image->publisher_state, how);
        if (subscriber != nullptr) ring_bell(subscriber->doorbell);
    }
    SHMPOOL_CRASH_POINT(publisher_half_gone);
    set(publisher.state, how);
    // A host that dies here loses the number from the channel's total, but never counts it twice.
    ChannelImage* const channel =
        view_.channels.find(publisher.channel_index.load(std::memory_order_relaxed));
    if (channel != nullptr) {
        channel->retired_published.fetch_add(
            publisher.published_total.load(std::memory_order_relaxed), std::memory_order_relaxed);
    }
    recount();
}

void ChannelDirectory::subscriber_left(std::uint32_t subscriber_index, EndpointState how) {
    SubscriberImage& subscriber = view_.subscribers.at(subscriber_index);
    if (!is(subscriber.state, EndpointState::open)) return;
    for (std::uint32_t i = 0; i < view_.rings.count; ++i) {
        const RingView ring = RingView::of(view_, i);
        if (!ring || is(ring.image->state, EndpointState::empty) ||
            ring.image->subscriber_index.load(std::memory_order_relaxed) != subscriber_index) {
            continue;
        }
        close_ring(ring);
        drain_ring(pool_, lane_, ring);
        remove_from_publisher(ring);
        remove_from_subscriber(ring);
    }
    SHMPOOL_CRASH_POINT(subscriber_half_gone);
    set(subscriber.state, how);
    recount();
}

void ChannelDirectory::wake_everybody() {
    for (std::uint32_t i = 0; i < view_.subscribers.count; ++i) {
        ring_bell(view_.subscribers.at(i).doorbell);
    }
    for (std::uint32_t i = 0; i < view_.publishers.count; ++i) {
        ring_bell(view_.publishers.at(i).space_doorbell);
    }
    ring_bell(pool_.view().header->free_doorbell);
}

}  // namespace shmpool
