// SPDX-License-Identifier: Apache-2.0
/// See codec.hpp. Checks run from the outside in: length, header, size of the body, then one
/// `flaw_of` per body. Everything is copied out of the packet before it is looked at.
#include "protocol/wire/codec.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <string>

namespace shmpool::wire {
namespace {

/// What is wrong, in words; none if nothing is.
using Flaw = std::optional<std::string>;

constexpr auto policy_last = static_cast<std::uint32_t>(ChannelPolicy::drop_oldest);
constexpr auto on_death_last = static_cast<std::uint32_t>(OnDeath::reclaim);

template <typename... Bodies>
constexpr std::size_t longest_body(const std::variant<Bodies...>*) {
    return std::max({body_bytes_of<Bodies>...});
}
static_assert(sizeof(Header) + longest_body(static_cast<const Body*>(nullptr)) <= packet_bytes_max,
              "every message fits a packet");

template <std::size_t Bytes>
Flaw text_flaw(const char* field, const Text<Bytes>& text) {
    const std::size_t length = text.view().size();
    if (length == Bytes) return std::string(field) + " is not terminated";
    const bool clean = std::all_of(text.chars + length, text.chars + Bytes,
                                   [](char character) { return character == '\0'; });
    if (!clean) return std::string(field) + " has bytes behind its end";
    return std::nullopt;
}

Flaw range_flaw(const char* field, std::uint64_t value, std::uint64_t first, std::uint64_t last) {
    if (value >= first && value <= last) return std::nullopt;
    return std::string(field) + " is " + std::to_string(value) + ", must be " +
           std::to_string(first) + " to " + std::to_string(last);
}

Flaw zero_flaw(const char* field, std::uint64_t value) {
    if (value == 0) return std::nullopt;
    return std::string(field) + " is " + std::to_string(value) + ", must be 0";
}

Flaw flags_flaw(std::uint32_t flags, std::uint32_t known) {
    if ((flags & ~known) == 0) return std::nullopt;
    return "flags " + std::to_string(flags) + " has bits unknown here";
}

Flaw alignment_flaw(std::uint32_t alignment) {
    const bool right =
        alignment == 0 || (std::has_single_bit(alignment) && alignment <= type_alignment_max);
    if (right) return std::nullopt;
    return "type_alignment is " + std::to_string(alignment) +
           ", must be 0 or a power of two up to " + std::to_string(type_alignment_max);
}

/// The first that is wrong.
template <typename... Flaws>
Flaw first_of(Flaws... flaws) {
    Flaw found;
    ((found ? void() : void(found = std::move(flaws))), ...);
    return found;
}

Flaw flaw_of(const Hello& body) {
    const bool observer = (body.flags & hello_observer) != 0;
    return first_of(
        flags_flaw(body.flags, hello_flags_known),
        observer ? zero_flaw("read_only of an observer", body.flags & hello_read_only) : Flaw{},
        observer ? zero_flaw("lanes_wanted of an observer", body.lanes_wanted) : Flaw{},
        text_flaw("pool_name", body.pool_name), text_flaw("peer_name", body.peer_name));
}

Flaw flaw_of(const Rejoin& body) {
    return text_flaw("pool_name", body.pool_name);
}

Flaw flaw_of(const Refused& body) {
    return first_of(range_flaw("code", body.code, static_cast<std::uint32_t>(Errc::system),
                               static_cast<std::uint32_t>(Errc::internal_fault)),
                    zero_flaw("reserved", body.reserved), text_flaw("text", body.text));
}

template <typename Open>
Flaw common_open_flaw(const Open& body, std::uint32_t flags_known) {
    return first_of(text_flaw("channel", body.channel), text_flaw("type_name", body.type_name),
                    alignment_flaw(body.type_alignment),
                    range_flaw("policy", body.policy, 0, policy_last),
                    flags_flaw(body.flags, flags_known));
}

Flaw flaw_of(const OpenPublisher& body) {
    return first_of(common_open_flaw(body, open_publisher_flags_known),
                    zero_flaw("reserved", body.reserved));
}

Flaw flaw_of(const OpenSubscriber& body) {
    return common_open_flaw(body, open_subscriber_flags_known);
}

Flaw flaw_of(const SubscriberOpened& body) {
    return range_flaw("lease_bit", body.lease_bit, 0, subscribers_per_channel_max - 1);
}

Flaw flaw_of(const CreateHeap& body) {
    return first_of(text_flaw("name", body.name),
                    range_flaw("on_death", body.on_death, 0, on_death_last),
                    range_flaw("ticket", body.ticket, 1, ~std::uint64_t{0}));
}

Flaw flaw_of(const OpenHeap& body) {
    return text_flaw("name", body.name);
}

template <typename Request>
concept AboutClass = std::is_same_v<Request, GrowClass> || std::is_same_v<Request, RelieveClass> ||
    std::is_same_v<Request, ShrinkClass>;

template <AboutClass Request>
Flaw flaw_of(const Request& body) {
    return zero_flaw("reserved", body.reserved);
}

/// Indices and sizes: any number is well-formed here; whether it exists is for the receiver to say.
template <typename T>
Flaw flaw_of(const T&) {
    return std::nullopt;
}

tl::unexpected<Error> violation(std::string message) {
    return fail(Errc::protocol_violation, std::move(message));
}

template <typename T>
Result<Message> decode_as(const Header& header, std::span<const std::byte> body_bytes,
                          std::size_t descriptor_count) {
    const std::string name(name_of(T::type));
    if (body_bytes.size() != body_bytes_of<T>) {
        return violation(name + " has a body of " + std::to_string(body_bytes.size()) +
                         " bytes, must be " + std::to_string(body_bytes_of<T>));
    }
    T body{};
    if constexpr (!std::is_empty_v<T>) std::memcpy(&body, body_bytes.data(), sizeof(T));
    if (const Flaw flaw = flaw_of(body)) return violation(name + ": " + *flaw);
    if (T::type == MessageType::stopping && header.request_id != 0) {
        return violation(name + " answers nothing, yet has request_id " +
                         std::to_string(header.request_id));
    }
    Message message{body, header.request_id};
    const std::size_t due = descriptor_count_of(message.body);
    if (descriptor_count != due) {
        return violation(name + " came with " + std::to_string(descriptor_count) +
                         " descriptors, must be " + std::to_string(due));
    }
    return message;
}

template <typename... Bodies>
Result<Message> decode_any(const std::variant<Bodies...>*, const Header& header,
                           std::span<const std::byte> body_bytes, std::size_t descriptor_count) {
    std::optional<Result<Message>> result;
    const auto try_one = [&]<typename T>(const T*) {
        if (header.type != static_cast<std::uint16_t>(T::type)) return false;
        result = decode_as<T>(header, body_bytes, descriptor_count);
        return true;
    };
    const bool known = (try_one(static_cast<const Bodies*>(nullptr)) || ...);
    if (!known) return violation("unknown message type " + std::to_string(header.type));
    return *std::move(result);
}

Flaw header_flaw(const Header& header, std::size_t packet_bytes) {
    if (header.magic != wire_magic) return "not a shmpool message: wrong magic number";
    if (header.wire_version != wire_version) {
        return "the other side speaks wire version " + std::to_string(header.wire_version) +
               ", this side speaks " + std::to_string(wire_version) +
               "; install the same release of shmpool for both";
    }
    if (header.body_bytes != packet_bytes - sizeof(Header)) {
        return "the header promises a body of " + std::to_string(header.body_bytes) +
               " bytes, the packet has " + std::to_string(packet_bytes - sizeof(Header));
    }
    return std::nullopt;
}

}  // namespace

Packet encode(const Body& body, std::uint32_t request_id) {
    return std::visit(
        [request_id]<typename T>(const T& value) {
            const Header header{wire_magic, wire_version, static_cast<std::uint16_t>(T::type),
                                static_cast<std::uint32_t>(body_bytes_of<T>), request_id};
            Packet packet{};
            std::memcpy(packet.buffer.data(), &header, sizeof(header));
            std::memcpy(packet.buffer.data() + sizeof(header), &value, body_bytes_of<T>);
            packet.length_bytes = sizeof(header) + body_bytes_of<T>;
            return packet;
        },
        body);
}

Result<Message> decode(std::span<const std::byte> bytes, std::size_t descriptor_count) {
    if (bytes.size() < sizeof(Header)) {
        return violation("a packet of " + std::to_string(bytes.size()) +
                         " bytes is shorter than the header of " + std::to_string(sizeof(Header)));
    }
    Header header{};
    std::memcpy(&header, bytes.data(), sizeof(header));
    if (const Flaw flaw = header_flaw(header, bytes.size())) return violation(*flaw);
    return decode_any(static_cast<const Body*>(nullptr), header, bytes.subspan(sizeof(Header)),
                      descriptor_count);
}

std::size_t descriptor_count_of(const Body& body) {
    if (std::holds_alternative<Rejoin>(body)) return packet_descriptors_max;
    const auto* welcome = std::get_if<Welcome>(&body);
    if (welcome == nullptr) return 0;
    return welcome->peer_index == no_peer ? 1 : packet_descriptors_max;
}

std::string_view name_of(MessageType type) {
    switch (type) {
        case MessageType::hello: return "hello";
        case MessageType::welcome: return "welcome";
        case MessageType::refused: return "refused";
        case MessageType::open_publisher: return "open_publisher";
        case MessageType::publisher_opened: return "publisher_opened";
        case MessageType::open_subscriber: return "open_subscriber";
        case MessageType::subscriber_opened: return "subscriber_opened";
        case MessageType::close_publisher: return "close_publisher";
        case MessageType::close_subscriber: return "close_subscriber";
        case MessageType::closed: return "closed";
        case MessageType::goodbye: return "goodbye";
        case MessageType::farewell: return "farewell";
        case MessageType::kick: return "kick";
        case MessageType::kicked: return "kicked";
        case MessageType::stopping: return "stopping";
        case MessageType::rejoin: return "rejoin";
        case MessageType::rejoined: return "rejoined";
        case MessageType::rebuild: return "rebuild";
        case MessageType::rebuilt: return "rebuilt";
        case MessageType::create_heap: return "create_heap";
        case MessageType::heap_created: return "heap_created";
        case MessageType::open_heap: return "open_heap";
        case MessageType::heap_opened: return "heap_opened";
        case MessageType::close_heap: return "close_heap";
        case MessageType::destroy_heap: return "destroy_heap";
        case MessageType::heap_destroyed: return "heap_destroyed";
        case MessageType::grow_heap: return "grow_heap";
        case MessageType::heap_grown: return "heap_grown";
        case MessageType::grow_class: return "grow_class";
        case MessageType::class_grown: return "class_grown";
        case MessageType::relieve_class: return "relieve_class";
        case MessageType::shrink_class: return "shrink_class";
        case MessageType::class_shrunk: return "class_shrunk";
    }
    return "unknown";
}

MessageType type_of(const Body& body) {
    return std::visit([]<typename T>(const T&) { return T::type; }, body);
}

Refused refusal_of(const Error& error, std::uint64_t wanted, std::uint64_t offered) {
    std::string_view text = error.message;
    text = text.substr(0, text.find('\0'));
    std::size_t length = std::min(text.size(), refusal_bytes - 1);
    // 10xxxxxx continues a character of UTF-8: never cut in front of one.
    const auto continues = [&](std::size_t at) {
        return (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U;
    };
    while (length < text.size() && length > 0 && continues(length)) --length;
    Refused refused{};
    refused.code = static_cast<std::uint32_t>(error.code);
    refused.wanted = wanted;
    refused.offered = offered;
    std::copy_n(text.begin(), length, refused.text.chars);
    return refused;
}

Error error_of(const Refused& refused) {
    return Error{static_cast<Errc>(refused.code), std::string(refused.text.view())};
}

}  // namespace shmpool::wire
