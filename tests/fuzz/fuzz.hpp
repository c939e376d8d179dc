// SPDX-License-Identifier: Apache-2.0
/// One program for each subject: with the preset `fuzz` libFuzzer drives it (`scripts/fuzz`), in
/// all other builds it reads the kept corpus once, as a test.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <span>

namespace shmpool::fuzz {

/// Of the subject. Ends the program if something is wrong.
void try_input(std::span<const std::byte> input);

inline void demand(bool holds, const char* otherwise) {
    if (holds) return;
    std::fprintf(stderr, "%s\n", otherwise);
    std::abort();
}

}  // namespace shmpool::fuzz
