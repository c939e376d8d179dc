// SPDX-License-Identifier: Apache-2.0
/// What the numbers in the event queue stand for. Never a pointer: a token may outlive its thing,
/// and session numbers and peers' incarnations never come back.
#pragma once

#include <cstdint>

#include "host/peer_registry.hpp"

namespace shmpool::host {

enum class TokenKind : std::uint8_t { signals, listener, beacons, heaps, session, process };

[[nodiscard]] constexpr std::uint64_t make_token(TokenKind kind, std::uint64_t value = 0) {
    return (std::uint64_t{static_cast<std::uint8_t>(kind)} << 56) | value;
}
[[nodiscard]] constexpr std::uint64_t token_of(PeerId peer) {
    static_assert(peer_count_max <= 0xFFFF);
    return make_token(TokenKind::process, (std::uint64_t{peer.incarnation} << 16) | peer.index);
}
[[nodiscard]] constexpr TokenKind token_kind(std::uint64_t token) {
    return static_cast<TokenKind>(token >> 56);
}
[[nodiscard]] constexpr std::uint64_t token_value(std::uint64_t token) {
    return token & ((std::uint64_t{1} << 56) - 1);
}
[[nodiscard]] constexpr PeerId token_peer(std::uint64_t token) {
    return {static_cast<std::uint32_t>(token & 0xFFFF),
            static_cast<std::uint32_t>(token_value(token) >> 16)};
}

}  // namespace shmpool::host
