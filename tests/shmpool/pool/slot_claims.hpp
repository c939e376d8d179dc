// SPDX-License-Identifier: Apache-2.0
/// An account of its own, beside the pool, of who has which slot: whoever takes a slot writes his
/// name on it here, and must find no name of anybody living. So a slot that is handed out twice is
/// seen at once and not only when two payloads mix. Names of the dead do not count.
#pragma once

#include <cstdint>

#include "shmpool/platform/atomics.hpp"

namespace shmpool::test {

/// Zeroed shared memory; all processes of a test see the same one.
class SlotClaims {
public:
    static constexpr std::uint32_t slots_max = 4096;
    static constexpr std::uint32_t names_max = 1U << 16;

    void is_born(std::uint32_t name) {
        living_[name].store(1, std::memory_order_release);  // [R-claim]
    }
    void has_died(std::uint32_t name) {
        living_[name].store(0, std::memory_order_release);  // [R-claim]
    }

    /// `name` (not 0) has been given `slot` by the pool.
    void take(std::uint32_t slot, std::uint32_t name) {
        const std::uint32_t before =
            holders_[slot].exchange(name, std::memory_order_acq_rel);               // [AR-claim]
        if (before != 0 && living_[before].load(std::memory_order_acquire) != 0) {  // [A-claim]
            doubled_.fetch_add(1, std::memory_order_relaxed);
        }
    }
    /// `name` is about to give `slot` back.
    void give(std::uint32_t slot, std::uint32_t name) {
        if (holders_[slot].exchange(0, std::memory_order_acq_rel) != name) {  // [AR-claim]
            doubled_.fetch_add(1, std::memory_order_relaxed);
        }
    }
    void payload_was_overwritten() { overwritten_.fetch_add(1, std::memory_order_relaxed); }

    [[nodiscard]] std::uint64_t doubled() const { return doubled_.load(); }
    [[nodiscard]] std::uint64_t overwritten() const { return overwritten_.load(); }

private:
    Atomic<std::uint32_t> holders_[slots_max];
    Atomic<std::uint32_t> living_[names_max];
    Atomic<std::uint64_t> doubled_;
    Atomic<std::uint64_t> overwritten_;
};

}  // namespace shmpool::test
