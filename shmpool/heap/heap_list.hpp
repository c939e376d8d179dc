// SPDX-License-Identifier: Apache-2.0
/// Doubly linked lists in the words of a heap; the last one that came is the first. A node is two
/// words: the next one, and the one before it (0: none; then the head is). A change of a list is at
/// most three words beside the node's own.
#pragma once

#include "shmpool/heap/heap_words.hpp"

namespace shmpool {

/// The holder of the heap's lock, one thread.
template <typename Words>
class HeapList {
public:
    HeapList(Words& words, HeapOffset head) : words_(words), head_(head) {}

    /// 0: it is empty.
    [[nodiscard]] HeapOffset first() { return words_.get(head_); }

    /// Whether it was empty before.
    bool push(HeapOffset node, Links links) {
        const HeapOffset next = first();
        words_.set_link(node, next, links);
        words_.set_link(node + 8, 0, links);
        words_.set(head_, node);
        if (next != 0) words_.set(next + 8, node);
        return next == 0;
    }

    /// Whether it is empty now.
    bool remove(HeapOffset node) {
        const HeapOffset next = words_.get(node);
        const HeapOffset before = words_.get(node + 8);
        if (next != 0) words_.set(next + 8, before);
        words_.set(before != 0 ? before : head_, next);
        return before == 0 && next == 0;
    }

private:
    Words& words_;
    HeapOffset head_;
};

}  // namespace shmpool
