// SPDX-License-Identifier: Apache-2.0
/// What a rival has in the buffer of Boost.Interprocess: entries of a ledger, under keys of its
/// own. Whoever looks sees a ledger that is balanced, and the rival's entries as it has left them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "heap_judge.hpp"
#include "peer/peer.hpp"

namespace shmpool::test {
class Ledger;
}

namespace shmpool::sweep {

inline constexpr const char* buffer_heap = "buffer";
/// A name for what victims construct.
inline constexpr const char* constructed = "constructed";

class BufferShare {
public:
    BufferShare(Board& board, Peer& peer, std::uint32_t number);

    void work();
    void rest();
    /// At rest, and the dead are gone: nothing is left but a ledger without entries.
    void count();

private:
    struct Entry {
        int key;
        int amount;
    };

    void insert();
    void give(std::size_t keep);
    void look();
    [[nodiscard]] bool change(const std::function<bool(test::Ledger&)>& body);

    Board& board_;
    HeapJudge judge_;
    const std::uint32_t number_;
    std::shared_ptr<SharedBestFitHeap> heap_;
    std::vector<Entry> entries_;
    int taken_ = 0;
    std::optional<std::uint64_t> used_when_empty_;
};

}  // namespace shmpool::sweep
