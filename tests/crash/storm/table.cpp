// SPDX-License-Identifier: Apache-2.0
#include "table.hpp"

#include <atomic>

#include "founded.hpp"
#include "payload.hpp"
#include "peer/best_fit.hpp"

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

void expect_as_written_down(const char* what, std::uint64_t wrong, HeapCount& count) {
    if (wrong == 0) return;
    count.lost += wrong;
    count.faults.push_back(std::to_string(wrong) + " " + what +
                           " are not as those who put them there have written down");
}

void check_ledger(SharedBestFitHeap& heap, const Board& board, HeapCount& count) {
    const auto wrong = heap.look([&](BestFit& buffer) {
        const auto ledger = test::Ledger::find(buffer);
        if (ledger && !ledger->is_balanced()) count.faults.push_back("the ledger is not balanced");
        std::uint64_t differ = 0;
        for (std::size_t seat = 0; seat < seats_max; ++seat) {
            differ += board->records[seat].entries.settle(
                [&](std::size_t number) { return has_entry(ledger, seat, number); });
        }
        return differ;
    });
    if (!wrong) count.faults.push_back("the ledger can not be read");
    expect_as_written_down("entries of the ledger", wrong.value_or(0), count);
}

void check_cells(const SharedByteHeap& table, const Board& board, HeapCount& count) {
    std::uint64_t wrong = 0;
    for (std::size_t seat = 0; seat < seats_max; ++seat) {
        wrong += board->records[seat].cells.settle([&](std::size_t number) {
            return table.root() != 0 && read_cell(table, cell_of(table, seat, number)) != 0;
        });
    }
    expect_as_written_down("cells of the table", wrong, count);
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
    return founded_room + heap(table_heap, "tlsf", "1MiB") + heap(scratch_heap, "slab", "2MiB") +
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

int key_of_entry(std::size_t seat, std::size_t number) {
    return static_cast<int>(seat * entries_of_seat + number);
}

bool has_entry(const std::optional<test::Ledger>& ledger, std::size_t seat, std::size_t number) {
    const int key = key_of_entry(seat, number);
    return ledger && ledger->has(key, key + 1);
}

HeapCount count_table(Peer& peer, const Board& board) {
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
    check_ledger(*ledger, board, count);
    check_cells(*table, board, count);
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
