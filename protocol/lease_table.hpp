// SPDX-License-Identifier: Apache-2.0
/// Leases: one bit per reader and published slot, and one for the publisher while it publishes. The
/// mask only shrinks and never becomes 0 by itself: whoever finds itself the last holder inherits
/// the slot and puts it back. Somebody living, or listed as dead, is responsible at every instant.
/// Clearing a bit is idempotent; that is why bits, and not a reference count.
///
/// Pairings:
///   [AR-lease] -> [A-lease]  the last holder sees all that the other holders read: it may reuse.
#pragma once

#include <cstdint>

#include "protocol/layout/protocol_images.hpp"
#include "shmpool/platform/crash_point.hpp"
#include "shmpool/pool/retry_limit.hpp"
#include "shmpool/pool/var_slot_pool.hpp"

namespace shmpool {

/// Gives up `bit` of a published slot on behalf of its holder. At most one locked instruction.
/// Nothing happens if the bit is not set. Any number of processes beside each other, if for each
/// bit only one of them calls this: its holder.
inline void release_lease(VarSlotPool& pool, Lane& lane, std::uint32_t class_index, SlotKey key,
                          std::uint64_t bit) {
    SlotRecord& record = pool.view().classes[class_index].records[position_of(key)];
    std::uint64_t mask = record.lease_mask.load(std::memory_order_acquire);  // [A-lease]
    for (std::uint32_t attempt = 0; (mask & bit) != 0; ++attempt) {
        if (attempt == retry_limit) return pool.view().mark_damaged();
        if (mask == bit) {  // Nobody else may change the mask now.
            SHMPOOL_CRASH_POINT(last_holder_found);
            lane.mark_touched(class_index, position_of(key));
            record.word.store(make_key(generation_of(key), lane.holder(SlotState::loaned)),
                              std::memory_order_release);  // [R-word]
            SHMPOOL_CRASH_POINT(lease_inherited);
            pool.put_owned(lane, class_index, key);
            return;
        }
        if (record.lease_mask.compare_exchange_weak(mask, mask & ~bit,
                                                    std::memory_order_acq_rel,     // [AR-lease]
                                                    std::memory_order_acquire)) {  // [A-lease]
            SHMPOOL_CRASH_POINT(lease_given_up);
            return;
        }
    }
}

/// Clears a bit of the mask only in the life of the slot that `word` names: both lie side by side.
[[nodiscard]] inline bool exchange_mask(SlotRecord& record, SlotWord word, std::uint64_t from,
                                        std::uint64_t to) {
    return compare_exchange_128(record.word, Word128{word, from}, Word128{word, to});
}

/// As release_lease, for a name that may be of an earlier life: only if the slot is still published
/// in the life that `key` names.
///
/// Two may call this for one bit at the same time: a publisher (or, after its death, the host) that
/// drops the oldest entry of a ring, and a subscriber that closes and drains the ring. So the life
/// may end under the hands of the slower one, and the same bit be granted in the next life, on
/// another channel. Therefore a bit is cleared by an exchange of word and mask together, and the
/// last holder inherits by one of the word: one of the two wins, in this life or not at all.
inline void release_if_held(VarSlotPool& pool, Lane& lane, std::uint32_t class_index, SlotKey key,
                            std::uint64_t bit) {
    if (class_index >= pool.view().class_count) return;
    SlotRecord* const record = pool.view().classes[class_index].record(position_of(key));
    if (record == nullptr) return;
    const SlotWord word = record->word.load(std::memory_order_acquire);  // [A-word]
    if (word_generation(word) != generation_of(key) || word_state(word) != SlotState::published) {
        return;
    }
    SHMPOOL_CRASH_POINT(life_of_lease_read);
    for (std::uint32_t attempt = 0;; ++attempt) {
        if (attempt == retry_limit) return pool.view().mark_damaged();
        const std::uint64_t mask = record->lease_mask.load(std::memory_order_acquire);  // [A-lease]
        if ((mask & bit) == 0) return;
        if (mask == bit) {
            SHMPOOL_CRASH_POINT(last_claimant_found);
            lane.mark_touched(class_index, position_of(key));
            SlotWord published = word;
            if (record->word.compare_exchange_strong(
                    published, make_key(generation_of(key), lane.holder(SlotState::loaned)),
                    std::memory_order_acq_rel, std::memory_order_relaxed)) {  // [AR-word]
                SHMPOOL_CRASH_POINT(lease_claimed);
                pool.put_owned(lane, class_index, key);
            }
            return;
        }
        if (exchange_mask(*record, word, mask, mask & ~bit)) return;       // [AR-lease]
        if (record->word.load(std::memory_order_acquire) != word) return;  // [A-word]
    }
}

}  // namespace shmpool
