// SPDX-License-Identifier: Apache-2.0
/// Best fit, and nothing kept in live blocks. Blocks have a multiple of 32 bytes, and lie at
/// addresses that are one; a free one holds its node of the tree (ghost_nodes.hpp), and is zero
/// behind it. The smallest that is large enough is handed out; if it is larger, its back part.
///
/// Neighbours that are free become one when somebody opens the heap, or asks for it (`recover`):
/// then all is read from the marks (stack_marks.hpp), and the tree made anew. So nothing that is
/// free can be lost.
///
/// What a kill in the middle of an operation leaves: the table in run_stack.hpp.
///
/// Costs: alloc, the logarithm of the free blocks, and to zero what is handed out; dealloc, that
/// and to zero what is freed; recover, all blocks.
#pragma once

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "shmpool/heap/ghost_nodes.hpp"
#include "shmpool/heap/heap_census.hpp"
#include "shmpool/heap/run_stack.hpp"
#include "shmpool/heap/stack.hpp"
#include "shmpool/heap/stack_header.hpp"

namespace shmpool {

/// The holder of the heap's lock, one thread. The free blocks of a RunStack.
template <typename Words>
class GhostBlocks {
public:
    static constexpr std::uint64_t user_bytes = 32;
    static constexpr std::uint64_t lead_bytes = 0;

    [[nodiscard]] static constexpr bool may_have_blocks_of(std::uint64_t) { return true; }
    [[nodiscard]] static constexpr StackShape shape(std::uint64_t) {
        // One removal and one insertion, and the few words beside the tree.
        return {.kind = HeapKind::ghost_tree,
                .journal_limit = 2 * ghost::words_per_change + 32,
                .arena = stack_header::bytes,
                .granule_bytes = ghost::node_bytes,
                .begin_modulo_32 = 16};
    }

    explicit GhostBlocks(Stack<Words>& stack)
        : stack_(stack), marks_(stack.marks()), nodes_(stack, root_at) {}

    void format() { stack_.set(magic_at, stack_header::magic("ALGT")); }
    /// wrong_magic.
    Outcome<void> check() {
        if (stack_header::is_magic(stack_.get(magic_at), "ALGT")) return {};
        return fail(Errc::wrong_magic);
    }

    HeapOffset take(std::uint64_t units) {
        const std::uint64_t bytes = units * ghost::node_bytes;
        const HeapOffset found = nodes_.best_fit(bytes);
        if (found == 0) return 0;
        const std::uint64_t all = nodes_.bytes_of(found);
        if (marks_.next(found, stack_.len()) != found + all) {  // As whoever wrote into it says.
            stack_.words().fail();
            return 0;
        }
        nodes_.remove({all, found});
        for (HeapOffset at = found; at < found + ghost::node_bytes; at += 8) stack_.set(at, 0);
        if (all != bytes) nodes_.insert({all - bytes, found});
        return found + all - bytes;
    }

    void claim(HeapOffset, std::uint64_t) {}
    void claim_for_good(HeapOffset, std::uint64_t) {}
    [[nodiscard]] static bool is_claimed(HeapOffset, std::uint64_t) { return true; }
    [[nodiscard]] static bool keeps_last(std::uint64_t) { return false; }

    void release(HeapOffset at, std::uint64_t units) {
        const std::uint64_t bytes = units * ghost::node_bytes;
        stack_.zero_in_free(at, bytes);
        marks_.set(at, Mark::free);
        nodes_.insert({bytes, at});
    }

    void rebuild() {
        fill_last_unit();
        std::vector<ghost::Key> blocks;
        const std::uint64_t end = stack_.len();
        bool before_is_free = false;
        for (HeapOffset at = marks_.first_from(stack_header::bytes, end); at < end;) {
            const HeapOffset next = marks_.next(at, end);
            const bool is_free = marks_.get(at) == Mark::free;
            if (is_free && before_is_free) {
                stack_.zero_in_free(at, ghost::node_bytes);
                marks_.set_for_good(at, Mark::none);
                blocks.back().bytes += next - at;
            } else if (is_free) {
                blocks.push_back({next - at, at});
            }
            before_is_free = is_free;
            at = next;
        }
        std::ranges::sort(blocks);
        nodes_.build(blocks);
    }
    /// The marks leave nothing to be guessed.
    [[nodiscard]] static std::uint64_t unsure() { return 0; }

    void inspect(HeapOffset at, std::uint64_t bytes, HeapCensus& census) {
        free_.emplace(at, bytes);
        for (HeapOffset one = at + ghost::node_bytes; one < at + bytes; one += 8) {
            if (stack_.get(one) != 0) return census.find(one, "free, and not zero");
        }
    }
    void inspect_all(HeapCensus& census) {
        last_ = {0, 0};
        inspect_below(stack_.get(root_at), ghost::depth_max, census);
        for (const auto& [at, bytes] : free_) census.find(at, "free and not in the tree");
    }

private:
    static constexpr HeapOffset magic_at = 32;
    static constexpr HeapOffset root_at = 40;

    /// What somebody has appended, and is no unit, becomes one.
    void fill_last_unit() {
        const std::uint64_t len = stack_.len();
        const std::uint64_t stray = (len - stack_header::bytes) % ghost::node_bytes;
        if (stray == 0) return;
        const HeapOffset at = len - stray;
        const bool fits = stack_.capacity() - at >= ghost::node_bytes;
        if (fits) {
            stack_.zero_in_free(at, ghost::node_bytes);
            marks_.set_for_good(at, Mark::free);
        }
        stack_.set_len(fits ? at + ghost::node_bytes : at);
        stack_.commit();
    }

    /// Returns the height. Each block is taken off when it is met, so no tree is endless.
    std::uint64_t inspect_below(HeapOffset at, std::uint64_t depth_left, HeapCensus& census) {
        if (at == 0) return 0;
        const auto found = free_.find(at);
        if (found == free_.end() || depth_left == 0) {
            census.find(at, "in the tree, and not free");
            return 0;
        }
        const ghost::Key key{nodes_.bytes_of(at), at};
        census.expect("bytes of a free block", at, found->second, key.bytes);
        free_.erase(found);
        const std::uint64_t smaller =
            inspect_below(stack_.get(at + ghost::left_at), depth_left - 1, census);
        if (key < last_) census.find(at, "in the wrong place of the tree");
        last_ = key;
        const std::uint64_t larger =
            inspect_below(stack_.get(at + ghost::right_at), depth_left - 1, census);
        if (std::max(smaller, larger) - std::min(smaller, larger) > 1) {
            census.find(at, "the tree is not balanced");
        }
        census.expect("height", at, std::max(smaller, larger) + 1, nodes_.height(at));
        return std::max(smaller, larger) + 1;
    }

    Stack<Words>& stack_;
    StackMarks<Words>& marks_;
    ghost::Nodes<Words> nodes_;
    std::unordered_map<HeapOffset, std::uint64_t> free_;
    ghost::Key last_{0, 0};
};

/// HeapKind::ghost_tree.
template <typename Words>
using GhostTree = RunStack<Words, GhostBlocks>;

}  // namespace shmpool
