// SPDX-License-Identifier: Apache-2.0
/// Why a peer gets no slot although some are free: both quotas, what is held, and the remedy.
#pragma once

#include "peer/peer.hpp"

namespace shmpool::cli {

[[nodiscard]] inline Error explain_quota(const Peer& peer) {
    const auto report = peer.quota();
    if (!report) return report.error();
    return Error{Errc::quota_exceeded, report->text()};
}

}  // namespace shmpool::cli
