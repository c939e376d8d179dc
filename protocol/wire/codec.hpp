// SPDX-License-Identifier: Apache-2.0
/// Messages to bytes and back. Pure: no sockets, no state, so that it can be fuzzed. `decode` takes
/// whatever a stranger sent and lets through only what `encode` could have made: right magic,
/// version, type and exact size; texts terminated and zero behind their end; enumerations, flags
/// and reserved fields in range; and as many descriptors as that message carries, no more and no
/// fewer. Hence decode(encode(m)) == m, and encode(decode(b)) == b for every b that is accepted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "protocol/wire/messages.hpp"
#include "protocol/wire/packet.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool::wire {

[[nodiscard]] Packet encode(const Body& body, std::uint32_t request_id);

/// Fails with `protocol_violation` and a sentence that names field and value.
[[nodiscard]] Result<Message> decode(std::span<const std::byte> bytes,
                                     std::size_t descriptor_count);

/// How many descriptors travel with this message.
[[nodiscard]] std::size_t descriptor_count_of(const Body& body);

/// "open_publisher", for logs and errors.
[[nodiscard]] std::string_view name_of(MessageType type);
[[nodiscard]] MessageType type_of(const Body& body);

/// An error as an answer: a text that is too long is cut between characters.
[[nodiscard]] Refused refusal_of(const Error& error, std::uint64_t wanted = 0,
                                 std::uint64_t offered = 0);

/// The error that the other side meant.
[[nodiscard]] Error error_of(const Refused& refused);

}  // namespace shmpool::wire
