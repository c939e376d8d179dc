// SPDX-License-Identifier: Apache-2.0
#include "peer/cli/heap_check.hpp"

#include <fmt/format.h>

#include "peer/cli/printing.hpp"
#include "peer/heaps.hpp"
#include "protocol/heap_table.hpp"

namespace shmpool::cli {

/// Twice: who dies is said to be dead before his lane is nobody's, so then the lock names nobody.
std::optional<std::string> lock_of_nobody(const Observer& observer, Peer& peer,
                                          const std::string& heap) {
    const auto glance = peer.glance_at_heap(heap);
    if (!glance || glance->holder == 0) return std::nullopt;
    const std::uint32_t lane = glance->holder - 1;
    if (!is_nobodys_lane(observer, lane)) return std::nullopt;
    const auto again = peer.glance_at_heap(heap);
    if (!again || again->holder != glance->holder) return std::nullopt;
    const std::uint32_t lanes = observer.pool().lane_count;
    return fmt::format(
        "is locked by lane {}, {}: somebody has written over its lock; the host passes it on "
        "when a peer leaves, as this command does now",
        lane, lane < lanes ? "which nobody has" : fmt::format("of {} that there are", lanes));
}

HeapCheck check_heaps(const CommonOptions& common, const Observer& observer) {
    HeapCheck check;
    const std::vector<HeapEntry> heaps = read_heaps(observer.view());
    check.heaps = static_cast<std::uint32_t>(heaps.size());
    if (heaps.empty()) return check;
    auto peer = attach(common, "shmpool doctor", Use::reads);
    if (!peer) {
        check.not_done = peer.error().message;
        return check;
    }
    const auto find = [&](const HeapEntry& heap, const std::string& text) {
        AuditFinding finding;
        finding.invariant = "I6";
        finding.text = fmt::format("heap '{}' {}", printable(heap.name), text);
        check.findings.push_back(std::move(finding));
    };
    for (const HeapEntry& heap : heaps) {
        const auto glance = peer->glance_at_heap(heap.name);
        if (!glance && glance.error().code == Errc::no_heap) continue;  // Destroyed meanwhile.
        if (!glance) {
            find(heap, "can not be opened: " + glance.error().message);
        } else if (glance->damaged) {
            find(heap, "is damaged; see 'shmpool heap audit'");
        }
        if (const auto text = lock_of_nobody(observer, *peer, heap.name)) find(heap, *text);
    }
    return check;
}

}  // namespace shmpool::cli
