// SPDX-License-Identifier: Apache-2.0
/// The states that were met: only their hashes of 128 bits, in one open table that doubles. Two
/// different states that look the same are less likely than a broken machine.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "machine.hpp"

namespace shmpool::model {

class Visited {
public:
    static constexpr std::uint64_t states_max = 1ULL << 28;  ///< 8 GiB; 12 while it grows.

    /// False when it was there already.
    bool insert(const Hash& hash) {
        if (2 * (count_ + 1) > table_.size()) grow();
        if (!put(hash)) return false;
        ++count_;
        return true;
    }
    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] bool full() const { return count_ >= states_max; }

private:
    [[nodiscard]] static bool empty(const Hash& hash) { return hash.low == 0 && hash.high == 0; }

    bool put(const Hash& hash) {
        const std::uint64_t mask = table_.size() - 1;
        for (std::uint64_t at = hash.low & mask;; at = (at + 1) & mask) {
            if (table_[at] == hash) return false;
            if (!empty(table_[at])) continue;
            table_[at] = hash;
            return true;
        }
    }
    void grow() {
        const std::vector<Hash> old =
            std::exchange(table_, std::vector<Hash>(2 * table_.size(), Hash{0, 0}));
        for (const Hash& hash : old) {
            if (!empty(hash)) put(hash);
        }
    }

    std::vector<Hash> table_ = std::vector<Hash>(1 << 12, Hash{0, 0});
    std::uint64_t count_ = 0;
};

}  // namespace shmpool::model
