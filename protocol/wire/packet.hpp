// SPDX-License-Identifier: Apache-2.0
/// The bytes of one message on their way through the socket, in a buffer that holds the longest.
/// Nothing is said about what they mean: that is codec.hpp's.
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace shmpool::wire {

/// Room for header and the longest body; codec.cpp asserts it. A longer packet is refused unread.
inline constexpr std::size_t packet_bytes_max = 1152;

/// The most descriptors that any message carries.
inline constexpr std::size_t packet_descriptors_max = 3;

struct Packet {
    std::array<std::byte, packet_bytes_max> buffer;
    std::size_t length_bytes = 0;

    [[nodiscard]] std::span<const std::byte> bytes() const {
        return std::span(buffer).first(length_bytes);
    }
};

}  // namespace shmpool::wire
