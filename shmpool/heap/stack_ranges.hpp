// SPDX-License-Identifier: Apache-2.0
/// Ranges of a stack that do not overlap, as one process remembers them. An empty one overlaps
/// nothing, and is not remembered.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "shmpool/heap/stack_handle.hpp"

namespace shmpool {

[[nodiscard]] constexpr bool overlap(const StackHandle& a, const StackHandle& b) {
    return !a.is_empty() && !b.is_empty() && a.offset < b.end() && b.offset < a.end();
}

class StackRanges {
public:
    StackRanges() = default;
    explicit StackRanges(std::span<const StackHandle> ranges) {
        for (const StackHandle& one : ranges) insert(one);
    }

    [[nodiscard]] std::size_t count() const { return ranges_.size(); }
    [[nodiscard]] std::vector<StackHandle> overlapping(const StackHandle& range) const {
        std::vector<StackHandle> found;
        auto one = ranges_.lower_bound(range.offset);
        if (one != ranges_.begin()) --one;
        for (; one != ranges_.end() && one->first < range.end(); ++one) {
            const StackHandle other{one->first, one->second};
            if (overlap(range, other)) found.push_back(other);
        }
        return found;
    }

    void insert(const StackHandle& range) {
        if (!range.is_empty()) ranges_[range.offset] = range.len;
    }
    /// If it is one of them.
    void erase(const StackHandle& range) {
        const auto one = ranges_.find(range.offset);
        if (one != ranges_.end() && one->second == range.len) ranges_.erase(one);
    }

    /// What of its ranges lies in `range` is none of it; what lies before and behind it stays.
    void cut_out(const StackHandle& range) {
        for (const StackHandle& one : overlapping(range)) {
            erase(one);
            if (one.offset < range.offset) insert({one.offset, range.offset - one.offset});
            if (one.end() > range.end()) insert({range.end(), one.end() - range.end()});
        }
    }

private:
    std::map<std::uint64_t, std::uint64_t> ranges_;  ///< Offset -> length.
};

}  // namespace shmpool
