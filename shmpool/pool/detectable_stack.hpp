// SPDX-License-Identifier: Apache-2.0
/// Free slots of one extent of a size class: Treiber's stack (1986) over slot indices that
/// remembers who changed it last, so that after a kill the host can decide whether the last change
/// of the dead lane happened.
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
///   take_all, give_all  host           yes   yes   no
///
/// Slots have their positions in the class here; heads, links and intents count from the extent's
/// first slot, so that zeroed memory is a full list in every extent.
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
#include "shmpool/platform/prefetch.hpp"
#include "shmpool/platform/result.hpp"
#include "shmpool/pool/lane.hpp"
#include "shmpool/pool/retry_limit.hpp"

namespace shmpool {

/// Nobody moves longer chains in one step, but for the host, which moves whole extents; so long
/// ones only the host too, of what a dead peer held.
inline constexpr std::uint32_t chain_slots_max = 65'536;
static_assert(magazine_capacity_max <= chain_slots_max);

/// Whether this lane may honestly have announced it. (Idle ones are not looked at.)
[[nodiscard]] inline bool is_sound(const PoolView& pool, std::uint32_t lane_index,
                                   const Intent& intent) {
    if (intent.kind != IntentKind::pop && intent.kind != IntentKind::push) return false;
    if (intent.class_index >= pool.class_count || intent.count == 0) return false;
    const ClassView& view = pool.classes[intent.class_index];
    if (intent.extent_index >= view.extent_count()) return false;
    const std::uint32_t slots = view.extent(intent.extent_index).slot_count;
    return intent.first < slots && intent.count <= slots &&
           (lane_index == host_lane || intent.count <= chain_slots_max);
}

/// How many slots were drawn, or why none. It comes back in a register: an Outcome is written to
/// memory in parts and read whole, for which the core waits until they have arrived.
struct Drawn {
    std::uint32_t count = 0;
    Errc error{};  ///< Errc{}: none.
};

/// How far somebody has come in looking whether all slots of an extent are in its list. Private.
struct ListWalk {
    Word128 head{};           ///< The list, as it was when the walk began.
    std::uint32_t next = 0;   ///< Where it goes on, an index of the list,
    std::uint32_t count = 0;  ///< behind so many slots.
    std::uint32_t begun = 0;  ///< So often: whenever the list has changed it begins anew.
};

/// What has become of the attempt to take a whole list off.
enum class ListTaking : std::uint8_t { under_way, refused, done };

class DetectableStack {
public:
    /// Pre: the extent is known.
    DetectableStack(const PoolView& pool, std::uint32_t class_index, std::uint32_t extent_index = 0)
        : pool_(pool),
          extent_(pool.classes[class_index].extent(extent_index)),
          class_index_(class_index),
          extent_index_(extent_index) {}

    /// Takes up to `out.size()` slots off the list, top first; 0 when it is empty. The slots are
    /// named by the lane's intent until the caller has stamped their words and calls
    /// `lane.settle()`.
    [[nodiscard]] Drawn take(Lane& lane, std::span<std::uint32_t> out) {
        const std::uint64_t sequence = lane.next_sequence();
        for (std::uint32_t attempt = 0;; ++attempt) {
            const Word128 head = load_halves(extent_.image->head);  // [A-head]
            SHMPOOL_CRASH_POINT(pop_head_read);
            if (static_cast<std::uint32_t>(head.low) == no_slot) {
                lane.settle();
                return {};
            }
            note_last_change(lane, head.high);
            SHMPOOL_CRASH_POINT(pop_last_change_noted);
            std::uint32_t after = no_slot;
            const std::uint32_t count = walk(static_cast<std::uint32_t>(head.low), out, after);
            if (count == 0) {
                if (attempt >= nonsense_retries) return {0, damaged(lane)};
                continue;
            }
            announce(lane, IntentKind::pop, static_cast<std::uint32_t>(head.low), count);
            SHMPOOL_CRASH_POINT(pop_announced);
            if (exchange(head, after, make_change(lane.index(), sequence))) {  // [AR-head]
                SHMPOOL_CRASH_POINT(pop_happened);
                return {count, {}};
            }
            if (attempt >= retry_limit) return {0, damaged(lane)};
        }
    }

    /// Puts slots that the lane owns back on the list; `slots[0]` becomes the top.
    void give(Lane& lane, std::span<const std::uint32_t> slots) {
        if (slots.empty()) return;
        const std::uint64_t sequence = lane.next_sequence();
        const std::uint32_t count = static_cast<std::uint32_t>(slots.size());
        for (std::uint32_t i = 0; i + 1 < count; ++i) {
            set_link(index(slots[i]), index(slots[i + 1]));
        }
        for (std::uint32_t i = 0; i < count; ++i) set_further(slots, i);
        announce(lane, IntentKind::push, index(slots[0]), count);
        SHMPOOL_CRASH_POINT(push_announced);
        for (const std::uint32_t slot : slots) {
            Atomic<std::uint64_t>& word = extent_.records[index(slot)].word;
            const std::uint32_t generation = word_generation(word.load(std::memory_order_relaxed));
            word.store(make_word(generation, SlotState::listed, 0), std::memory_order_relaxed);
        }
        SHMPOOL_CRASH_POINT(push_stamped);
        put_on_top(lane, sequence, index(slots[0]), index(slots[count - 1]));
    }

    /// Takes the whole list off, if all slots of the extent are in it. done: its top is
    /// `walk.head.low`, and named by the lane's intent until the caller has written it down and
    /// calls `lane.settle()`. under_way: so many links were followed, and it goes on with the next
    /// call; the lane may do anything else until then, because nothing is announced before the
    /// last step, and by I2 that succeeds only if nobody has changed the list since the walk began.
    /// refused: not all slots are in it, or it changes all the time. Host only.
    [[nodiscard]] ListTaking take_all(Lane& lane, ListWalk& walk, std::uint32_t links) {
        const Word128 head = load_halves(extent_.image->head);  // [A-head]
        if (walk.begun == 0 || head != walk.head) {
            if (walk.begun == take_all_attempts) return ListTaking::refused;
            walk = {head, static_cast<std::uint32_t>(head.low), 0, walk.begun + 1};
        }
        follow(walk, links);
        if (has_more(walk)) return ListTaking::under_way;
        if (walk.count != extent_.slot_count || walk.next != no_slot) return ListTaking::refused;
        const std::uint64_t sequence = lane.next_sequence();
        note_last_change(lane, walk.head.high);
        announce(lane, IntentKind::pop, static_cast<std::uint32_t>(walk.head.low),
                 extent_.slot_count);
        SHMPOOL_CRASH_POINT(take_all_announced);
        if (exchange(walk.head, no_slot, make_change(lane.index(), sequence))) {  // [AR-head]
            SHMPOOL_CRASH_POINT(take_all_happened);
            return ListTaking::done;
        }
        lane.settle();
        return ListTaking::under_way;
    }

    /// Puts the list back that `take_all` took, as it was. Announces it before `before_exchange` is
    /// called, which lets it be the lane's. Nobody looks for its last slot, which may be millions
    /// of links away: all slots of the extent are in it, so there is nothing that it could have to
    /// lead to, and nobody who could honestly change the head, whose last change is the host's own.
    /// Host only.
    template <typename BeforeExchange>
    void give_all(Lane& lane, std::uint32_t first, BeforeExchange&& before_exchange) {
        const Word128 head = load_halves(extent_.image->head);  // [A-head]
        if (static_cast<std::uint32_t>(head.low) != no_slot) return void(damaged(lane));
        const std::uint64_t sequence = lane.next_sequence();
        announce(lane, IntentKind::push, first, extent_.slot_count);
        SHMPOOL_CRASH_POINT(give_all_announced);
        before_exchange();
        SHMPOOL_CRASH_POINT(give_all_owned);
        if (!exchange(head, first, make_change(lane.index(), sequence))) {  // [AR-head]
            return void(damaged(lane));
        }
        SHMPOOL_CRASH_POINT(give_all_happened);
        lane.settle();
    }

    /// Whether the announced change of a dead lane reached the list. Host only; the lane is dead.
    [[nodiscard]] bool happened(std::uint32_t lane_index, std::uint64_t sequence) const {
        // {lane, sequence} is one half of the head and never repeats: one load of it decides.
        const std::uint64_t last = load_halves(extent_.image->head).high;  // [A-head]
        if (sequence != 0 && last == make_change(lane_index, sequence)) return true;
        SHMPOOL_CRASH_POINT(happened_looked);
        const std::uint64_t seen =
            pool_.lanes[lane_index].seen.load(std::memory_order_acquire);  // [A-seen]
        return sequence != 0 && seen == (sequence & lane_sequence_mask);
    }

    /// Follows up to `out.size()` links from an intent's first; returns how many are sound. Host
    /// only.
    [[nodiscard]] std::uint32_t chain(std::uint32_t first, std::span<std::uint32_t> out) const {
        std::uint32_t after = no_slot;
        return walk(first, out, after);
    }

    /// Top of the list at this moment, for walks on a quiet pool.
    [[nodiscard]] std::uint32_t top() const {
        return static_cast<std::uint32_t>(load_halves(extent_.image->head).low);  // [A-head]
    }
    /// What follows an index of the list; anything may be in the segment.
    [[nodiscard]] std::uint32_t next(std::uint32_t index) const {
        return loaded_link(extent_.records[index].link.load(std::memory_order_relaxed), index,
                           extent_.slot_count);
    }

private:
    static constexpr std::uint32_t nonsense_retries = 1000;
    static constexpr std::uint32_t take_all_attempts = 3;

    [[nodiscard]] std::uint32_t index(std::uint32_t position) const {
        return position - extent_.first;
    }
    void announce(Lane& lane, IntentKind kind, std::uint32_t first, std::uint32_t count) const {
        lane.announce({kind, class_index_, extent_index_, first, count});
    }

    /// `out` are positions, `first` and `after` indices of the list.
    [[nodiscard]] std::uint32_t walk(std::uint32_t first, std::span<std::uint32_t> out,
                                     std::uint32_t& after) const {
        std::uint32_t count = 0;
        std::uint32_t index = first;
        while (count < out.size() && index != no_slot) {
            if (index >= extent_.slot_count) return 0;
            out[count++] = extent_.first + index;
            fetch_further(index);
            index = next(index);
        }
        if (index != no_slot && index >= extent_.slot_count) return 0;
        after = index;
        return count;
    }

    /// Exact on a list that nobody changes meanwhile; whoever changes it makes the exchange fail.
    void follow(ListWalk& walk, std::uint32_t links) const {
        for (; links != 0 && has_more(walk); --links, ++walk.count) walk.next = next(walk.next);
    }
    [[nodiscard]] bool has_more(const ListWalk& walk) const {
        return walk.count < extent_.slot_count && walk.next < extent_.slot_count;
    }

    /// Announced already; settles it.
    void put_on_top(Lane& lane, std::uint64_t sequence, std::uint32_t first, std::uint32_t last) {
        for (std::uint32_t attempt = 0;; ++attempt) {
            if (attempt == retry_limit) return void(damaged(lane));
            const Word128 head = load_halves(extent_.image->head);  // [A-head]
            SHMPOOL_CRASH_POINT(push_head_read);
            set_link(last, static_cast<std::uint32_t>(head.low));
            note_last_change(lane, head.high);
            SHMPOOL_CRASH_POINT(push_last_change_noted);
            if (exchange(head, first, make_change(lane.index(), sequence))) break;  // [AR-head]
        }
        SHMPOOL_CRASH_POINT(push_happened);
        lane.settle();
    }

    /// Stored only where it is another: of short chains it never is.
    void set_further(std::span<const std::uint32_t> slots, std::uint32_t i) {
        const auto ahead = [&](std::uint32_t links) {
            return i + links < slots.size() ? index(slots[i + links]) : no_slot;
        };
        const std::uint64_t further = make_further(ahead(near_links), ahead(far_links));
        Atomic<std::uint64_t>& hint = extent_.records[index(slots[i])].further;
        if (hint.load(std::memory_order_relaxed) != further) {
            hint.store(further, std::memory_order_relaxed);
        }
    }

    /// A chain lies in the cache of who gave it back. Who follows its links waits for each of them;
    /// unless what comes later is on its way already, to be written.
    void fetch_further(std::uint32_t index) const {
        const std::uint64_t further =
            extent_.records[index].further.load(std::memory_order_relaxed);
        for (const std::uint32_t one : {further_near(further), further_far(further)}) {
            if (one < extent_.slot_count) fetch_to_write(&extent_.records[one]);
        }
    }

    void set_link(std::uint32_t index, std::uint32_t next) {
        extent_.records[index].link.store(stored_link(next), std::memory_order_relaxed);
    }

    [[nodiscard]] bool exchange(const Word128& expected, std::uint32_t top, std::uint64_t change) {
        return compare_exchange_128(extent_.image->head, expected, Word128{top, change});
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

    Errc damaged(Lane& lane) const {
        lane.settle();
        pool_.mark_damaged();
        return Errc::pool_damaged;
    }

    const PoolView& pool_;
    const ExtentView extent_;
    const std::uint32_t class_index_;
    const std::uint32_t extent_index_;
};

}  // namespace shmpool
