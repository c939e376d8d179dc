// SPDX-License-Identifier: Apache-2.0
/// Walks a first_fit heap block by block, by the sizes in their headers: to count and check it, or,
/// where the stack says that it was left half done, to find its free blocks and marks anew. That
/// is done without the journal: each store of it may be done twice, and its author writes last
/// that it is done.
///
/// A split that was left half done is known by three points: the word where a block of the
/// header's size would end says the size of a block, such a block begins there by its own header,
/// and what is left in front of it ends with its size. Then the block is what is left in front.
/// Nothing live is given up for a size that makes no sense: then the heap is damaged.
#pragma once

#include <string>
#include <vector>

#include "shmpool/heap/first_fit_layout.hpp"
#include "shmpool/heap/heap_census.hpp"
#include "shmpool/heap/stack.hpp"

namespace shmpool::first_fit {

/// The holder of the heap's lock.
template <typename Words>
class Scan {
public:
    explicit Scan(Stack<Words>& stack) : stack_(stack), marks_(stack.marks()), len_(stack.len()) {}

    /// The last change of it is not yet committed.
    void rebuild() {
        find_blocks();
        if (stack_.words().failed()) return;
        if (!free_.empty() && free_.back().offset + free_.back().bytes + 8 == end_) {
            end_ = free_.back().offset - block_header_bytes;
            free_.pop_back();
        }
        forget_marks();
        for (const HeapExtent& one : live_) marks_.set_for_good(one.offset, Mark::live);
        link_free();
        stack_.set_len(end_);
        stack_.set(free_head_at, free_.empty() ? 0 : free_.front().offset);
        stack_.set(flags_at, stack_.get(flags_at) & ~recovery_needed);
        stack_.words().set(offsetof(HeapHeader, used_bytes), used_bytes_);
        stack_.words().set(offsetof(HeapHeader, blocks), live_.size());
    }

    [[nodiscard]] HeapCensus take_census() {
        HeapCensus census;
        census.total_bytes = stack_.capacity();
        bool before_is_free = false;
        HeapOffset at = stack_header::bytes;
        HeapOffset marked = marks_.first_from(first_payload, stack_.capacity());
        while (at < len_) {
            const HeapOffset payload = at + block_header_bytes;
            const std::uint64_t size = stack_.get(at);
            if (!may_be(payload, size, len_)) {
                census.find(at, "a block of " + std::to_string(size) + " bytes");
                return census;
            }
            const bool is_free = is_flagged_free(payload);
            census.expect("size behind the payload", payload, size, stack_.get(payload + size));
            census.expect("the next mark", payload, payload, marked);
            if (marks_.get(payload) != (is_free ? Mark::free : Mark::live)) {
                census.find(payload, "its mark does not say what it says");
            }
            if (is_free && before_is_free) census.find(payload, "two free ones in a row");
            census.used_bytes += is_free ? 0 : size + overhead_bytes;
            census.blocks += is_free ? 0 : 1;
            if (is_free) free_.push_back({payload, size});
            before_is_free = is_free;
            at = payload + size + 8;
            marked = marks_.next(payload, stack_.capacity());
        }
        if (before_is_free) census.find(at, "the last one is free");
        census.expect("the next mark", len_, stack_.capacity(), marked);
        follow_list(census);
        return census;
    }

private:
    [[nodiscard]] bool is_flagged_free(HeapOffset payload) {
        return (stack_.get(payload - 8) & free_flag) != 0;
    }

    void find_blocks() {
        while (end_ < len_ && !stack_.words().failed()) {
            const HeapOffset payload = end_ + block_header_bytes;
            if (len_ - end_ < overhead_bytes) return;  // Less than a block is none.
            std::uint64_t size = stack_.get(end_);
            if (!may_be(payload, size, len_)) {
                if (!is_cut_off(size)) stack_.words().fail();
                return;
            }
            size = mended(payload, size);
            if (marks_.get(payload) == Mark::dying) stack_.set_in_free(payload - 8, free_flag);
            is_flagged_free(payload) ? note_free(payload, size) : note_live(payload, size);
            end_ = payload + size + 8;
        }
    }

    /// Nothing but a block that never came to be begins at `end_`.
    bool is_cut_off(std::uint64_t size) {
        const std::uint64_t limit = stack_.capacity();
        if (marks_.first_from(end_ + block_header_bytes, limit) != limit) return false;
        if (size >= payload_bytes_min && size % 8 == 0) return true;
        for (HeapOffset at = end_; at + 8 <= len_; at += 8) {
            if (stack_.get(at) != 0) return false;
        }
        return true;
    }

    /// The size of a block whose two sizes may differ, after the three points.
    std::uint64_t mended(HeapOffset payload, std::uint64_t size) {
        const std::uint64_t behind = stack_.get(payload + size);
        if (behind == size) return size;
        const bool may_be_split = behind >= payload_bytes_min && behind % 8 == 0 &&
                                  size >= rest_bytes_min && behind <= size - rest_bytes_min;
        const std::uint64_t front = may_be_split ? size - behind - overhead_bytes : 0;
        if (may_be_split && stack_.get(payload + front) == front &&
            stack_.get(payload + front + 8) == behind) {
            stack_.set_in_free(payload - 16, front);
            return front;
        }
        stack_.set_in_free(payload + size, size);
        return size;
    }

    void note_free(HeapOffset payload, std::uint64_t size) {
        if (!free_.empty() &&
            free_.back().offset + free_.back().bytes + overhead_bytes == payload) {
            free_.back().bytes += overhead_bytes + size;
        } else {
            free_.push_back({payload, size});
        }
    }
    void note_live(HeapOffset payload, std::uint64_t size) {
        if (stack_.get(payload - 8) >> 32 > size) stack_.set_in_free(payload - 8, 0);
        used_bytes_ += size + overhead_bytes;
        live_.push_back({payload, size});
    }

    void forget_marks() {
        const std::uint64_t end = stack_.capacity();
        for (HeapOffset at = marks_.first_from(first_payload, end); at < end;
             at = marks_.next(at, end)) {
            marks_.set_for_good(at, Mark::none);
        }
    }

    /// In the order of their addresses. What a block that is joined to another said of itself is
    /// left alone until the joined one says that it reaches behind it.
    void link_free() {
        HeapOffset before = 0;
        for (std::size_t i = 0; i < free_.size(); ++i) {
            const auto [payload, size] = free_[i];
            stack_.set_in_free(payload + size, size);
            stack_.set_in_free(payload - 16, size);
            stack_.set_in_free(payload - 8, free_flag);
            stack_.set_in_free(payload, i + 1 < free_.size() ? free_[i + 1].offset : 0);
            stack_.set_in_free(payload + 8, before);
            marks_.set_for_good(payload, Mark::free);
            before = payload;
        }
    }

    void follow_list(HeapCensus& census) {
        std::uint64_t met = 0;
        HeapOffset before = 0;
        for (HeapOffset at = stack_.get(free_head_at); at != 0; at = stack_.get(at)) {
            if (marks_.get(at) != Mark::free || met++ > free_.size()) {
                return census.find(at, "in the list, and not free");
            }
            census.expect("the one before in the list", at, before, stack_.get(at + 8));
            before = at;
        }
        census.expect("blocks in the list", free_head_at, free_.size(), met);
    }

    Stack<Words>& stack_;
    StackMarks<Words>& marks_;
    std::uint64_t len_;
    HeapOffset end_ = stack_header::bytes;  ///< Of the blocks found so far.
    std::uint64_t used_bytes_ = 0;
    std::vector<HeapExtent> free_;
    std::vector<HeapExtent> live_;
};

}  // namespace shmpool::first_fit
