// SPDX-License-Identifier: Apache-2.0
/// The system calls of shmpool/platform that the pool and the protocol make, as the model sees
/// them. The linker finds no second definition: the model's program is not linked with that room's
/// futex.cpp, membarrier.cpp and monotonic_clock.cpp.
#include "machine.hpp"
#include "shmpool/platform/futex.hpp"
#include "shmpool/platform/membarrier.hpp"
#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool {

/// A sleep with an end may end at once; one without ends by a ring only.
WaitOutcome futex_wait(const Atomic<std::uint32_t>& word, std::uint32_t expected,
                       std::chrono::nanoseconds timeout) noexcept {
    if (word.load(std::memory_order_relaxed) != expected) return WaitOutcome::value_changed;
    if (timeout != std::chrono::nanoseconds::max()) return WaitOutcome::timed_out;
    model::machine().sleep_on(&word);
    return WaitOutcome::woken;
}

int futex_wake(Atomic<std::uint32_t>& word, int count) noexcept {
    return model::machine().wake(&word, count);
}

Result<void> register_global_barrier() {
    return {};
}

void global_barrier() noexcept {}

/// Time stands still: what has passed has passed, everything else is to come.
std::uint64_t monotonic_ns() noexcept {
    return 1;
}

}  // namespace shmpool
