// SPDX-License-Identifier: Apache-2.0
/// Slabs: blocks of one length, free ones in a list, last in, first out. What is larger than a
/// block is a run of them at the end of the stack, never from the list; when it is freed, each of
/// its blocks goes into the list, or all of them off the end of the stack.
///
/// slab_stack keeps nothing in its blocks. checked_slab begins each with a word: 0 if it is free,
/// else how many blocks its run has. Where the words and the marks differ, somebody has written
/// what was not his, and the block is left alone: `recover` counts it.
///
/// What a kill in the middle of an operation leaves: the table in run_stack.hpp.
///
/// Costs: alloc and dealloc of one block are bounded; of a run, blocks; recover, all blocks.
#pragma once

#include <unordered_set>
#include <vector>

#include "shmpool/heap/heap_census.hpp"
#include "shmpool/heap/run_stack.hpp"
#include "shmpool/heap/stack.hpp"
#include "shmpool/heap/stack_header.hpp"

namespace shmpool {

/// The holder of the heap's lock, one thread. The free blocks of a RunStack.
template <typename Words, bool IsChecked>
class SlabList {
public:
    static constexpr std::uint64_t user_bytes = 24;
    static constexpr std::uint64_t lead_bytes = IsChecked ? 8 : 0;
    static constexpr std::uint64_t in_use = std::uint64_t{1} << 63;

    [[nodiscard]] static constexpr bool may_have_blocks_of(std::uint64_t bytes) {
        return bytes != 0 && bytes % 8 == 0 && bytes < in_use;
    }
    /// `bytes`: of what a block holds.
    [[nodiscard]] static constexpr StackShape shape(std::uint64_t bytes) {
        return {.kind = IsChecked ? HeapKind::checked_slab : HeapKind::slab_stack,
                .journal_limit = 48,
                .arena = stack_header::bytes,
                .granule_bytes = bytes + lead_bytes,
                .block_bytes = bytes};
    }

    explicit SlabList(Stack<Words>& stack)
        : stack_(stack), marks_(stack.marks()), unit_(stack.shape().granule_bytes) {}

    void format() {
        stack_.set(magic_at, stack_header::magic(letters));
        stack_.set(unit_at, unit_);
    }
    /// wrong_magic, config_mismatch, damaged_header.
    Outcome<void> check() {
        if (!stack_header::is_magic(stack_.get(magic_at), letters)) return fail(Errc::wrong_magic);
        if (!may_have_blocks_of(stack_.get(unit_at))) return fail(Errc::damaged_header);
        if (stack_.get(unit_at) != unit_) return fail(Errc::config_mismatch);
        const bool is_whole = (stack_.len() - stack_header::bytes) % unit_ == 0;
        const HeapOffset head = stack_.get(head_at);
        if (!is_whole || (head != 0 && !marks_.is_place(head))) return fail(Errc::damaged_header);
        return {};
    }

    HeapOffset take(std::uint64_t units) {
        const HeapOffset block = units == 1 ? stack_.get(head_at) : 0;
        if (block == 0) return 0;
        if (!is_free(block)) {
            stack_.words().fail();
            return 0;
        }
        stack_.set(head_at, stack_.get(link_of(block)));
        stack_.set(link_of(block), 0);
        stack_.zero_in_free(link_of(block) + 8, unit_ - lead_bytes - 8);
        return block;
    }

    void claim(HeapOffset at, std::uint64_t units) {
        if (IsChecked) stack_.set(at, in_use | units);
    }
    void claim_for_good(HeapOffset at, std::uint64_t units) {
        if (IsChecked) stack_.set_in_free(at, in_use | units);
    }
    [[nodiscard]] bool is_claimed(HeapOffset at, std::uint64_t units) {
        return !IsChecked || stack_.get(at) == (in_use | units);
    }

    [[nodiscard]] static bool keeps_last(std::uint64_t units) { return !IsChecked && units == 1; }

    /// From the last to the first: so the first is the one that is handed out next, and the run
    /// is a shorter one behind each step.
    void release(HeapOffset at, std::uint64_t units) {
        while (units-- > 0) {
            push(at + units * unit_);
            if (units != 0 && !stack_.commit()) return;
        }
    }

    void rebuild() {
        const std::unordered_set<HeapOffset> listed = follow_list();
        std::vector<HeapOffset> lost;
        HeapOffset end = stack_.len();
        for (HeapOffset at = stack_header::bytes; at < end && !stack_.words().failed();) {
            const HeapOffset next = marks_.next(at, end);
            const std::uint64_t bytes = known_bytes(at, next);
            if (bytes == 0 && next == end && marks_.get(at) == Mark::none) {
                end = at;  // Nobody's, and the last.
            } else if (bytes == 0) {
                unsure_ += (next - at + unit_ - 1) / unit_;
            } else if (marks_.get(at) == Mark::free && !listed.contains(at)) {
                lost.push_back(at);
            }
            at = bytes == 0 ? next : at + bytes;
        }
        if (end != stack_.len()) stack_.set_len(end);
        for (const HeapOffset block : lost) {
            if (!stack_.commit()) return;
            push(block);
        }
    }
    [[nodiscard]] std::uint64_t unsure() const { return unsure_; }

    void inspect(HeapOffset at, std::uint64_t bytes, HeapCensus& census) {
        ++free_blocks_;
        if (bytes != unit_) census.find(at, "free, and not one block");
        if (!is_free(at)) census.find(at, "free, and says that it is live");
    }
    void inspect_all(HeapCensus& census) {
        bool is_whole = true;
        const std::uint64_t met = listed_blocks(is_whole).size();
        if (!is_whole) census.find(head_at, "the list leads to what is not free");
        census.expect("blocks in the list", head_at, free_blocks_, met);
    }

private:
    static constexpr std::string_view letters = IsChecked ? "ALCK" : "ALSL";
    static constexpr HeapOffset magic_at = 24;
    static constexpr HeapOffset unit_at = 32;
    static constexpr HeapOffset head_at = 40;

    [[nodiscard]] static HeapOffset link_of(HeapOffset block) { return block + lead_bytes; }
    [[nodiscard]] bool is_free(HeapOffset block) {
        return marks_.get(block) == Mark::free && (!IsChecked || stack_.get(block) == 0);
    }

    /// What was there is nobody's.
    void push(HeapOffset block) {
        stack_.set_in_free(link_of(block), stack_.get(head_at));
        if (IsChecked) stack_.set_in_free(block, 0);
        marks_.set(block, Mark::free);
        stack_.set(head_at, block);
    }

    /// Of the block that begins at `at`, before `next`; 0: it is not known.
    std::uint64_t known_bytes(HeapOffset at, HeapOffset next) {
        if (is_free(at)) return unit_;
        if (marks_.get(at) == Mark::dying) return next - at;
        if (marks_.get(at) != Mark::live) return 0;
        if (!IsChecked) return next - at;
        const std::uint64_t word = stack_.get(at);
        const std::uint64_t units = word & ~in_use;
        const bool is_run = (word & in_use) != 0 && units != 0 && units <= (next - at) / unit_;
        return is_run ? units * unit_ : 0;
    }

    /// Those in the list; one that leads astray is made anew from none.
    std::unordered_set<HeapOffset> follow_list() {
        bool is_whole = true;
        std::unordered_set<HeapOffset> listed = listed_blocks(is_whole);
        if (is_whole) return listed;
        stack_.set(head_at, 0);
        stack_.commit();
        return {};
    }
    std::unordered_set<HeapOffset> listed_blocks(bool& is_whole) {
        std::unordered_set<HeapOffset> listed;
        for (HeapOffset at = stack_.get(head_at); at != 0; at = stack_.get(link_of(at))) {
            is_whole = is_free(at) && at < stack_.len() && listed.insert(at).second;
            if (!is_whole) break;
        }
        return listed;
    }

    Stack<Words>& stack_;
    StackMarks<Words>& marks_;
    std::uint64_t unit_;
    std::uint64_t unsure_ = 0;
    std::uint64_t free_blocks_ = 0;
};

template <typename Words>
using PlainSlabList = SlabList<Words, false>;
template <typename Words>
using CheckedSlabList = SlabList<Words, true>;

/// HeapKind::slab_stack and HeapKind::checked_slab.
template <typename Words>
using SlabStack = RunStack<Words, PlainSlabList>;
template <typename Words>
using CheckedSlab = RunStack<Words, CheckedSlabList>;

}  // namespace shmpool
