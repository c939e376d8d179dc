// SPDX-License-Identifier: Apache-2.0
/// What a rival has in the heaps: it takes blocks, pages, pins, ids and objects beside the victim,
/// marks what it can write to, and looks at every mark before it gives something back.
#pragma once

#include <string>
#include <vector>

#include "board.hpp"
#include "buffer_share.hpp"
#include "heap_judge.hpp"
#include "peer/peer.hpp"
#include "stack_share.hpp"

namespace shmpool::sweep {

inline constexpr const char* byte_heaps[] = {"tlsf", "buddy", "slab"};
inline constexpr const char* page_heap = "pages";
inline constexpr const char* page_chain = "chain";
inline constexpr const char* id_heap = "ids";
inline constexpr const char* object_heap = "objects";
inline constexpr std::uint64_t first_id = 100;
/// Three fill a slab.
inline constexpr std::uint64_t object_bytes = 300;
/// What victims put into the root of the heap of pages.
inline constexpr std::uint64_t pages_in_cell = 2;
/// Of a victim; not in the configuration.
inline constexpr const char* own_ids = "own_ids";
/// For the host's configuration. Those of this file take back what the dead held.
[[nodiscard]] std::string heaps_config();

class HeapShare {
public:
    HeapShare(Board& board, Peer& peer, std::uint32_t number);

    void work();
    void rest();
    /// At rest: nobody has anything any more, and every heap is whole. Waits for the host, which
    /// takes back by itself.
    void count();

private:
    struct Block {
        HeapOffset offset;
        std::uint64_t bytes;
        Mark mark;
    };
    template <typename Heap>
    struct Share {
        Heap heap;
        std::vector<Block> blocks{};
    };

    void take_bytes(Share<SharedByteHeap>& share);
    void take_pages();
    void take_chained_pages();
    void take_ids();
    void take_object();
    void give(std::size_t keep);
    void look_at(const Block& block, void* address);
    template <typename Heap>
    void empty_cell(const Heap& heap, const Outcome<void>& freed);
    void empty_cells();
    void free_kept();
    Outcome<void> free_unit(const std::string& heap, std::uint64_t first, std::uint64_t number);
    void look_at_own_ids();
    /// Heaps in which somebody has something.
    [[nodiscard]] std::uint32_t count_left();

    Board& board_;
    HeapJudge judge_;
    Peer& peer_;
    const std::uint32_t number_;
    std::vector<Share<SharedByteHeap>> bytes_;
    Share<SharedPageHeap> pages_;
    Share<SharedPageChain> chain_;
    Share<SharedIdHeap> ids_;
    Share<SharedObjectHeap> objects_;
    StackShare stacks_;
    BufferShare buffer_;
    std::uint64_t taken_ = 0;
};

}  // namespace shmpool::sweep
