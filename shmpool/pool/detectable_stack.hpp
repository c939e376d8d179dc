// SPDX-License-Identifier: Apache-2.0
/// Free slots of one size class: Treiber's stack (1986) over slot indices that remembers who
/// changed it last, so that after a kill the host can decide whether the last change of the dead
/// lane happened.
///
/// A single-word list is never half updated by a kill; what gets lost is ownership, between the
/// compare-exchange and the name on the slot. Therefore every lane writes its intent before its
/// exchange, the head carries {lane, sequence} of the last change, and whoever overwrites a head
/// first raises `seen` of the lane whose change disappears. `happened(lane)` is then exact. Cost:
/// one 16-byte compare-exchange per chain, one more if the last change was another lane's.
///
///   Who may run beside whom            take  give  recover_intent(lane)
///   take, give      any claimed lane   yes   yes   yes, other lanes
///   recover_intent  host, lane dead    yes   yes   no
///
/// Invariants:
///   I1  A slot is reachable from the head exactly while its word is `listed`, or it is named by
///   the
///       intent of exactly one lane.
///   I2  {lane, sequence} never repeats in one head, so an exchange that succeeds saw the very list
///       from which it computed the new top: no ABA.
///   I3  `seen` of a lane is raised before the head that shows its change can be overwritten, and
///   only
///       grows. Reading the head first and `seen` second therefore never misses a change.
///
/// Pairings:
///   [AR-head] -> [A-head]   a taker sees the giver's links, words and all it did to the slots.
///   [R-intent] -> [A-intent] the host sees the sequence that was written before the intent.
///   [AR-seen] -> [A-seen]   the host that misses a change in the head finds it in `seen`.
#pragma once

#include <span>

#include "shmpool/platform/crash_point.hpp"
#include "shmpool/platform/result.hpp"
#include "shmpool/pool/lane.hpp"
#include "shmpool/pool/retry_limit.hpp"

namespace shmpool {

/// Nobody moves longer chains in one step; so long ones only the host, of what a dead peer held.
inline constexpr std::uint32_t chain_slots_max = 65'536;
static_assert(magazine_capacity_max <= chain_slots_max);

/// Whether an honest lane may have announced it. (Idle ones are not looked at.)
[[nodiscard]] inline bool is_sound(const PoolView& pool, const Intent& intent) {
    return (intent.kind == IntentKind::pop || intent.kind == IntentKind::push) &&
           intent.class_index < pool.class_count && intent.extent_index == 0 &&
           intent.first < pool.classes[intent.class_index].slot_count && intent.count != 0 &&
           intent.count <= chain_slots_max;
}

class DetectableStack {
public:
    DetectableStack(const PoolView& pool, std::uint32_t class_index)
        : pool_(pool), class_(pool.classes[class_index]), class_index_(class_index) {}

    /// Takes up to `out.size()` slots off the list, top first; 0 when it is empty. The slots are
    /// named by the lane's intent until the caller has stamped their words and calls
    /// `lane.settle()`.
    [[nodiscard]] Outcome<std::uint32_t> take(Lane& lane, std::span<std::uint32_t> out) {
        const std::uint64_t sequence = lane.next_sequence();
        for (std::uint32_t attempt = 0;; ++attempt) {
            const Word128 head = load_halves(class_.extent->head);  // [A-head]
            SHMPOOL_CRASH_POINT(pop_head_read);
            if (static_cast<std::uint32_t>(head.low) == no_slot) {
                lane.settle();
                return 0U;
            }
            note_last_change(lane, head.high);
            SHMPOOL_CRASH_POINT(pop_last_change_noted);
            std::uint32_t after = no_slot;
            const std::uint32_t count = walk(static_cast<std::uint32_t>(head.low), out, after);
            if (count == 0) {
                if (attempt >= nonsense_retries) return damaged(lane);
                continue;
            }
            lane.announce({IntentKind::pop, class_index_, 0, out[0], count});
            SHMPOOL_CRASH_POINT(pop_announced);
            if (exchange(head, after, make_change(lane.index(), sequence))) {  // [AR-head]
                SHMPOOL_CRASH_POINT(pop_happened);
                return count;
            }
            if (attempt >= retry_limit) return damaged(lane);
        }
    }

    /// Puts slots that the lane owns back on the list; `slots[0]` becomes the top.
    void give(Lane& lane, std::span<const std::uint32_t> slots) {
        if (slots.empty()) return;
        const std::uint64_t sequence = lane.next_sequence();
        const std::uint32_t count = static_cast<std::uint32_t>(slots.size());
        for (std::uint32_t i = 0; i + 1 < count; ++i) set_link(slots[i], slots[i + 1]);
        lane.announce({IntentKind::push, class_index_, 0, slots[0], count});
        SHMPOOL_CRASH_POINT(push_announced);
        for (const std::uint32_t slot : slots) {
            Atomic<std::uint64_t>& word = class_.records[slot].word;
            const std::uint32_t generation = word_generation(word.load(std::memory_order_relaxed));
            word.store(make_word(generation, SlotState::listed, 0), std::memory_order_relaxed);
        }
        SHMPOOL_CRASH_POINT(push_stamped);
        for (std::uint32_t attempt = 0;; ++attempt) {
            if (attempt == retry_limit) return void(damaged(lane));
            const Word128 head = load_halves(class_.extent->head);  // [A-head]
            SHMPOOL_CRASH_POINT(push_head_read);
            set_link(slots[count - 1], static_cast<std::uint32_t>(head.low));
            note_last_change(lane, head.high);
            SHMPOOL_CRASH_POINT(push_last_change_noted);
            if (exchange(head, slots[0], make_change(lane.index(), sequence))) break;  // [AR-head]
        }
        SHMPOOL_CRASH_POINT(push_happened);
        lane.settle();
    }

    /// Whether the announced change of a dead lane reached the list. Host only; the lane is dead.
    [[nodiscard]] bool happened(std::uint32_t lane_index, std::uint64_t sequence) const {
        // {lane, sequence} is one half of the head and never repeats: one load of it decides.
        const std::uint64_t last = load_halves(class_.extent->head).high;  // [A-head]
        if (sequence != 0 && last == make_change(lane_index, sequence)) return true;
        SHMPOOL_CRASH_POINT(happened_looked);
        const std::uint64_t seen =
            pool_.lanes[lane_index].seen.load(std::memory_order_acquire);  // [A-seen]
        return sequence != 0 && seen == (sequence & lane_sequence_mask);
    }

    /// Follows `count` links from `first`; returns how many indices are sound. Host only.
    [[nodiscard]] std::uint32_t chain(std::uint32_t first, std::span<std::uint32_t> out) const {
        std::uint32_t after = no_slot;
        return walk(first, out, after);
    }

    /// Top of the list at this moment, for walks on a quiet pool.
    [[nodiscard]] std::uint32_t top() const {
        return static_cast<std::uint32_t>(load_halves(class_.extent->head).low);  // [A-head]
    }

private:
    static constexpr std::uint32_t nonsense_retries = 1000;

    [[nodiscard]] std::uint32_t walk(std::uint32_t first, std::span<std::uint32_t> out,
                                     std::uint32_t& after) const {
        std::uint32_t count = 0;
        std::uint32_t index = first;
        while (count < out.size() && index != no_slot) {
            if (index >= class_.slot_count) return 0;
            out[count++] = index;
            index = loaded_link(class_.records[index].link.load(std::memory_order_relaxed), index,
                                class_.slot_count);
        }
        if (index != no_slot && index >= class_.slot_count) return 0;
        after = index;
        return count;
    }

    void set_link(std::uint32_t slot, std::uint32_t next) {
        class_.records[slot].link.store(stored_link(next), std::memory_order_relaxed);
    }

    [[nodiscard]] bool exchange(const Word128& expected, std::uint32_t top, std::uint64_t change) {
        return compare_exchange_128(class_.extent->head, expected, Word128{top, change});
    }

    void note_last_change(Lane& lane, std::uint64_t change) {
        const std::uint32_t other = change_lane(change);
        if (other == lane.index() || other >= pool_.lane_count) return;
        Atomic<std::uint64_t>& seen = pool_.lanes[other].seen;
        const std::uint64_t sequence = change_sequence(change);
        std::uint64_t old = seen.load(std::memory_order_relaxed);
        std::uint32_t attempts = retry_limit;  // Monotone, so an honest one is not met again.
        while (old < sequence && attempts-- != 0 &&
               !seen.compare_exchange_weak(old, sequence, std::memory_order_acq_rel,  // [AR-seen]
                                           std::memory_order_relaxed)) {
        }
    }

    [[nodiscard]] tl::unexpected<Errc> damaged(Lane& lane) const {
        lane.settle();
        pool_.mark_damaged();
        return fail(Errc::pool_damaged);
    }

    const PoolView& pool_;
    const ClassView& class_;
    const std::uint32_t class_index_;
};

}  // namespace shmpool
