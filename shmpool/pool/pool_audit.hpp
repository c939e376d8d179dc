// SPDX-License-Identifier: Apache-2.0
/// A walk over everything in a pool that names the first broken invariants. Exact on a quiet pool;
/// on a moving pool `audit_moving` looks several times and reports only what stays the same.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "shmpool/pool/pool_view.hpp"

namespace shmpool {

struct AuditFinding {
    std::string invariant;  ///< "I1" .. "I6".
    std::uint32_t class_index = 0;
    std::uint32_t slot_index = no_slot;
    std::uint64_t word = 0;  ///< The control word that was seen.
    std::string text;
    std::uint64_t writer = 0;  ///< Owner id of whom alone the word is; 0: more than one writes it.

    friend bool operator==(const AuditFinding&, const AuditFinding&) = default;
};

/// At most `limit` findings; empty means that every invariant held.
[[nodiscard]] std::vector<AuditFinding> audit(const PoolView& pool, std::size_t limit = 100);

using AuditFindings = std::vector<AuditFinding>;

/// What each of several looks finds in the same words: for memory that moves meanwhile.
[[nodiscard]] AuditFindings found_at_every_look(const std::function<AuditFindings()>& look);

/// `audit`, in several looks.
[[nodiscard]] AuditFindings audit_moving(const PoolView& pool, std::size_t limit = 100);

}  // namespace shmpool
