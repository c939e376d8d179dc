// SPDX-License-Identifier: Apache-2.0
/// The baseline: the algorithm of the seed's `VarSlotPool`, written anew with one size class. It is
/// here to be compared with, faults included; nothing of shmpool uses it.
///
/// A Treiber stack with a tag against ABA. What a slot is and whose stands in words of their own,
/// which are stored *after* the exchange that takes the slot out of the list and *before* the one
/// that puts it back: a process that dies in between leaves a slot that is neither in the list nor
/// anybody's. And a slot is its allocator's, whoever reads it.
///
/// Who may run beside whom: allocate and free of every process beside each other and beside
/// reclaim_peer_slots of a dead one; init alone.
///
/// Pairings: [AR-seed-head] hands on links and words; [R-seed-word] -> [A-seed-word] what a slot
/// is.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "contestant.hpp"

namespace shmpool::versus {

struct SeedSlotRef {
    std::uint32_t slot_index;
    std::uint32_t generation;
};

template <std::uint32_t slot_count>
class SeedPoolOf {
public:
    using SlotRef = SeedSlotRef;

    void init() {
        for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
            words_[slot].next_free = slot + 1 < slot_count ? slot + 1 : empty;
        }
        head_ = pack(0, 0);
    }

    std::optional<SlotRef> allocate(std::uint32_t owner_peer) {
        std::uint64_t head = head_.load(std::memory_order_acquire);  // [A-seed-head]
        for (;;) {
            const std::uint32_t slot = slot_of(head);
            if (slot == empty) return std::nullopt;
            Words& words = words_[slot];
            const std::uint32_t next =
                words.next_free.load(std::memory_order_acquire);  // [A-seed-word]
            if (head_.compare_exchange_strong(head, pack(next, tag_of(head) + 1),
                                              std::memory_order_acq_rel,     // [AR-seed-head]
                                              std::memory_order_acquire)) {  // [A-seed-head]
                // A death from here until `owner_peer` is stored loses the slot.
                const auto generation =
                    words.generation.fetch_add(1, std::memory_order_acq_rel) + 1;  // [AR-seed-word]
                words.state.store(allocated, std::memory_order_release);           // [R-seed-word]
                words.owner_peer.store(owner_peer, std::memory_order_release);     // [R-seed-word]
                return SlotRef{slot, generation};
            }
        }
    }

    /// False on a stale or repeated free.
    bool free(SlotRef ref) {
        Words& words = words_[ref.slot_index];
        if (words.state.load(std::memory_order_acquire) != allocated ||            // [A-seed-word]
            words.generation.load(std::memory_order_acquire) != ref.generation) {  // [A-seed-word]
            return false;
        }
        words.state.store(unused, std::memory_order_release);  // [R-seed-word]
        // A death from here until the slot is in the list loses it.
        words.owner_peer.store(0, std::memory_order_release);        // [R-seed-word]
        std::uint64_t head = head_.load(std::memory_order_acquire);  // [A-seed-head]
        do {
            words.next_free.store(slot_of(head), std::memory_order_release);  // [R-seed-word]
        } while (!head_.compare_exchange_strong(head, pack(ref.slot_index, tag_of(head) + 1),
                                                std::memory_order_acq_rel,    // [AR-seed-head]
                                                std::memory_order_acquire));  // [A-seed-head]
        return true;
    }

    /// By the host, of a peer that is dead.
    void reclaim_peer_slots(std::uint32_t peer) {
        for (std::uint32_t slot = 0; slot < slot_count; ++slot) {
            Words& words = words_[slot];
            if (words.owner_peer.load(std::memory_order_acquire) != peer)
                continue;  // [A-seed-word]
            if (words.state.load(std::memory_order_acquire) != allocated)
                continue;                                                    // [A-seed-word]
            free({slot, words.generation.load(std::memory_order_acquire)});  // [A-seed-word]
        }
    }

    std::byte* slot_data(SlotRef ref) { return payload_[ref.slot_index].data(); }

private:
    enum State : std::uint32_t { unused, allocated };
    static constexpr std::uint32_t empty = 0xFFFF'FFFF;

    struct Words {
        std::atomic<std::uint32_t> generation;
        std::atomic<std::uint32_t> state;
        std::atomic<std::uint32_t> owner_peer;
        std::atomic<std::uint32_t> next_free;
    };

    static constexpr std::uint64_t pack(std::uint32_t slot, std::uint32_t tag) {
        return (std::uint64_t{tag} << 32) | slot;
    }
    static constexpr std::uint32_t slot_of(std::uint64_t head) {
        return static_cast<std::uint32_t>(head);
    }
    static constexpr std::uint32_t tag_of(std::uint64_t head) {
        return static_cast<std::uint32_t>(head >> 32);
    }

    alignas(64) std::atomic<std::uint64_t> head_{pack(empty, 0)};
    alignas(64) std::array<Words, slot_count> words_{};
    alignas(64) std::array<std::array<std::byte, slot_bytes>, slot_count> payload_{};
};
using SeedPool = SeedPoolOf<slots_wanted>;

}  // namespace shmpool::versus
