// SPDX-License-Identifier: Apache-2.0
/// Doubly linked lists in the words of a heap; the last one that came is the first. A node is a
/// number that is not 0, and has two words: the next one, and the one before it (0: none; then the
/// head is). A change of a list is at most three words beside the node's own.
#pragma once

#include "shmpool/heap/heap_words.hpp"

namespace shmpool {

/// Nodes that are the offsets of their words.
struct NodesThemselves {
    HeapOffset operator()(HeapOffset node) const { return node; }
};

/// The holder of the heap's lock, one thread. `WordsOf` says of a node where its words lie.
template <typename Words, typename WordsOf = NodesThemselves>
class HeapList {
public:
    HeapList(Words& words, HeapOffset head, WordsOf words_of = {})
        : words_(words), head_(head), words_of_(words_of) {}

    /// 0: it is empty.
    [[nodiscard]] HeapOffset first() { return words_.get(head_); }

    /// Whether it was empty before.
    bool push(HeapOffset node, Links links) {
        const HeapOffset next = first();
        const HeapOffset own = words_of_(node);
        words_.set_link(own, next, links);
        words_.set_link(own + 8, 0, links);
        words_.set(head_, node);
        if (next != 0) words_.set(words_of_(next) + 8, node);
        return next == 0;
    }

    /// Whether it is empty now. Its links are believed when who they lead to knows it.
    bool remove(HeapOffset node) {
        const HeapOffset own = words_of_(node);
        const HeapOffset next = words_.get(own);
        const HeapOffset before = words_.get(own + 8);
        const bool next_agrees = next == 0 || words_.get(words_of_(next) + 8) == node;
        const bool before_agrees = words_.get(before != 0 ? words_of_(before) : head_) == node;
        if (!next_agrees || !before_agrees) {
            words_.fail();
            return false;
        }
        if (next != 0) words_.set(words_of_(next) + 8, before);
        words_.set(before != 0 ? words_of_(before) : head_, next);
        return before == 0 && next == 0;
    }

private:
    Words& words_;
    HeapOffset head_;
    [[no_unique_address]] WordsOf words_of_;
};

}  // namespace shmpool
