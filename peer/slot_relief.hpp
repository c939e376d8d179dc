// SPDX-License-Identifier: Apache-2.0
/// Under grow_when_exhausted: who finds no slot has the host give the class more of them, and tries
/// again. The one place where taking a slot talks with anybody, and only when there is none.
#pragma once

#include <cstdint>

#include "peer/peer_core.hpp"

namespace shmpool {

/// Of classes that the host lets grow, and that still may, the smallest whose slots hold `bytes`.
struct ReliefWanted {
    std::uint64_t slot_bytes = 0;  ///< 0: there is none.
    std::uint32_t slots_seen = 0;
};
[[nodiscard]] ReliefWanted relief_for(PeerCore& core, std::uint64_t bytes);

/// Waits for the host, at most a second; larger steps come later, for whoever asks then. If that
/// was in vain, the host is left alone for five. False: there are no more slots than before.
[[nodiscard]] bool ask_for_relief(PeerCore& core, const ReliefWanted& wanted);

/// What `take` returns, in the end.
template <typename Take>
auto take_with_relief(PeerCore& core, std::uint64_t bytes, Take take) -> decltype(take()) {
    auto taken = take();
    while (!taken && taken.error() == Errc::exhausted) {
        const ReliefWanted wanted = relief_for(core, bytes);
        if (wanted.slot_bytes == 0) break;
        // Once more, behind the look: what others have had added since must not be doubled again.
        taken = take();
        if (taken || taken.error() != Errc::exhausted) break;
        if (!ask_for_relief(core, wanted)) break;
        taken = take();
    }
    return taken;
}

}  // namespace shmpool
