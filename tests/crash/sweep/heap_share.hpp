// SPDX-License-Identifier: Apache-2.0
/// What a rival has in the heaps: it takes blocks, pages, pins, ids and objects beside the victim,
/// marks what it can write to, and looks at every mark before it gives something back.
#pragma once

#include <string>
#include <vector>

#include "board.hpp"
#include "peer/peer.hpp"

namespace shmpool::sweep {

inline constexpr const char* byte_heaps[] = {"tlsf", "buddy", "slab"};
inline constexpr const char* page_heap = "pages";
inline constexpr const char* page_chain = "chain";
inline constexpr const char* id_heap = "ids";
inline constexpr const char* object_heap = "objects";
inline constexpr std::uint64_t first_id = 100;
/// Three fill a slab.
inline constexpr std::uint64_t object_bytes = 300;
/// For the host's configuration: they take back what the dead held.
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
    /// Nothing left is no failure, for the victim may have it all; anything else is.
    template <typename Value>
    [[nodiscard]] bool went_well(const Outcome<Value>& outcome);
    template <typename Heap>
    void audit(Heap& heap, const std::string& name);
    void empty_cell(SharedByteHeap& heap);
    /// Heaps in which somebody has something.
    [[nodiscard]] std::uint32_t count_left();

    Board& board_;
    Peer& peer_;
    const std::uint32_t number_;
    std::vector<Share<SharedByteHeap>> bytes_;
    Share<SharedPageHeap> pages_;
    Share<SharedPageChain> chain_;
    Share<SharedIdHeap> ids_;
    Share<SharedObjectHeap> objects_;
    std::uint64_t taken_ = 0;
};

}  // namespace shmpool::sweep
