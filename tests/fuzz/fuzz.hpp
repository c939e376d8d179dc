// SPDX-License-Identifier: Apache-2.0
/// One program for each subject: with the preset `fuzz` libFuzzer drives it (`scripts/fuzz`), in
/// all other builds it reads the kept corpus once, as a test. That test fails when the corpus does
/// not reach any more what it is kept for: a corpus that is refused at the door tests nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace shmpool::fuzz {

inline void demand(bool holds, const char* otherwise) {
    if (holds) return;
    std::fprintf(stderr, "%s\n", otherwise);
    std::abort();
}

/// What the inputs of a subject are to reach, and how often they have.
class Reach {
public:
    explicit Reach(const std::vector<std::string>& places) {
        for (const std::string& place : places) times_[place] = 0;
    }

    /// Pre: one of the places. Whatever else a subject tells of is a hole in its list.
    void note(std::string_view place) {
        const auto found = times_.find(place);
        if (found == times_.end()) return demand(false, (std::string(place) + "?").c_str());
        ++found->second;
    }
    void note_if(bool reached, std::string_view place) {
        if (reached) note(place);
    }

    /// Those that no input has reached.
    [[nodiscard]] std::vector<std::string> missing() const {
        std::vector<std::string> places;
        for (const auto& [place, times] : times_) {
            if (times == 0) places.push_back(place);
        }
        return places;
    }

private:
    std::map<std::string, std::uint64_t, std::less<>> times_;
};

/// An input to begin with.
struct Seed {
    std::string name;  ///< Of its file.
    std::vector<std::byte> bytes;
};

// --- of the subject ------------------------------------------------------------------------------

/// Ends the program if something is wrong.
void try_input(std::span<const std::byte> input);

/// Of all inputs that were tried.
[[nodiscard]] const Reach& reach();

/// What leads to the places that chance hardly finds.
[[nodiscard]] std::vector<Seed> seeds();

}  // namespace shmpool::fuzz
