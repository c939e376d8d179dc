// SPDX-License-Identifier: Apache-2.0
/// What `shmpool doctor` sees of heaps: whether each can be opened and nobody has found nonsense in
/// it. It takes no lock, so that it holds up nobody; `shmpool heap audit` reads everything.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "peer/cli/command.hpp"
#include "peer/cli/observer.hpp"
#include "peer/peer.hpp"
#include "shmpool/pool/pool_audit.hpp"

namespace shmpool::cli {

struct HeapCheck {
    std::uint32_t heaps = 0;
    AuditFindings findings;
    std::string not_done;  ///< Why they could not be looked at; empty: they were.
};

/// What is to be said of a heap whose lock names a lane that is nobody's, behind its name; nothing
/// of any other.
[[nodiscard]] std::optional<std::string> lock_of_nobody(const Observer& observer, Peer& peer,
                                                        const std::string& heap);

/// Attaches as a read-only peer, if there are heaps.
[[nodiscard]] HeapCheck check_heaps(const CommonOptions& common, const Observer& observer);

}  // namespace shmpool::cli
