// SPDX-License-Identifier: Apache-2.0
/// What a rival thinks of what it meets in heaps, for the board.
#pragma once

#include <span>
#include <string>

#include "board.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool::sweep {

class HeapJudge {
public:
    explicit HeapJudge(Board& board) : board_(board) {}

    /// Nothing left is no failure, for the victim may have it all; anything else is.
    template <typename Value>
    [[nodiscard]] bool went_well(const Outcome<Value>& outcome) {
        if (outcome) return true;
        if (outcome.error() == Errc::would_block)
            ++board_.blocked;
        else if (outcome.error() != Errc::no_memory)
            blame(std::string(explain(outcome.error())));
        return false;
    }

    /// As it was left.
    void look_at(std::span<const std::byte> payload, const Mark& mark) {
        if (read_mark(payload) != mark) ++board_.changed;
    }

    template <typename Heap>
    void audit(Heap& heap, const std::string& name) {
        const auto findings = heap.audit();
        if (went_well(findings) && !findings->empty()) {
            blame(name + ": " + findings->front().text);
        }
    }

    void blame(const std::string& text) {
        ++board_.heaps_broken;
        board_.complain(text);
    }

private:
    Board& board_;
};

}  // namespace shmpool::sweep
