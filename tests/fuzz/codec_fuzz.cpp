// SPDX-License-Identifier: Apache-2.0
/// Whatever a stranger sends: either refused with a sentence, or exactly what `encode` makes.
///
/// The first byte of the input says how many descriptors come with the packet that follows, and
/// which fields of its header stay as the input has them (codec_input.hpp). The others are made
/// right, so that a corpus gets past the header also when the wire's version is another.
#include <array>
#include <cstring>
#include <variant>

#include "codec_input.hpp"
#include "fuzz.hpp"
#include "protocol/wire/codec.hpp"

namespace shmpool::fuzz {
namespace {

/// All that `decode` can say, each by words of its own; the first that fit.
constexpr std::array<const char*, 12> refusals{
    "is shorter than the header",
    "wrong magic number",
    "speaks wire version",
    "promises a body",
    "unknown message type",
    " has a body of ",
    " descriptors, must be ",
    "answers nothing",
    " is not terminated",
    " has bytes behind its end",
    " has bits unknown here",
    ", must be ",  // A range, or 0.
};

template <typename... Bodies>
void add_types(std::vector<std::string>& places, const std::variant<Bodies...>*) {
    (places.emplace_back(wire::name_of(Bodies::type)), ...);
}

std::vector<std::string> all_places() {
    std::vector<std::string> places(refusals.begin(), refusals.end());
    add_types(places, static_cast<const wire::Body*>(nullptr));
    return places;
}

Reach& own_reach() {
    static Reach reach(all_places());
    return reach;
}

void note_refusal(std::string_view words) {
    const auto* const found = std::ranges::find_if(
        refusals, [&](const char* part) { return words.find(part) != std::string_view::npos; });
    own_reach().note(found == refusals.end() ? words : *found);
}

std::vector<std::byte> packet_of(std::span<const std::byte> input) {
    const auto keeps = [&](std::byte flag) { return (input[0] & flag) != std::byte{}; };
    std::vector<std::byte> packet(input.begin() + 1, input.end());
    wire::Header header{};
    if (packet.size() < sizeof(header)) return packet;
    std::memcpy(&header, packet.data(), sizeof(header));
    if (!keeps(keeps_magic)) header.magic = wire::wire_magic;
    if (!keeps(keeps_version)) header.wire_version = wire::wire_version;
    if (!keeps(keeps_length)) {
        header.body_bytes = static_cast<std::uint32_t>(packet.size() - sizeof(header));
    }
    std::memcpy(packet.data(), &header, sizeof(header));
    return packet;
}

}  // namespace

const Reach& reach() {
    return own_reach();
}

void try_input(std::span<const std::byte> input) {
    if (input.empty()) return;
    const std::size_t descriptor_count = std::to_integer<std::size_t>(input[0] & counts);
    const std::vector<std::byte> bytes = packet_of(input);
    const auto message = wire::decode(bytes, descriptor_count);
    if (!message) {
        demand(!message.error().message.empty(), "a refusal without a word");
        note_refusal(message.error().message);
        return;
    }
    own_reach().note(wire::name_of(wire::type_of(message->body)));
    const wire::Packet again = wire::encode(message->body, message->request_id);
    demand(std::ranges::equal(again.bytes(), bytes), "an accepted message is another when encoded");
    demand(wire::descriptor_count_of(message->body) == descriptor_count,
           "a message was accepted with more or fewer descriptors than it carries");
}

}  // namespace shmpool::fuzz
