// SPDX-License-Identifier: Apache-2.0
/// What every allocator of the contest does alone, compiled into each one's own code: takes a 1 KiB
/// block, writes its first word, gives it back; in bursts it takes many before it gives the first
/// back. Nanoseconds for each block.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace shmpool::contest {

inline constexpr std::uint64_t block_bytes = 1024;
inline constexpr std::uint32_t blocks_wanted = 8192;
inline constexpr std::chrono::milliseconds per_workload{60};
inline constexpr int pairs_per_look = 16'384;  // At the clock.

inline void touch(void* data) {
    *static_cast<volatile std::uint64_t*>(data) = 1;
}

/// Repeats `many`, which handles `blocks` of them, and returns nanoseconds for each.
template <typename Many>
double time_of(std::uint64_t blocks, Many many) {
    using Clock = std::chrono::steady_clock;
    many();  // Warm.
    const auto begin = Clock::now();
    std::uint64_t handled = 0;
    std::chrono::duration<double, std::nano> passed{};
    do {
        many();
        handled += blocks;
        passed = Clock::now() - begin;
    } while (passed < per_workload);
    return passed.count() / static_cast<double>(handled);
}

template <typename Allocator>
double time_of_pairs(Allocator& allocator) {
    return time_of(pairs_per_look, [&] {
        for (int i = 0; i < pairs_per_look; ++i) {
            const auto block = allocator.take();
            touch(allocator.data(block));
            allocator.give(block);
        }
    });
}

template <typename Allocator>
double time_of_bursts(Allocator& allocator, std::size_t length) {
    std::vector<typename Allocator::Block> out(length);
    const std::size_t bursts = 16'384 / length;
    return time_of(bursts * length, [&] {
        for (std::size_t i = 0; i < bursts; ++i) {
            for (auto& block : out) {
                block = allocator.take();
                touch(allocator.data(block));
            }
            for (const auto& block : out) allocator.give(block);
        }
    });
}

}  // namespace shmpool::contest
