// SPDX-License-Identifier: Apache-2.0
// Works in heaps. Blocks and pages of its own come and go, and are taken back when it dies. What it
// puts into its cells of the table outlives it: the next life of its seat finds it as it was.
#include <cstring>
#include <deque>

#include "actor.hpp"
#include "peer/best_fit.hpp"
#include "table.hpp"
#include "tests/crash/ledger.hpp"

namespace shmpool::storm {

namespace {

constexpr std::uint64_t most_held = 24;

class Keeper {
public:
    explicit Keeper(Actor& me) : me_(me) {}

    void keep() {
        while (begin()) {
            look_at_cells();
            look_at_entries();
            while (me_.goes_on() && !me_.once_in(500)) act();
        }
    }

private:
    struct Block {
        HeapOffset offset;
        std::size_t bytes;
    };

    bool begin() {
        held_.clear();
        runs_.clear();
        table_.reset();
        scratch_.reset();
        pages_.reset();
        ledger_.reset();
        peer_.reset();  // What it has allocated since is taken back: it leaves.
        peer_ = me_.attach();
        if (!peer_) return false;
        auto table = peer_->byte_heap(table_heap);
        auto scratch = peer_->byte_heap(scratch_heap);
        auto pages = peer_->page_heap(pages_heap);
        auto ledger = peer_->best_fit_heap(ledger_heap);
        if (!table) return can_not_open(table.error());
        if (!scratch) return can_not_open(scratch.error());
        if (!pages) return can_not_open(pages.error());
        if (!ledger) return can_not_open(ledger.error());
        table_.emplace(std::move(*table));
        scratch_.emplace(std::move(*scratch));
        pages_.emplace(std::move(*pages));
        ledger_.emplace(std::move(*ledger));
        return make_table();
    }

    bool can_not_open(const Error& why) {
        me_.complain("a heap can not be opened: " + why.message);
        return false;
    }

    /// The first one makes it; whoever dies before it is in the root leaves nothing.
    bool make_table() {
        if (table_->root() != 0) return true;
        const auto block = table_->allocate(table_bytes);
        if (!block) return said("allocate a table", block.error());
        std::memset(table_->at(*block), 0, table_bytes);
        const auto kept = table_->keep_in(*block, HeapCell::root());
        if (kept) return true;
        if (kept.error() != Errc::cell_in_use) return said("keep a table", kept.error());
        return table_->free(*block).has_value();
    }

    void act() {
        me_.board()->totals.heap_calls += 1;
        switch (me_.below(8)) {
            case 0: return fill_a_cell();
            case 1: return empty_a_cell();
            case 2: return take_or_free_pages();
            case 3: return book_or_strike();
            default: return take_or_free_a_block();
        }
    }

    // --- blocks of this life

    void take_or_free_a_block() {
        if (held_.size() >= most_held || (!held_.empty() && me_.once_in(2))) {
            const Block one = held_.front();
            held_.pop_front();
            expect_whole(*scratch_, one.offset, one.bytes);
            if (const auto freed = scratch_->free(one.offset); !freed) {
                said("free", freed.error());
            }
            return;
        }
        const std::size_t bytes = me_.draw_bytes();
        const auto block = scratch_->allocate(bytes, std::size_t{8} << me_.below(5));
        if (!block) return (void)said("allocate", block.error());
        write(*scratch_, *block, bytes);
        held_.push_back({*block, bytes});
    }

    void take_or_free_pages() {
        if (!runs_.empty() && me_.once_in(2)) {
            const Block run = runs_.front();
            runs_.pop_front();
            expect_whole(*pages_, run.offset, run.bytes);
            const auto freed = pages_->free_pages(run.offset, run.bytes / page_bytes);
            if (!freed) said("free pages", freed.error());
            return;
        }
        const std::uint64_t count = 1 + me_.below(5);
        const auto run = pages_->allocate_pages(count);
        if (!run) return (void)said("allocate pages", run.error());
        write(*pages_, *run, count * page_bytes);
        runs_.push_back({*run, count * page_bytes});
    }

    // --- entries of the ledger, which only this seat books and strikes

    void book_or_strike() {
        const std::size_t number = me_.below(entries_of_seat);
        const int key = key_of_entry(me_.life().seat, number);
        auto& record = records().entries;
        record.changes(number);
        const auto was_there = ledger_->change([&](BestFit& buffer) {
            test::Ledger ledger(buffer);
            const bool struck = ledger.erase(key);
            if (!struck) ledger.insert(key, key + 1);
            return struck;
        });
        if (!was_there) {
            record.is_as_before();
            return (void)said("book an entry", was_there.error());
        }
        if (*was_there != record.has(number)) me_.complain("an entry was booked and is not there");
        record.is(number, !*was_there);
        look_at_ledger([&](const std::optional<test::Ledger>& ledger) {
            const bool is_there = has_entry(ledger, me_.life().seat, number);
            if (is_there == *was_there) me_.complain("an entry is not as it was just booked");
        });
    }

    /// With all that the seat's earlier lives have booked.
    void look_at_entries() {
        look_at_ledger([&](const std::optional<test::Ledger>& ledger) {
            const auto wrong = records().entries.settle(
                [&](std::size_t number) { return has_entry(ledger, me_.life().seat, number); });
            if (wrong != 0) me_.complain("entries of the ledger were lost, or are there again");
        });
    }

    template <typename Look>
    void look_at_ledger(Look look) {
        const auto looked = ledger_->look([&](BestFit& buffer) {
            const auto ledger = test::Ledger::find(buffer);
            if (ledger && !ledger->is_balanced()) me_.complain("the ledger is not balanced");
            look(ledger);
        });
        if (!looked) said("look at the ledger", looked.error());
    }

    // --- cells, which only this seat fills and empties

    [[nodiscard]] SeatRecords& records() const { return me_.board()->records[me_.life().seat]; }
    [[nodiscard]] HeapCell cell(std::uint64_t number) const {
        return cell_of(*table_, me_.life().seat, number);
    }
    [[nodiscard]] HeapOffset content_of(std::uint64_t number) const {
        return read_cell(*table_, cell(number));
    }

    /// What an earlier life has left half done is undone by who takes the lock.
    void look_at_cells() {
        if (const auto now = table_->statistics(); !now) said("look at the table", now.error());
        for (std::uint64_t i = 0; i < cells_of_seat; ++i) {
            if (const HeapOffset block = content_of(i); block != 0) expect_entry(block);
        }
        const auto wrong =
            records().cells.settle([&](std::size_t number) { return content_of(number) != 0; });
        if (wrong != 0) me_.complain("cells are empty or full that were not left so");
    }

    void fill_a_cell() {
        const std::uint64_t number = me_.below(cells_of_seat);
        const std::size_t bytes = entry_bytes;
        const auto block = table_->allocate(bytes);
        if (!block) return (void)said("allocate an entry", block.error());
        write(*table_, *block, bytes);
        const bool was_full = content_of(number) != 0;
        auto& record = records().cells;
        if (was_full != record.has(number)) me_.complain("a cell is not as it was left");
        record.changes(number);
        const auto kept = table_->keep_in(*block, cell(number));
        if (kept.has_value() == was_full) me_.complain("a cell was full and empty");
        record.is(number, was_full || kept.has_value());
        if (kept) return;
        if (kept.error() != Errc::cell_in_use) said("keep an entry", kept.error());
        if (const auto freed = table_->free(*block); !freed) said("free an entry", freed.error());
    }

    void empty_a_cell() {
        const std::uint64_t number = me_.below(cells_of_seat);
        const HeapOffset block = content_of(number);
        if (block == 0) return;
        expect_entry(block);
        records().cells.changes(number);
        if (const auto freed = table_->free_from(cell(number)); !freed) {
            said("empty a cell", freed.error());
        }
        records().cells.is(number, false);
        if (content_of(number) != 0) me_.complain("a cell that was emptied is full");
    }

    // --- contents

    template <typename Heap>
    void write(Heap& heap, HeapOffset block, std::size_t bytes) {
        auto* const data = static_cast<std::byte*>(heap.at(block));
        write_payload({data, bytes / 8 * 8}, {me_.name(), ++written_});
    }
    template <typename Heap>
    void expect_whole(Heap& heap, HeapOffset block, std::size_t bytes) {
        const auto* const data = static_cast<const std::byte*>(heap.at(block));
        const auto message = read_payload({data, bytes / 8 * 8});
        if (!message || message->writer != me_.name()) {
            me_.complain("somebody has written into its block");
        }
    }
    /// Of this life, or of one before it.
    void expect_entry(HeapOffset block) {
        if (!is_entry(*table_, block)) me_.complain("an entry of the table is not as it was");
    }

    /// A heap may be full. Always false.
    bool said(const char* what, Errc why) {
        if (why == Errc::no_memory) {
            me_.board()->totals.full += 1;
        } else {
            me_.complain(what, why);
        }
        return false;
    }

    Actor& me_;
    std::optional<Peer> peer_;
    std::optional<SharedByteHeap> table_;
    std::optional<SharedByteHeap> scratch_;
    std::optional<SharedPageHeap> pages_;
    std::optional<SharedBestFitHeap> ledger_;
    std::deque<Block> held_;
    std::deque<Block> runs_;
    std::uint64_t written_ = 0;
};

}  // namespace

void play_keeper(Actor& me) {
    Keeper(me).keep();
}

}  // namespace shmpool::storm
