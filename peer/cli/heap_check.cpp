// SPDX-License-Identifier: Apache-2.0
#include "peer/cli/heap_check.hpp"

#include <fmt/format.h>

#include "peer/cli/printing.hpp"
#include "peer/heaps.hpp"
#include "protocol/heap_table.hpp"

namespace shmpool::cli {

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
    }
    return check;
}

}  // namespace shmpool::cli
