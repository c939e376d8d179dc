// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "codec_input.hpp"
#include "fuzz.hpp"
#include "tests/protocol/wire/good_messages.hpp"

namespace shmpool::fuzz {
namespace {

Seed seed_of(std::string name, std::byte first, std::span<const std::byte> packet) {
    Seed seed{std::move(name), std::vector<std::byte>(1 + packet.size(), first)};
    std::ranges::copy(packet, seed.bytes.begin() + 1);
    return seed;
}

Seed seed_of(std::string name, const wire::Body& body) {
    return seed_of(std::move(name), static_cast<std::byte>(wire::descriptor_count_of(body)),
                   wire::encode(body, wire::request_id_for(body)).bytes());
}

/// A message with another header, of which `kept` stays.
template <typename Change>
Seed with_header(std::string name, std::byte kept, Change change) {
    wire::Packet packet = wire::encode(wire::good_hello(), 42);
    wire::Header header{};
    std::memcpy(&header, packet.buffer.data(), sizeof(header));
    change(header);
    std::memcpy(packet.buffer.data(), &header, sizeof(header));
    return seed_of(std::move(name), kept, packet.bytes());
}

void add_wrong_headers(std::vector<Seed>& all) {
    const wire::Packet hello = wire::encode(wire::good_hello(), 42);
    all.push_back(seed_of("refused_short", {}, hello.bytes().first(sizeof(wire::Header) - 1)));
    all.push_back(with_header("refused_magic", keeps_magic, [](auto& h) { h.magic = 0; }));
    all.push_back(
        with_header("refused_version", keeps_version, [](auto& h) { h.wire_version = 0; }));
    all.push_back(with_header("refused_length", keeps_length, [](auto& h) { ++h.body_bytes; }));
    all.push_back(with_header("refused_type", {}, [](auto& h) { h.type = 0xFFFF; }));
    all.push_back(with_header("refused_size", {}, [](auto& h) {
        h.type = static_cast<std::uint16_t>(wire::MessageType::kick);
    }));
    all.push_back(seed_of("refused_descriptors", counts, hello.bytes()));
    all.push_back(
        seed_of("refused_announcement", {}, wire::encode(wire::Stopping{100}, 7).bytes()));
}

void add_wrong_bodies(std::vector<Seed>& all) {
    wire::Hello endless = wire::good_hello();
    std::memset(endless.pool_name.chars, 'x', name_bytes);
    all.push_back(seed_of("refused_endless_text", endless));
    wire::Hello behind = wire::good_hello();
    behind.peer_name.chars[name_bytes - 1] = 'x';
    all.push_back(seed_of("refused_behind_text", behind));
    wire::Hello flags = wire::good_hello();
    flags.flags = 1U << 7U;
    all.push_back(seed_of("refused_flags", flags));
    all.push_back(seed_of("refused_range", wire::SubscriberOpened{0, 0, 60}));
    all.push_back(seed_of("refused_reserved", wire::GrowClass{64, 1, 7}));
}

}  // namespace

std::vector<Seed> seeds() {
    std::vector<Seed> all;
    for (const wire::Body& body : wire::one_of_each()) {
        all.push_back(seed_of("accepted_" + std::string(wire::name_of(wire::type_of(body))), body));
    }
    wire::Welcome observer = wire::good_welcome();
    observer.peer_index = wire::no_peer;
    all.push_back(seed_of("accepted_welcome_of_an_observer", observer));
    add_wrong_headers(all);
    add_wrong_bodies(all);
    return all;
}

}  // namespace shmpool::fuzz
