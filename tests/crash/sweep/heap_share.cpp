// SPDX-License-Identifier: Apache-2.0
#include "heap_share.hpp"

#include <unistd.h>

#include "must.hpp"
#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool::sweep {
namespace {

constexpr std::uint64_t heap_bytes = 64 << 10;
constexpr std::uint64_t id_count = 4000;
constexpr std::size_t kept = 4;  ///< Of each heap, from one turn to the next.
constexpr std::chrono::seconds until_taken_back{
    2};  ///< By the host; only turns a hang into a finding.

std::string section(const std::string& name, const std::string& kind, const std::string& more) {
    return "[[heap]]\nname = \"" + name + "\"\nkind = \"" + kind +
           "\"\nsize = " + std::to_string(heap_bytes) + "\n" + more;
}

std::string stacks_config() {
    std::string text;
    for (const char* const name : {linear_heap, first_fit_heap, ghost_heap}) {
        text += section(name, name, "");
    }
    for (const char* const name : slab_heaps) {
        text += section(name, name, "block_size = " + std::to_string(slab_block_bytes) + "\n");
    }
    return text;
}

}  // namespace

std::string heaps_config() {
    const std::string reclaim = "on_death = \"reclaim\"\n";
    std::string text;
    for (const char* const name : byte_heaps) text += section(name, name, reclaim);
    return text + section(page_heap, "bitmap_pages", reclaim) +
           section(page_chain, "page_chain", reclaim) +
           section(id_heap, "ids",
                   reclaim + "first_id = " + std::to_string(first_id) +
                       "\nids = " + std::to_string(id_count) + "\n") +
           section(
               object_heap, "slab_cache",
               reclaim + "block_size = " + std::to_string(object_bytes) + "\npage_size = 1024\n") +
           stacks_config() + section(buffer_heap, "best_fit", "");
}

HeapShare::HeapShare(Board& board, Peer& peer, std::uint32_t number)
    : board_(board),
      judge_(board),
      peer_(peer),
      number_(number),
      pages_{must(peer.page_heap(page_heap), "a rival's pages")},
      chain_{must(peer.page_chain(page_chain), "a rival's chain of pages")},
      ids_{must(peer.id_heap(id_heap), "a rival's ids")},
      objects_{must(peer.object_heap(object_heap), "a rival's objects")},
      stacks_(board, peer, number),
      buffer_(board, peer, number) {
    for (const char* const name : byte_heaps) {
        bytes_.push_back({must(peer.byte_heap(name), "a rival's heap")});
    }
}

void HeapShare::work() {
    for (int i = 0; i < 3; ++i) {
        for (auto& share : bytes_) take_bytes(share);
    }
    take_pages();
    take_chained_pages();
    take_ids();
    for (int i = 0; i < 3; ++i) take_object();
    give(kept);
    stacks_.work();
    buffer_.work();
}

void HeapShare::rest() {
    give(0);
    stacks_.rest();
    buffer_.rest();
}

void HeapShare::take_bytes(Share<SharedByteHeap>& share) {
    const std::uint64_t bytes = 32 + taken_ * 56 % 1000;
    const auto block = share.heap.allocate(bytes, 16U << (taken_ % 4));
    if (!judge_.went_well(block)) return;
    const Mark mark{number_ + 1, ++taken_};
    write_mark({static_cast<std::byte*>(share.heap.at(*block)), bytes}, mark);
    share.blocks.push_back({*block, bytes, mark});
}

void HeapShare::take_pages() {
    const std::uint64_t count = 1 + taken_ % 3;
    const auto run = pages_.heap.allocate_pages(count);
    if (!judge_.went_well(run)) return;
    const Mark mark{number_ + 1, ++taken_};
    write_mark({static_cast<std::byte*>(pages_.heap.at(*run)), count * page_bytes}, mark);
    pages_.blocks.push_back({*run, count * page_bytes, mark});
}

/// Every second one is pinned, for the host to find when this rival dies.
void HeapShare::take_chained_pages() {
    const auto page = chain_.heap.allocate();
    if (!judge_.went_well(page)) return;
    const Mark mark{number_ + 1, ++taken_};
    write_mark(chain_.heap.bytes(*page), mark);
    if (taken_ % 2 == 0) (void)judge_.went_well(chain_.heap.pin(*page));
    chain_.blocks.push_back({*page, page_bytes, mark});
}

void HeapShare::take_ids() {
    const std::uint64_t count = 1 + taken_ % 70;
    const auto first = ids_.heap.allocate_id(count);
    if (judge_.went_well(first)) ids_.blocks.push_back({*first, count, {number_ + 1, ++taken_}});
}

void HeapShare::take_object() {
    const auto object = objects_.heap.allocate();
    if (!judge_.went_well(object)) return;
    const Mark mark{number_ + 1, ++taken_};
    write_mark({static_cast<std::byte*>(objects_.heap.at(*object)), object_bytes}, mark);
    objects_.blocks.push_back({*object, object_bytes, mark});
}

void HeapShare::look_at(const Block& block, void* address) {
    judge_.look_at({static_cast<const std::byte*>(address), block.bytes}, block.mark);
}

void HeapShare::give(std::size_t keep) {
    const auto give_all = [&](auto& share, auto free) {
        for (; share.blocks.size() > keep; share.blocks.erase(share.blocks.begin())) {
            (void)judge_.went_well(free(share, share.blocks.front()));
        }
    };
    for (auto& share : bytes_) {
        give_all(share, [&](auto& of, const Block& block) {
            look_at(block, of.heap.at(block.offset));
            return of.heap.free(block.offset);
        });
    }
    give_all(pages_, [&](auto& of, const Block& block) {
        look_at(block, of.heap.at(block.offset));
        return of.heap.free_pages(block.offset, block.bytes / page_bytes);
    });
    give_all(objects_, [&](auto& of, const Block& block) {
        look_at(block, of.heap.at(block.offset));
        return of.heap.free(block.offset);
    });
    give_all(chain_, [&](auto& of, const Block& block) {
        look_at(block, of.heap.bytes(block.offset).data());
        const auto unpinned = of.heap.unpin(block.offset);
        return unpinned || unpinned.error() == Errc::not_pinned ? of.heap.free(block.offset)
                                                                : unpinned;
    });
    give_all(ids_, [](auto& of, const Block& block) {
        return of.heap.free_id(block.offset, block.bytes);
    });
}

/// What a victim has put there is nobody's else. That it can be freed shows that it was whole.
template <typename Heap>
void HeapShare::empty_cell(const Heap& heap, const Outcome<void>& freed) {
    const bool was_empty = !freed && freed.error() == Errc::not_allocated && heap.root() == 0;
    if (!was_empty) (void)judge_.went_well(freed);
}

void HeapShare::empty_cells() {
    const HeapCell root = HeapCell::root();
    for (auto& share : bytes_) empty_cell(share.heap, share.heap.free_from(root));
    empty_cell(pages_.heap, pages_.heap.free_pages_from(pages_in_cell, root));
    empty_cell(objects_.heap, objects_.heap.free_from(root));
}

Outcome<void> HeapShare::free_unit(const std::string& heap, std::uint64_t first,
                                   std::uint64_t number) {
    if (heap == page_heap) return pages_.heap.free_pages(first + number * page_bytes, 1);
    if (heap == page_chain) return chain_.heap.free(first + number);
    if (heap == id_heap) return ids_.heap.free_id(first + number);
    if (heap == object_heap) return objects_.heap.free(first);
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
        if (heap == byte_heaps[i]) return bytes_[i].heap.free(first);
    }
    return fail(Errc::no_heap);
}

/// It is nobody's if the victim came so far, else the host takes it back. Unit by unit: some may be
/// kept, and others not.
void HeapShare::free_kept() {
    const char* const heap = board_.kept_in.exchange(nullptr);
    if (heap == nullptr) return;
    for (std::uint64_t number = 0; number < board_.kept_count; ++number) {
        const auto freed = free_unit(heap, board_.kept_first, number);
        const bool was_reclaimed = !freed && freed.error() == Errc::not_allocated;
        if (!was_reclaimed) (void)judge_.went_well(freed);
    }
}

/// What a death in the middle has left of it is right by its audit.
void HeapShare::look_at_own_ids() {
    if (!board_.has_own_ids.exchange(false)) return;
    auto ids = must(peer_.id_heap(own_ids), "the dead one's ids");
    judge_.audit(ids, own_ids);
}

std::uint32_t HeapShare::count_left() {
    std::vector<std::string> names(std::begin(byte_heaps), std::end(byte_heaps));
    names.insert(names.end(), {page_heap, page_chain, id_heap, object_heap});
    std::uint32_t left = 0;
    for (const std::string& name : names) {
        left += must(peer_.glance_at_heap(name), "a glance").used != 0 ? 1U : 0U;
    }
    return left;
}

void HeapShare::count() {
    // Beside somebody who is stopped not: it is his.
    const bool all_is_ours = board_.nothing_may_block;
    empty_cells();
    if (all_is_ours) free_kept();
    const Deadline deadline = Deadline::after(until_taken_back);
    do board_.heaps_left = count_left();
    while (board_.heaps_left != 0 && !deadline.expired() && ::usleep(1000) == 0);
    for (std::size_t i = 0; i < bytes_.size(); ++i) judge_.audit(bytes_[i].heap, byte_heaps[i]);
    judge_.audit(pages_.heap, page_heap);
    judge_.audit(chain_.heap, page_chain);
    judge_.audit(ids_.heap, id_heap);
    judge_.audit(objects_.heap, object_heap);
    if (!all_is_ours) return;
    look_at_own_ids();
    stacks_.count();
    buffer_.count();
}

}  // namespace shmpool::sweep
