// SPDX-License-Identifier: Apache-2.0
/// A ledger in a buffer of Boost.Interprocess (kind best_fit), for tests that kill: a map of
/// entries, each with its amount twice, and their total, all of which every change has to keep in
/// step. So whoever sees a part of somebody's change, or what the dead have left of one, sees a
/// ledger that is not balanced.
#pragma once

#include <boost/interprocess/containers/map.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "shmpool/heap/best_fit.hpp"

namespace shmpool::test {

/// For one `change` or `look`.
class Ledger {
public:
    using Amounts = std::pair<int, int>;
    using Entries = boost::interprocess::map<int, Amounts, std::less<>,
                                             BestFitAllocator<std::pair<const int, Amounts>>>;

    /// Made if there is none: for a change.
    explicit Ledger(BestFit& buffer)
        : Ledger(*buffer.find_or_construct<Entries>("entries")(buffer.get_segment_manager()),
                 *buffer.find_or_construct<std::int64_t>("total")(0)) {}
    /// Nothing if there is none: for a look, which must not hide that one was lost.
    [[nodiscard]] static std::optional<Ledger> find(BestFit& buffer) {
        auto* const entries = buffer.find<Entries>("entries").first;
        auto* const total = buffer.find<std::int64_t>("total").first;
        if (entries == nullptr || total == nullptr) return std::nullopt;
        return Ledger(*entries, *total);
    }

    /// False: the key is there already.
    bool insert(int key, int amount) {
        if (!entries_.emplace(key, Amounts(amount, amount)).second) return false;
        total_ += amount;
        return true;
    }
    /// False: there is none.
    bool erase(int key) {
        const auto found = entries_.find(key);
        if (found == entries_.end()) return false;
        total_ -= found->second.first;
        entries_.erase(found);
        return true;
    }
    void erase_all() {
        while (!entries_.empty()) erase(entries_.begin()->first);
    }

    [[nodiscard]] bool is_balanced() const {
        std::int64_t sum = 0;
        for (const auto& [key, amounts] : entries_) {
            if (amounts.first != amounts.second) return false;
            sum += amounts.first;
        }
        return sum == total_;
    }
    [[nodiscard]] bool has(int key, int amount) const {
        const auto found = entries_.find(key);
        return found != entries_.end() && found->second == Amounts(amount, amount);
    }

private:
    Ledger(Entries& entries, std::int64_t& total) : entries_(entries), total_(total) {}

    Entries& entries_;
    std::int64_t& total_;
};

}  // namespace shmpool::test
