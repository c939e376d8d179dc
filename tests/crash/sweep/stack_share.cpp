// SPDX-License-Identifier: Apache-2.0
#include "stack_share.hpp"

#include <algorithm>

#include "must.hpp"

namespace shmpool::sweep {
namespace {

constexpr std::size_t kept = 4;  ///< Of each heap, from one turn to the next.

/// Of free blocks of slabs, which are not joined again: who recovers looks at each.
constexpr std::uint64_t worn_len = 6 << 10;

bool is_refusal(Errc code) {
    return code == Errc::not_allocated || code == Errc::invalid_argument;
}

}  // namespace

StackShare::StackShare(Board& board, Peer& peer, std::uint32_t number)
    : board_(board),
      judge_(board),
      number_(number),
      linear_(must(peer.stack_heap(linear_heap), "a rival's stack")) {
    const auto open = [&](const char* name, std::size_t lengths) {
        shares_.push_back({name, lengths, must(peer.stack_heap(name), "a rival's stack")});
    };
    for (const char* const name : {first_fit_heap, ghost_heap}) open(name, stack_lengths.size());
    for (const char* const name : slab_heaps) open(name, 1);
}

void StackShare::work() {
    for (Share& share : shares_) {
        for (int i = 0; i < 2; ++i) take(share);
        resize(share);
        give(share, kept);
    }
    use_for_a_moment(linear_);
}

void StackShare::rest() {
    for (Share& share : shares_) give(share, 0);
}

/// New memory is zero.
void StackShare::mark_new(SharedStackHeap& heap, Block& block) {
    const auto bytes = heap.bytes(block.handle);
    const auto is_zero = [](std::byte one) { return one == std::byte{0}; };
    if (!std::ranges::all_of(bytes, is_zero)) judge_.blame("a block was not zero");
    block.mark = {number_ + 1, ++taken_};
    write_mark(bytes, block.mark);
}

void StackShare::take(Share& share) {
    const auto handle = share.heap.alloc(stack_lengths[taken_ % share.lengths]);
    if (!judge_.went_well(handle)) return;
    share.blocks.push_back({*handle, {}});
    mark_new(share.heap, share.blocks.back());
}

/// What both lengths have must be as it was.
void StackShare::resize(Share& share) {
    if (share.blocks.empty() || share.lengths == 1) return;
    Block& block = share.blocks[taken_ % share.blocks.size()];
    const std::uint64_t old = block.handle.len;
    const auto handle =
        share.heap.realloc(block.handle, stack_lengths[(taken_ + 1) % share.lengths]);
    if (!judge_.went_well(handle)) return;
    block.handle = *handle;
    const auto bytes = share.heap.bytes(block.handle);
    judge_.look_at(bytes.first(std::min(old, handle->len)), block.mark);
    block.mark.number = ++taken_;
    write_mark(bytes, block.mark);
}

void StackShare::give(Share& share, std::size_t keep) {
    for (; share.blocks.size() > keep; share.blocks.erase(share.blocks.begin())) {
        const Block& block = share.blocks.front();
        judge_.look_at(share.heap.bytes(block.handle), block.mark);
        (void)judge_.went_well(share.heap.dealloc(block.handle));
    }
}

/// To free what is not the last one is no error, and gives nothing back before the count.
void StackShare::use_for_a_moment(SharedStackHeap& linear) {
    const auto handle = linear.alloc(short_len);
    if (!judge_.went_well(handle)) return;
    Block block{*handle, {}};
    mark_new(linear, block);
    judge_.look_at(linear.bytes(block.handle), block.mark);
    (void)judge_.went_well(linear.dealloc(block.handle));
}

void StackShare::give_back_what_is_left(SharedStackHeap& heap, std::uint64_t len) {
    for (HeapOffset at = 0; at < len; at += 8) {
        for (const std::uint64_t length : stack_lengths) {
            const auto freed = heap.dealloc(heap.handle_of(at, length));
            if (!freed && !is_refusal(freed.error())) (void)judge_.went_well(freed);
        }
    }
}

void StackShare::expect_nothing_in(SharedStackHeap& heap, const std::string& name) {
    const auto now = heap.statistics();
    if (!judge_.went_well(now)) return;
    if (now->used_bytes != 0 || now->blocks != 0) ++board_.heaps_left;
    if (now->len > worn_len) board_.heaps_worn = true;
    judge_.audit(heap, name);
}

void StackShare::count() {
    if (const auto len = linear_.len(); judge_.went_well(len)) {
        (void)judge_.went_well(linear_.dealloc(linear_.handle_of(0, *len)));
    }
    expect_nothing_in(linear_, linear_heap);
    for (Share& share : shares_) {
        const auto now = share.heap.statistics();
        if (judge_.went_well(now) && now->used_bytes != 0) {
            give_back_what_is_left(share.heap, now->len);
        }
        const auto unsure = share.heap.recover();
        if (judge_.went_well(unsure) && *unsure != 0) judge_.blame(share.name + ": is not sure");
        expect_nothing_in(share.heap, share.name);
    }
}

}  // namespace shmpool::sweep
