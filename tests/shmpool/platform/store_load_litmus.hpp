// SPDX-License-Identifier: Apache-2.0
/// The store-load litmus test, free-running. Each of two sides counts up in a word of its own;
/// after each step it passes its barrier and notes what it then reads in the other's word. If side
/// 1, at its step j, did not see step i of side 0, then side 0, at its step i, must have seen step
/// j.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "shmpool/platform/atomics.hpp"

namespace shmpool::test {

class StoreLoadLitmus {
public:
    /// `who` is 0 or 1; takes as many steps as `saw` has room. Call it for both at the same time.
    template <typename Barrier>
    void run(int who, std::span<std::uint64_t> saw, Barrier barrier) {
        Side& mine = sides_[who];
        const Side& other = sides_[1 - who];
        mine.is_here.store(1, std::memory_order_relaxed);  // Carries nothing.
        while (other.is_here.load(std::memory_order_relaxed) == 0) cpu_relax();
        for (std::uint64_t step = 1; step <= saw.size(); ++step) {
            mine.steps.store(step, std::memory_order_relaxed);  // Ordered by what is tested.
            barrier();
            saw[step - 1] = other.steps.load(std::memory_order_relaxed);
        }
    }

    /// How many steps of side 1 and side 0 missed each other. Both must have ended.
    [[nodiscard]] static std::uint64_t missed(std::span<const std::uint64_t> side_0_saw,
                                              std::span<const std::uint64_t> side_1_saw) {
        std::uint64_t count = 0;
        for (std::uint64_t step = 1; step <= side_1_saw.size(); ++step) {
            const std::uint64_t first_unseen = side_1_saw[step - 1] + 1;
            if (first_unseen > side_0_saw.size()) break;
            if (side_0_saw[first_unseen - 1] < step) ++count;
        }
        return count;
    }

    /// How often a side saw the other move from one step to its next: whether both really ran at
    /// the same time. On a busy machine one may have to try again.
    [[nodiscard]] static std::uint64_t meetings(std::span<const std::uint64_t> saw) {
        std::uint64_t count = 0;
        for (std::size_t i = 1; i < saw.size(); ++i) {
            if (saw[i] != saw[i - 1]) ++count;
        }
        return count;
    }

private:
    struct alignas(2 * cache_line_bytes) Side {  // Two: neighbours are fetched together.
        Atomic<std::uint64_t> steps{0};
        Atomic<std::uint32_t> is_here{0};
    };

    Side sides_[2];
};

}  // namespace shmpool::test
