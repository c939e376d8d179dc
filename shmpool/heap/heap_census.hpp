// SPDX-License-Identifier: Apache-2.0
/// What an audit of a heap counts and finds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shmpool/layout/heap_image.hpp"

namespace shmpool {

struct HeapFinding {
    HeapOffset at = 0;  ///< From the beginning of the heap's memory, whatever its origin.
    std::string text;
};

/// Of a word that says whose something is (heap_owner.hpp).
inline constexpr const char* owner_of_nobody = "an owner that nobody can be";

struct HeapCensus {
    std::uint64_t total_bytes = 0;
    std::uint64_t used_bytes = 0;
    std::uint64_t blocks = 0;
    std::vector<HeapFinding> findings;

    void find(HeapOffset at, std::string text) { findings.push_back({at, std::move(text)}); }
    /// `what` at `at` must be what was counted.
    void expect(const std::string& what, HeapOffset at, std::uint64_t counted,
                std::uint64_t stored) {
        if (counted == stored) return;
        find(at, what + " says " + std::to_string(stored) + ", counted " + std::to_string(counted));
    }
};

}  // namespace shmpool
