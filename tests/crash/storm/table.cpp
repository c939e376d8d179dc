// SPDX-License-Identifier: Apache-2.0
#include "table.hpp"

#include <atomic>

#include "payload.hpp"
#include "peer/best_fit.hpp"
#include "tests/crash/ledger.hpp"

namespace shmpool::storm {
namespace {

template <typename Heap>
void audit(const char* name, Heap& heap, HeapCount& count) {
    const auto findings = heap.audit();
    if (!findings) {
        count.faults.push_back(std::string("audit of heap ") + name + ": " +
                               std::string(explain(findings.error())));
        return;
    }
    for (const HeapFinding& one : *findings) {
        count.faults.push_back(std::string("heap ") + name + ", at " + std::to_string(one.at) +
                               ": " + one.text);
    }
}

void expect_none(const char* name, std::uint64_t left, HeapCount& count) {
    if (left == 0) return;
    count.lost += left;
    count.faults.push_back(std::to_string(left) + " in heap " + name +
                           " belong to nobody after all have left");
}

void count_entries(const SharedByteHeap& table, HeapCount& count) {
    if (table.root() == 0) return;
    for (std::uint64_t i = 0; i < seats_max * cells_of_seat; ++i) {
        const HeapOffset block = read_cell(table, {table.root(), 8 * i});
        if (block == 0) continue;
        count.entries += 1;
        if (!is_entry(table, block)) count.faults.push_back("an entry of the table has changed");
    }
}

}  // namespace

std::string heaps_config() {
    const auto heap = [](const char* name, const char* kind, const char* size) {
        return std::string("[[heap]]\nname = \"") + name + "\"\nkind = \"" + kind +
               "\"\nsize = \"" + size + "\"\non_death = \"reclaim\"\n";
    };
    return heap(table_heap, "tlsf", "1MiB") + heap(scratch_heap, "slab", "2MiB") +
           heap(pages_heap, "bitmap_pages", "1MiB") + "[[heap]]\nname = \"" + ledger_heap +
           "\"\nkind = \"best_fit\"\nsize = \"1MiB\"\n";
}

HeapCell cell_of(const SharedByteHeap& table, std::size_t seat, std::uint64_t number) {
    return {table.root(), sizeof(HeapOffset) * (seat * cells_of_seat + number)};
}

HeapOffset read_cell(const SharedByteHeap& table, const HeapCell& cell) {
    auto* const word = static_cast<HeapOffset*>(table.at(cell.block + cell.at));
    return std::atomic_ref(*word).load(std::memory_order_acquire);  // [A-heap-cell]
}

bool is_entry(const SharedByteHeap& table, HeapOffset block) {
    const auto* const data = static_cast<const std::byte*>(table.at(block));
    return data != nullptr && read_payload({data, entry_bytes}).has_value();
}

HeapCount count_table(Peer& peer) {
    HeapCount count;
    auto table = peer.byte_heap(table_heap);
    auto scratch = peer.byte_heap(scratch_heap);
    auto pages = peer.page_heap(pages_heap);
    auto ledger = peer.best_fit_heap(ledger_heap);
    if (!table || !scratch || !pages || !ledger) {
        count.faults.push_back("a heap can not be opened");
        return count;
    }
    audit(table_heap, *table, count);
    audit(scratch_heap, *scratch, count);
    audit(pages_heap, *pages, count);
    audit(ledger_heap, *ledger, count);
    const auto is_balanced =
        ledger->look([](BestFit& buffer) { return test::Ledger(buffer).is_balanced(); });
    if (!is_balanced.value_or(false)) count.faults.push_back("the ledger is not balanced");
    count_entries(*table, count);
    const std::uint64_t of_table = count.entries + (table->root() != 0 ? 1 : 0);
    const auto blocks = table->statistics();
    expect_none(table_heap, blocks ? blocks->blocks - of_table : 1, count);
    const auto others = scratch->statistics();
    expect_none(scratch_heap, others ? others->blocks : 1, count);
    const auto used = pages->statistics();
    expect_none(pages_heap, used ? used->used_pages : 1, count);
    return count;
}

}  // namespace shmpool::storm
