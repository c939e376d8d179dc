// SPDX-License-Identifier: Apache-2.0
#include "buffer_share.hpp"

#include <algorithm>

#include "must.hpp"
#include "peer/best_fit.hpp"
#include "tests/crash/ledger.hpp"

namespace shmpool::sweep {
namespace {

using test::Ledger;

constexpr std::size_t kept = 3;  ///< From one turn to the next.
constexpr int keys_of_a_rival = 1 << 12;

}  // namespace

BufferShare::BufferShare(Board& board, Peer& peer, std::uint32_t number)
    : board_(board),
      judge_(board),
      number_(number),
      heap_(std::make_shared<SharedBestFitHeap>(
          must(peer.best_fit_heap(buffer_heap), "a rival's buffer"))) {}

bool BufferShare::change(const std::function<bool(Ledger&)>& body) {
    const auto done = heap_->change([&](BestFit& buffer) {
        Ledger ledger(buffer);
        return body(ledger);
    });
    if (!judge_.went_well(done)) return false;
    if (!*done) judge_.blame("a ledger has lost or doubled an entry of the living");
    return *done;
}

void BufferShare::insert() {
    ++taken_;
    const int key = static_cast<int>(number_) * keys_of_a_rival + taken_ % keys_of_a_rival;
    const Entry entry{key, taken_};
    if (change([&](Ledger& ledger) { return ledger.insert(entry.key, entry.amount); })) {
        entries_.push_back(entry);
    }
}

void BufferShare::look() {
    const auto right = heap_->look([&](BestFit& buffer) {
        const Ledger ledger(buffer);
        return ledger.is_balanced() && std::ranges::all_of(entries_, [&](const Entry& one) {
                   return ledger.has(one.key, one.amount);
               });
    });
    if (judge_.went_well(right) && !*right) judge_.blame("a ledger is not balanced");
}

void BufferShare::give(std::size_t keep) {
    for (; entries_.size() > keep; entries_.erase(entries_.begin())) {
        (void)change([&](Ledger& ledger) { return ledger.erase(entries_.front().key); });
    }
}

void BufferShare::work() {
    insert();
    look();
    give(kept);
}

void BufferShare::rest() {
    give(0);
}

void BufferShare::count() {
    look();
    const auto emptied = heap_->change([&](BestFit& buffer) {
        Ledger(buffer).erase_all();
        buffer.destroy<int>(constructed);
    });
    if (!judge_.went_well(emptied)) return;
    look();
    judge_.audit(*heap_, buffer_heap);
    const auto now = heap_->statistics();
    if (!judge_.went_well(now)) return;
    if (!used_when_empty_) used_when_empty_ = now->used_bytes;
    if (now->used_bytes != *used_when_empty_) ++board_.heaps_left;
}

}  // namespace shmpool::sweep
