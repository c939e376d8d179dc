// SPDX-License-Identifier: Apache-2.0
/// The heaps of a storm: blocks and pages that go with who has allocated them, and a table of cells
/// whose entries stay. Each seat has cells of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "board.hpp"
#include "peer/heaps.hpp"
#include "peer/peer.hpp"
#include "tests/crash/ledger.hpp"

namespace shmpool::storm {

inline constexpr const char* table_heap = "table";
inline constexpr const char* scratch_heap = "scratch";
inline constexpr const char* pages_heap = "pages";
/// Of kind best_fit; see tests/crash/ledger.hpp.
inline constexpr const char* ledger_heap = "ledger";

inline constexpr std::uint64_t table_bytes = seats_max * cells_of_seat * sizeof(HeapOffset);
inline constexpr std::uint64_t entry_bytes = 200;

/// Of the host, so that they are there from the beginning.
[[nodiscard]] std::string heaps_config();

/// The table is there.
[[nodiscard]] HeapCell cell_of(const SharedByteHeap& table, std::size_t seat, std::uint64_t number);
/// 0: it is empty.
[[nodiscard]] HeapOffset read_cell(const SharedByteHeap& table, const HeapCell& cell);
/// What lies there is what some writer has written.
[[nodiscard]] bool is_entry(const SharedByteHeap& table, HeapOffset block);

struct HeapCount {
    std::uint64_t entries = 0;
    std::uint64_t lost = 0;  ///< Blocks and pages that nobody has, and that are not free.
    std::vector<std::string> faults;
};

/// In a change or a look at the ledger.
[[nodiscard]] int key_of_entry(std::size_t seat, std::size_t number);
/// Entry number `number` of the seat is in the ledger.
[[nodiscard]] bool has_entry(const std::optional<test::Ledger>& ledger, std::size_t seat,
                             std::size_t number);

/// When nobody else is there.
[[nodiscard]] HeapCount count_table(Peer& peer, const Board& board);

}  // namespace shmpool::storm
