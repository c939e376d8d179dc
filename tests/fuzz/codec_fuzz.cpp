// SPDX-License-Identifier: Apache-2.0
/// Whatever a stranger sends: either refused with a sentence, or exactly what `encode` makes.
#include "fuzz.hpp"
#include "protocol/wire/codec.hpp"

namespace shmpool::fuzz {

void try_input(std::span<const std::byte> input) {
    if (input.empty()) return;
    const std::size_t descriptor_count = std::to_integer<std::size_t>(input[0]) % 4;
    const auto bytes = input.subspan(1);
    const auto message = wire::decode(bytes, descriptor_count);
    if (!message) {
        demand(!message.error().message.empty(), "a refusal without a word");
        return;
    }
    const wire::Packet again = wire::encode(message->body, message->request_id);
    demand(std::ranges::equal(again.bytes(), bytes), "an accepted message is another when encoded");
    demand(wire::descriptor_count_of(message->body) == descriptor_count,
           "a message was accepted with more or fewer descriptors than it carries");
}

}  // namespace shmpool::fuzz
