// SPDX-License-Identifier: Apache-2.0
/// A process that has no memory left, for a thread of a test. Link failing_new.cpp: it takes the
/// place of operator new.
#pragma once

#include <cstdint>

namespace shmpool::test {

/// As long as it lives, this thread's allocations fail, but for the first `good` ones.
class NoMemoryBehind {
public:
    explicit NoMemoryBehind(std::uint64_t good);
    ~NoMemoryBehind();
    NoMemoryBehind(const NoMemoryBehind&) = delete;
    NoMemoryBehind& operator=(const NoMemoryBehind&) = delete;

    /// One of them has failed.
    [[nodiscard]] bool was_met() const;
};

struct WithoutMemory {
    std::uint64_t failures = 0;  ///< So many places were there.
    std::uint64_t thrown = 0;    ///< An exception has left the call.
};

/// Calls act(), an Outcome or Result, with no memory from its first allocation on, then from its
/// second one on, until it needs no more. behind(error): after each call that has failed.
template <typename Act, typename Behind>
WithoutMemory at_each_allocation(Act act, Behind behind) {
    WithoutMemory told;
    for (std::uint64_t good = 0;; ++good) {
        bool was_met = false;
        bool has_thrown = true;
        auto result = [&]() -> decltype(act()) {
            const NoMemoryBehind none(good);
            try {
                auto done = act();
                has_thrown = false;
                was_met = none.was_met();
                return done;
            } catch (...) {
                was_met = none.was_met();
            }
            return {};
        }();
        told.thrown += has_thrown ? 1U : 0U;
        if (!was_met) return told;
        ++told.failures;
        behind(result);
    }
}

}  // namespace shmpool::test
