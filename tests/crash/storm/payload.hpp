// SPDX-License-Identifier: Apache-2.0
/// What a storm writes into its slots: who wrote it and which of its messages it is, then words
/// that follow from both. A single foreign, stale or missing byte shows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace shmpool::storm {

struct Message {
    std::uint64_t writer = 0;  ///< One life of one actor: never used again.
    std::uint64_t number = 0;  ///< From 1.
};

/// The shortest payload.
inline constexpr std::size_t least_bytes = 3 * sizeof(std::uint64_t);

/// `bytes` is aligned to 8 and at least `least_bytes` long; its last 0 to 7 bytes are not used.
void write_payload(std::span<std::byte> bytes, const Message& message);

/// None if it is not exactly what `write_payload` has written into as many bytes.
[[nodiscard]] std::optional<Message> read_payload(std::span<const std::byte> bytes);

}  // namespace shmpool::storm
