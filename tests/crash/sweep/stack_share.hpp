// SPDX-License-Identifier: Apache-2.0
/// What a rival has in the heaps of the stack family. They keep what the dead have left, and say
/// nothing of whose it is: so at the count, when nobody has anything, what is left is given back by
/// trying. All use blocks of a few lengths only, each with another number of units, and a handle
/// that is not right is refused. Then nothing may be in use: else something was lost.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "heap_judge.hpp"
#include "peer/peer.hpp"

namespace shmpool::sweep {

inline constexpr const char* linear_heap = "linear";
inline constexpr const char* first_fit_heap = "first_fit";
/// What is longer than a block of a slab is not handed out again as a whole, so only victims
/// take that.
inline constexpr const char* slab_heaps[] = {"slab_stack", "checked_slab"};
inline constexpr const char* ghost_heap = "ghost_tree";
inline constexpr std::uint64_t slab_block_bytes = 64;

inline constexpr std::uint64_t short_len = 40;
inline constexpr std::uint64_t middle_len = 100;
inline constexpr std::uint64_t long_len = 200;
inline constexpr std::array stack_lengths{short_len, middle_len, long_len};

class StackShare {
public:
    StackShare(Board& board, Peer& peer, std::uint32_t number);

    void work();
    void rest();
    /// At rest, and the dead are gone.
    void count();

private:
    struct Block {
        StackHandle handle;
        Mark mark;
    };
    struct Share {
        std::string name;
        std::size_t lengths;  ///< How many of the lengths.
        SharedStackHeap heap;
        std::vector<Block> blocks{};
    };

    void take(Share& share);
    void resize(Share& share);
    void give(Share& share, std::size_t keep);
    void use_for_a_moment(SharedStackHeap& linear);
    void mark_new(SharedStackHeap& heap, Block& block);
    void give_back_what_is_left(SharedStackHeap& heap, std::uint64_t len);
    void expect_nothing_in(SharedStackHeap& heap, const std::string& name);

    Board& board_;
    HeapJudge judge_;
    const std::uint32_t number_;
    SharedStackHeap linear_;
    std::vector<Share> shares_;
    std::uint64_t taken_ = 0;
};

}  // namespace shmpool::sweep
