// SPDX-License-Identifier: Apache-2.0
/// Taking back what a dead lane held. The pool knows lanes only; whoever knows peers, rings and
/// leases
/// (`protocol`) says when a lane is dead and which slots are on their way to a living reader.
/// Every step may be repeated: a host that dies in the middle is finished by the next one (I2).
#pragma once

#include <cstdint>
#include <functional>

#include "shmpool/pool/var_slot_pool.hpp"

namespace shmpool {

/// Decides the last announced change of a dead lane; afterwards no slot is named by its intent.
/// For all lanes of a peer before the first of them is swept: a lane may have been about to put
/// back a loan that its sibling took.
void recover_intent(const PoolView& pool, std::uint32_t lane_index);

struct Sweep {
    std::uint64_t taken_back = 0;
    std::uint64_t left_in_transit = 0;  ///< Their reader will stamp them; the lane must wait.
};

/// Whether a slot that the dead lane moved into a ring can still be read from it.
using InTransit = std::function<bool(std::uint32_t class_index, SlotKey key)>;

/// Returns every slot whose word names the dead lane to its free list, except those in transit.
/// `host` is the caller's own lane. Cost: the blocks that the lane ever touched.
[[nodiscard]] Sweep sweep_lane(VarSlotPool& pool, Lane& host, std::uint32_t lane_index,
                               const InTransit& in_transit);

/// Makes a swept lane free for the next claimer. Only when nothing names it any more.
void retire_lane(const PoolView& pool, std::uint32_t lane_index);

/// Calls `visit(class_index, position, record)` for every slot of the blocks whose bits are set;
/// `word_of(i)` gives the i-th of the block_words words.
template <typename WordOf, typename Visit>
void for_each_in_blocks(const PoolView& pool, WordOf&& word_of, Visit&& visit) {
    for (std::uint32_t class_index = 0; class_index < pool.class_count; ++class_index) {
        const ClassView& view = pool.classes[class_index];
        const std::uint32_t block_slots = 1U << pool.block_shift;
        view.look_for_growth();
        const std::uint32_t slot_count = view.slot_count();
        for (std::uint32_t start = 0; start < slot_count; start += block_slots) {
            const std::uint32_t block = pool.block_of(class_index, start);
            const std::uint64_t bits = word_of((block / 64) % block_words);
            if ((bits >> (block % 64) & 1) == 0) continue;
            const std::uint32_t end = std::min(slot_count - start, block_slots) + start;
            for (std::uint32_t slot = start; slot < end; ++slot) {
                visit(class_index, slot, view.records[slot]);
            }
        }
    }
}

/// The same for every slot in the blocks the lane ever touched.
template <typename Visit>
void for_each_touched(const PoolView& pool, std::uint32_t lane_index, Visit&& visit) {
    const auto word_of = [&cell = pool.lanes[lane_index]](std::uint32_t index) {
        return cell.touched_blocks[index].load(std::memory_order_acquire);  // [A-touched]
    };
    for_each_in_blocks(pool, word_of, visit);
}

}  // namespace shmpool
