// SPDX-License-Identifier: Apache-2.0
/// See nearest_name.hpp. The table of distances is kept as three rows: a swap looks two rows back.
#include "host/nearest_name.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace shmpool::host {
namespace {

char lower(char character) {
    return character >= 'A' && character <= 'Z' ? static_cast<char>(character - 'A' + 'a')
                                                : character;
}

bool same(char left, char right) {
    return lower(left) == lower(right);
}

}  // namespace

std::size_t edit_distance(std::string_view left, std::string_view right) {
    const std::size_t width = right.size() + 1;
    std::vector<std::size_t> before(width), above(width), row(width);
    for (std::size_t column = 0; column < width; ++column) above[column] = column;
    for (std::size_t i = 1; i <= left.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= right.size(); ++j) {
            const std::size_t exchanged = above[j - 1] + (same(left[i - 1], right[j - 1]) ? 0 : 1);
            row[j] = std::min({above[j] + 1, row[j - 1] + 1, exchanged});
            const bool swapped = i > 1 && j > 1 && same(left[i - 1], right[j - 2]) &&
                                 same(left[i - 2], right[j - 1]);
            if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
        }
        std::swap(before, above);
        std::swap(above, row);
    }
    return above[right.size()];
}

std::optional<std::string_view> nearest_name(std::string_view word,
                                             std::span<const std::string_view> known) {
    std::optional<std::string_view> nearest;
    std::size_t least = 0;
    for (const std::string_view name : known) {
        const std::size_t limit = std::max<std::size_t>(1, name.size() / 3);
        if (word.size() > name.size() + limit) continue;  // Also bounds the work for long words.
        const std::size_t distance = edit_distance(word, name);
        if (distance > limit || (nearest && distance >= least)) continue;
        nearest = name;
        least = distance;
    }
    return nearest;
}

std::string suggest_name(std::string_view word, std::span<const std::string_view> known) {
    if (const auto nearest = nearest_name(word, known)) {
        return "did you mean \"" + std::string(*nearest) + "\"?";
    }
    std::string all = "known here:";
    for (const std::string_view name : known) {
        all += (name == known.front() ? " " : ", ") + std::string(name);
    }
    return all;
}

}  // namespace shmpool::host
