// SPDX-License-Identifier: Apache-2.0
/// A balanced tree of free blocks that lies in them: the smallest one that is large enough is
/// found, the lowest of equals. Nothing but the paths that change is written, word by word.
///
/// A path is no longer than `depth_max`: a tree of depth 64 has more than 2^44 nodes of 32 bytes.
/// A change writes, for each node of a path, the link in the node above, and its height, or, if it
/// is turned twice, five links and four heights: `words_per_change` at most, whatever is there. A
/// tree that is deeper is none.
///
/// Source: Adelson-Velsky and Landis, "An algorithm for the organization of information" (1962);
/// deletion as in Knuth, The Art of Computer Programming 3, 6.2.3.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <span>

#include "shmpool/heap/stack.hpp"

namespace shmpool::ghost {

//  Node: the first 32 bytes of a free block; all behind it is zero.
//     offset  bytes  what
//          0      8  bytes of the block
//          8      8  height of the tree below it, itself included
//         16      8  smaller ones; 0: none
//         24      8  larger ones
inline constexpr std::uint64_t node_bytes = 32;
inline constexpr HeapOffset height_at = 8;
inline constexpr HeapOffset left_at = 16;
inline constexpr HeapOffset right_at = 24;

inline constexpr std::uint64_t depth_max = 64;
inline constexpr std::uint64_t words_per_change = 10 * depth_max;

/// The order in the tree.
struct Key {
    std::uint64_t bytes;
    HeapOffset at;

    friend constexpr auto operator<=>(const Key&, const Key&) = default;
};

/// The holder of the heap's lock, one thread.
template <typename Words>
class Nodes {
public:
    /// `root`: the word in the stack that says where the tree begins.
    Nodes(Stack<Words>& stack, HeapOffset root) : stack_(stack), root_(root) {}

    /// 0: none is large enough.
    [[nodiscard]] HeapOffset best_fit(std::uint64_t bytes) {
        HeapOffset best = 0;
        HeapOffset at = free_at(root_);
        for (std::uint64_t depth = 0; at != 0; ++depth) {
            if (depth == depth_max) return give_up();
            const bool fits = bytes_of(at) >= bytes;
            if (fits) best = at;
            at = free_at(at + (fits ? left_at : right_at));
        }
        return best;
    }

    /// It is marked as free. Its node is written too: nobody needs what was there.
    void insert(const Key& key) {
        stack_.set_in_free(key.at, key.bytes);
        stack_.set_in_free(key.at + height_at, 1);
        stack_.set_in_free(key.at + left_at, 0);
        stack_.set_in_free(key.at + right_at, 0);
        put(root_, with(free_at(root_), key, depth_max));
    }

    /// It must be in the tree. Its node stays as it is.
    void remove(const Key& key) { put(root_, without(free_at(root_), key, depth_max)); }

    /// All there is, in order: nothing is undone, and the root is written last.
    void build(std::span<const Key> keys) { stack_.set(root_, built(keys)); }

    [[nodiscard]] std::uint64_t bytes_of(HeapOffset at) { return stack_.get(at); }
    [[nodiscard]] std::uint64_t height(HeapOffset at) {
        return at == 0 ? 0 : stack_.get(at + height_at);
    }

private:
    /// What the link there leads to, which is free: whatever users write into blocks that are not
    /// theirs any more, what others have is not changed. 0: nothing, or damage.
    [[nodiscard]] HeapOffset free_at(HeapOffset link) {
        const HeapOffset at = stack_.get(link);
        if (at == 0 || stack_.marks().get(at) == Mark::free) return at;
        return give_up();
    }
    [[nodiscard]] Key key_of(HeapOffset at) { return {bytes_of(at), at}; }
    HeapOffset give_up() {
        stack_.words().fail();
        return 0;
    }

    void put(HeapOffset at, std::uint64_t value) {
        if (stack_.get(at) != value) stack_.set(at, value);
    }

    HeapOffset with(HeapOffset top, const Key& key, std::uint64_t depth_left) {
        if (top == 0) return key.at;
        if (depth_left == 0 || top == key.at) return give_up();
        const HeapOffset side = top + (key < key_of(top) ? left_at : right_at);
        put(side, with(free_at(side), key, depth_left - 1));
        return balanced(top);
    }

    HeapOffset without(HeapOffset top, const Key& key, std::uint64_t depth_left) {
        if (top == 0 || depth_left == 0) return give_up();
        if (top != key.at) {
            const HeapOffset side = top + (key < key_of(top) ? left_at : right_at);
            put(side, without(free_at(side), key, depth_left - 1));
            return balanced(top);
        }
        if (free_at(top + left_at) == 0) return free_at(top + right_at);
        if (free_at(top + right_at) == 0) return free_at(top + left_at);
        const HeapOffset next = first_of(free_at(top + right_at), depth_left);
        const HeapOffset others = without(free_at(top + right_at), key_of(next), depth_left);
        put(next + left_at, free_at(top + left_at));
        put(next + right_at, others);
        return balanced(next);
    }

    HeapOffset first_of(HeapOffset top, std::uint64_t depth_left) {
        while (free_at(top + left_at) != 0) {
            if (depth_left-- == 0) return give_up();
            top = free_at(top + left_at);
        }
        return top;
    }

    /// Both sides are balanced, and their heights differ by 2 at most: what is the top then.
    HeapOffset balanced(HeapOffset top) {
        const std::uint64_t smaller = height(free_at(top + left_at));
        const std::uint64_t larger = height(free_at(top + right_at));
        if (smaller > larger + 1) {
            const HeapOffset side = free_at(top + left_at);
            if (height(free_at(side + left_at)) < height(free_at(side + right_at)))
                put(top + left_at, lifted_right(side));
            return lifted_left(top);
        }
        if (larger > smaller + 1) {
            const HeapOffset side = free_at(top + right_at);
            if (height(free_at(side + right_at)) < height(free_at(side + left_at)))
                put(top + right_at, lifted_left(side));
            return lifted_right(top);
        }
        put(top + height_at, std::max(smaller, larger) + 1);
        return top;
    }

    /// The one on the left comes up, `top` becomes its right.
    HeapOffset lifted_left(HeapOffset top) { return lifted(top, left_at, right_at); }
    HeapOffset lifted_right(HeapOffset top) { return lifted(top, right_at, left_at); }
    HeapOffset lifted(HeapOffset top, HeapOffset side, HeapOffset other) {
        const HeapOffset up = stack_.get(top + side);
        put(top + side, stack_.get(up + other));
        put(up + other, top);
        put(top + height_at,
            std::max(height(free_at(top + left_at)), height(free_at(top + right_at))) + 1);
        put(up + height_at,
            std::max(height(free_at(up + left_at)), height(free_at(up + right_at))) + 1);
        return up;
    }

    HeapOffset built(std::span<const Key> keys) {
        if (keys.empty()) return 0;
        const std::size_t middle = keys.size() / 2;
        const Key& top = keys[middle];
        const HeapOffset smaller = built(keys.first(middle));
        const HeapOffset larger = built(keys.subspan(middle + 1));
        stack_.set_in_free(top.at, top.bytes);
        stack_.set_in_free(top.at + left_at, smaller);
        stack_.set_in_free(top.at + right_at, larger);
        stack_.set_in_free(top.at + height_at, std::max(height(smaller), height(larger)) + 1);
        return top.at;
    }

    Stack<Words>& stack_;
    HeapOffset root_;
};

}  // namespace shmpool::ghost
