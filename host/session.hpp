// SPDX-License-Identifier: Apache-2.0
/// One connection to the control socket.
#pragma once

#include <cstdint>

#include "host/peer_registry.hpp"
#include "protocol/wire/local_socket.hpp"

namespace shmpool::host {

enum class SessionRole : std::uint8_t { unintroduced, peer, observer };

struct Session {
    std::uint64_t id = no_session;
    LocalConnection connection;
    Credentials credentials{};
    std::uint64_t accepted_ns = 0;
    SessionRole role = SessionRole::unintroduced;
    PeerId peer;  ///< If `role` is peer.
};

}  // namespace shmpool::host
