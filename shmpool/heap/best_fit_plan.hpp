// SPDX-License-Identifier: Apache-2.0
/// What a best_fit heap keeps for itself: a large journal, since a change may write to many words,
/// and one word, which says how much of the memory Boost.Interprocess has. Behind it, from a page
/// on, lies what Boost.Interprocess calls a managed buffer. It makes its own words there in the
/// first change, not when the heap is formatted: the host runs none of its code.
#pragma once

#include <algorithm>
#include <boost/version.hpp>
#include <cstdint>
#include <optional>

#include "shmpool/heap/heap_plan.hpp"
#include "shmpool/platform/alignment.hpp"
#include "shmpool/platform/atomics.hpp"

namespace shmpool {

struct BestFitPlan {
    /// An eighth of the memory that is there from the beginning: a word for every 16.
    static constexpr std::uint64_t memory_bytes_per_entry = 8 * sizeof(JournalEntry);
    static constexpr std::uint64_t entries_min = 1024;
    /// For the words of the heap itself.
    static constexpr std::uint64_t entries_of_counters = 8;

    HeapPlan heap;

    [[nodiscard]] static std::uint64_t entries_for(std::uint64_t backed_bytes) {
        return std::max(entries_min, backed_bytes / memory_bytes_per_entry);
    }
    /// None: no such heap can be.
    [[nodiscard]] static std::optional<BestFitPlan> of(std::uint64_t memory_bytes,
                                                       std::uint64_t boost_version,
                                                       std::uint64_t entries) {
        if (entries < entries_min || entries > memory_bytes / sizeof(JournalEntry)) return {};
        BestFitPlan plan;
        plan.heap.kind = HeapKind::best_fit;
        plan.heap.journal_limit = entries;
        plan.heap.settings = {boost_version, entries};
        const HeapOffset engine = plan.heap.engine_offset();
        plan.heap.engine_bytes = align_up(engine + sizeof(std::uint64_t), page_bytes) - engine;
        return plan;
    }

    /// Bytes that Boost.Interprocess manages; 0: it has not begun.
    [[nodiscard]] HeapOffset managed_bytes_at() const { return heap.engine_offset(); }
    [[nodiscard]] HeapOffset begin() const { return heap.first_free(); }
    [[nodiscard]] std::uint64_t words_of_a_change() const {
        return heap.journal_limit - entries_of_counters;
    }
};

/// Of the heap that lies there. config_mismatch (another kind; made by another release of Boost),
/// and what check_header says.
[[nodiscard]] Result<BestFitPlan> plan_of_best_fit(std::span<const std::byte> memory);

}  // namespace shmpool
