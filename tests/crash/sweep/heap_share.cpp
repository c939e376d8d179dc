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
           "\"\nsize = " + std::to_string(heap_bytes) + "\non_death = \"reclaim\"\n" + more;
}

}  // namespace

std::string heaps_config() {
    std::string text;
    for (const char* const name : byte_heaps) text += section(name, name, "");
    return text + section(page_heap, "bitmap_pages", "") + section(page_chain, "page_chain", "") +
           section(id_heap, "ids",
                   "first_id = " + std::to_string(first_id) +
                       "\nids = " + std::to_string(id_count) + "\n") +
           section(object_heap, "slab_cache",
                   "block_size = " + std::to_string(object_bytes) + "\npage_size = 1024\n");
}

HeapShare::HeapShare(Board& board, Peer& peer, std::uint32_t number)
    : board_(board),
      peer_(peer),
      number_(number),
      pages_{must(peer.page_heap(page_heap), "a rival's pages")},
      chain_{must(peer.page_chain(page_chain), "a rival's chain of pages")},
      ids_{must(peer.id_heap(id_heap), "a rival's ids")},
      objects_{must(peer.object_heap(object_heap), "a rival's objects")} {
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
}

void HeapShare::rest() {
    give(0);
}

template <typename Value>
bool HeapShare::went_well(const Outcome<Value>& outcome) {
    if (outcome) return true;
    if (outcome.error() == Errc::no_memory) return false;
    std::atomic<std::uint32_t>& count =
        outcome.error() == Errc::would_block ? board_.blocked : board_.heaps_broken;
    ++count;
    return false;
}

void HeapShare::take_bytes(Share<SharedByteHeap>& share) {
    const std::uint64_t bytes = 32 + taken_ * 56 % 1000;
    const auto block = share.heap.allocate(bytes, 16U << (taken_ % 4));
    if (!went_well(block)) return;
    const Mark mark{number_ + 1, ++taken_};
    write_mark({static_cast<std::byte*>(share.heap.at(*block)), bytes}, mark);
    share.blocks.push_back({*block, bytes, mark});
}

void HeapShare::take_pages() {
    const std::uint64_t count = 1 + taken_ % 3;
    const auto run = pages_.heap.allocate_pages(count);
    if (!went_well(run)) return;
    const Mark mark{number_ + 1, ++taken_};
    write_mark({static_cast<std::byte*>(pages_.heap.at(*run)), count * page_bytes}, mark);
    pages_.blocks.push_back({*run, count * page_bytes, mark});
}

/// Every second one is pinned, for the host to find when this rival dies.
void HeapShare::take_chained_pages() {
    const auto page = chain_.heap.allocate();
    if (!went_well(page)) return;
    const Mark mark{number_ + 1, ++taken_};
    write_mark(chain_.heap.bytes(*page), mark);
    if (taken_ % 2 == 0) (void)went_well(chain_.heap.pin(*page));
    chain_.blocks.push_back({*page, page_bytes, mark});
}

void HeapShare::take_ids() {
    const std::uint64_t count = 1 + taken_ % 70;
    const auto first = ids_.heap.allocate_id(count);
    if (went_well(first)) ids_.blocks.push_back({*first, count, {number_ + 1, ++taken_}});
}

void HeapShare::take_object() {
    const auto object = objects_.heap.allocate();
    if (!went_well(object)) return;
    const Mark mark{number_ + 1, ++taken_};
    write_mark({static_cast<std::byte*>(objects_.heap.at(*object)), object_bytes}, mark);
    objects_.blocks.push_back({*object, object_bytes, mark});
}

void HeapShare::look_at(const Block& block, void* address) {
    const std::span<const std::byte> payload{static_cast<const std::byte*>(address), block.bytes};
    if (read_mark(payload) != block.mark) ++board_.changed;
}

void HeapShare::give(std::size_t keep) {
    const auto give_all = [&](auto& share, auto free) {
        for (; share.blocks.size() > keep; share.blocks.erase(share.blocks.begin())) {
            (void)went_well(free(share, share.blocks.front()));
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

template <typename Heap>
void HeapShare::audit(Heap& heap, const std::string& name) {
    const auto findings = heap.audit();
    if (!went_well(findings) || findings->empty()) return;
    ++board_.heaps_broken;
    board_.complain(name + ": " + findings->front().text);
}

/// What a victim has put there is nobody's else. That it can be freed shows that it was whole.
void HeapShare::empty_cell(SharedByteHeap& heap) {
    const auto freed = heap.free_from(HeapCell::root());
    const bool was_empty = !freed && freed.error() == Errc::not_allocated && heap.root() == 0;
    if (!was_empty) (void)went_well(freed);
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
    for (auto& share : bytes_) empty_cell(share.heap);
    const Deadline deadline = Deadline::after(until_taken_back);
    do board_.heaps_left = count_left();
    while (board_.heaps_left != 0 && !deadline.expired() && ::usleep(1000) == 0);
    for (std::size_t i = 0; i < bytes_.size(); ++i) audit(bytes_[i].heap, byte_heaps[i]);
    audit(pages_.heap, page_heap);
    audit(chain_.heap, page_chain);
    audit(ids_.heap, id_heap);
    audit(objects_.heap, object_heap);
}

}  // namespace shmpool::sweep
