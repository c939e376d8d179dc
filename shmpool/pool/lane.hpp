// SPDX-License-Identifier: Apache-2.0
/// One thread's access to a pool: its cell in the segment and, in private memory, a magazine of
/// cached slots per size class. A magazine's content needs no recovery, because the word of every
/// slot in it names the lane; therefore it lies where no other process can write.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "shmpool/layout/slot_record.hpp"
#include "shmpool/pool/draw_gate.hpp"
#include "shmpool/pool/pool_view.hpp"

namespace shmpool {

inline constexpr SlotKey no_key = 0;  // A slot in use has lived at least once: its key is never 0.

/// All that the hot paths need to know of one class, in one cache line. Entries are SlotKeys with
/// the generation of the slot's last life; a slot that was given back last lies before the others,
/// in a place of its own: who takes and gives in turns moves no stack, whose top would pass through
/// memory twice each time. `slot_count` of 0 means that the lane has no magazine for the class:
/// both ends of it then lead to the slow path.
struct alignas(cache_line_bytes) Magazine {
    SlotKey last_given = no_key;  ///< Or no_key. Never a slot that has not lived yet.
    SlotKey* top = nullptr;
    SlotKey* base = nullptr;
    SlotKey* limit = nullptr;  ///< There is one place more, for `last_given` when all is flushed.
    SlotRecord* records = nullptr;
    std::uint64_t pressure_mask = 0;     ///< Classes that a free in this one relieves.
    std::uint32_t slot_bytes = 0;        ///< 0: there is no such class.
    std::uint32_t slots_at_first = 0;    ///< Of extent 0.
    std::uint32_t slot_count = 0;        ///< That this lane knows of; 0 without a magazine.
    std::uint32_t refused_at_slots = 0;  ///< The class had so many when it could not be opened.

    [[nodiscard]] bool is_open() const { return slot_count != 0; }
    [[nodiscard]] std::uint32_t stacked() const { return static_cast<std::uint32_t>(top - base); }
    [[nodiscard]] std::uint32_t cached() const {
        return stacked() + (last_given != no_key ? 1U : 0U);
    }
    [[nodiscard]] std::uint32_t capacity() const {
        return is_open() ? static_cast<std::uint32_t>(limit - base) + 1 : 0;
    }
};
static_assert(sizeof(Magazine) == cache_line_bytes);

/// Used by one thread at a time. Pinned: the pool's slow paths keep pointers into it.
class Lane {
public:
    /// `index` must be claimed by the caller's owner id (see `claim_lane`), or be the host's lane.
    Lane(const PoolView& pool, std::uint32_t index);
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;

    [[nodiscard]] std::uint32_t index() const { return index_; }
    [[nodiscard]] LaneCell& cell() const { return cell_; }
    [[nodiscard]] const PoolView& pool() const { return pool_; }
    [[nodiscard]] Magazine& magazine(std::uint32_t class_index) { return magazines_[class_index]; }
    [[nodiscard]] const Magazine& magazine(std::uint32_t class_index) const {
        return magazines_[class_index];
    }
    [[nodiscard]] std::uint32_t holder(SlotState state) const { return make_holder(state, index_); }
    /// How many slots of the class this lane has taken; only it writes there.
    [[nodiscard]] Atomic<std::uint64_t>& allocations(std::uint32_t class_index) const {
        return allocations_[class_index];
    }
    [[nodiscard]] std::uint64_t pressure() const {
        return pressure_.load(std::memory_order_relaxed);
    }

    /// Remembers, before a word is stamped with this lane, that the slot's block may hold slots of
    /// this lane. Only the lane writes its bitmap, so plain load and store suffice.
    void mark_touched(std::uint32_t class_index, std::uint32_t position) {
        const std::uint32_t block = pool_.block_of(class_index, position);
        Atomic<std::uint64_t>& bits = cell_.touched_blocks[(block / 64) % block_words];
        const std::uint64_t old = bits.load(std::memory_order_relaxed);
        const std::uint64_t bit = std::uint64_t{1} << (block % 64);
        if ((old & bit) != 0) return;
        bits.store(old | bit, std::memory_order_release);  // [R-touched]
        // A kill leaves a program-order prefix of the stores: only the compiler must not reorder.
        compiler_barrier();
    }

    /// A new sequence number for one change of a free list. Never goes back, whoever has the lane.
    std::uint64_t next_sequence() {
        const std::uint64_t sequence = cell_.sequence.load(std::memory_order_relaxed) + 1;
        cell_.sequence.store(sequence, std::memory_order_relaxed);
        return sequence;
    }
    void announce(const Intent& intent) {
        cell_.intent.store(pack_intent(intent), std::memory_order_release);  // [R-intent]
        compiler_barrier();  // Before the words that follow are stamped.
    }
    /// The last announced change is done and its slots' words say so.
    void settle() {
        cell_.intent.store(0, std::memory_order_release);  // [R-intent]
        compiler_barrier();  // Before the next sequence: else the old intent would meet it.
    }

    /// Asked before slots are drawn from the free lists; lives as long as the lane. Null: nobody.
    void set_gate(DrawGate* gate) { gate_ = gate; }
    [[nodiscard]] DrawGate* gate() const { return gate_; }

    /// Opens a magazine if the class allows one more; returns whether the lane has one now.
    bool open_magazine(std::uint32_t class_index) {
        Magazine& magazine = magazines_[class_index];
        if (magazine.is_open()) return true;
        // Who was refused asks again when the class has grown.
        const std::uint32_t slot_count = pool_.classes[class_index].slot_count();
        return magazine.refused_at_slots != slot_count && try_to_open(class_index, slot_count);
    }

private:
    bool try_to_open(std::uint32_t class_index, std::uint32_t slot_count);

    const PoolView& pool_;
    LaneCell& cell_;
    const Atomic<std::uint64_t>& pressure_;
    Atomic<std::uint64_t>* const allocations_;
    const std::uint32_t index_;
    DrawGate* gate_ = nullptr;
    std::array<Magazine, class_count_max + 1> magazines_{};  ///< The last one of no class.
    std::array<std::unique_ptr<SlotKey[]>, class_count_max> entries_{};
};

/// Lanes from `first` on. Who shares out lanes may keep some for a purpose.
struct LaneRange {
    std::uint32_t first = 1;
    std::uint32_t count = 0xFFFF'FFFF;  ///< Up to the last of the pool.
};

/// Takes a free lane of the range for `owner` (not 0), by one CAS; or no lane is left. Any process,
/// any time. `hint` spreads the search of different peers.
[[nodiscard]] std::uint32_t claim_lane(const PoolView& pool, std::uint64_t owner,
                                       std::uint32_t hint, LaneRange range = {});
inline constexpr std::uint32_t no_lane_index = 0xFFFF'FFFF;

}  // namespace shmpool
