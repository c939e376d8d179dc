// SPDX-License-Identifier: Apache-2.0
#include "payload.hpp"

namespace shmpool::storm {
namespace {

/// Odd, with bits all over (of the golden ratio): neighbours and lives differ in every byte.
constexpr std::uint64_t stride = 0x9E37'79B9'7F4A'7C15;

std::uint64_t first_word(const Message& message, std::size_t bytes) {
    return (message.writer * stride) ^ (message.number + 1) * (stride << 1U | 1U) ^ bytes;
}

}  // namespace

void write_payload(std::span<std::byte> bytes, const Message& message) {
    auto* const words = reinterpret_cast<std::uint64_t*>(bytes.data());
    const std::size_t count = bytes.size() / sizeof(std::uint64_t);
    words[0] = message.writer;
    words[1] = message.number;
    std::uint64_t word = first_word(message, bytes.size());
    for (std::size_t i = 2; i < count; ++i, word += stride) words[i] = word;
}

std::optional<Message> read_payload(std::span<const std::byte> bytes) {
    if (bytes.size() < least_bytes) return std::nullopt;
    const auto* const words = reinterpret_cast<const std::uint64_t*>(bytes.data());
    const std::size_t count = bytes.size() / sizeof(std::uint64_t);
    const Message message{words[0], words[1]};
    std::uint64_t word = first_word(message, bytes.size());
    std::uint64_t differences = 0;
    for (std::size_t i = 2; i < count; ++i, word += stride) differences |= words[i] ^ word;
    if (differences != 0) return std::nullopt;
    return message;
}

}  // namespace shmpool::storm
