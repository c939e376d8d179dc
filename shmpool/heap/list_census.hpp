// SPDX-License-Identifier: Apache-2.0
/// Follows the lists of a heap (heap_list.hpp) and compares them with the nodes that a walk through
/// its memory has met. Each node is taken off when it is met again, so no list is endless.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "shmpool/heap/heap_census.hpp"
#include "shmpool/heap/heap_list.hpp"

namespace shmpool {

/// The holder of the heap's lock.
template <typename Words, typename WordsOf = NodesThemselves>
class ListCensus {
public:
    explicit ListCensus(Words& words, WordsOf words_of = {}) : words_(words), words_of_(words_of) {}

    /// It must be in list number `list`.
    void add(HeapOffset node, std::uint32_t list) { nodes_.emplace(node, list); }

    void follow(HeapCensus& census, HeapOffset head, std::uint32_t list) {
        HeapOffset before = 0;
        for (HeapOffset node = head; node != 0; before = node, node = words_.get(words_of_(node))) {
            const auto found = nodes_.find(node);
            if (found == nodes_.end()) return census.find(node, "in a list, and not free");
            census.expect("its list", node, found->second, list);
            census.expect("the one before in the list", node, before,
                          words_.get(words_of_(node) + 8));
            nodes_.erase(found);
        }
    }

    /// Behind following all lists.
    void find_lost(HeapCensus& census) const {
        for (const auto& [node, list] : nodes_) census.find(node, "free and in no list");
    }

private:
    Words& words_;
    WordsOf words_of_;
    std::unordered_map<HeapOffset, std::uint32_t> nodes_;
};

}  // namespace shmpool
