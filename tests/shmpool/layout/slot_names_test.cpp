// SPDX-License-Identifier: Apache-2.0
/// Goal: words, names, links and intents are packed without loss, and zeroed memory means what the
/// format says it means. Method: every field at its bounds, there and back.
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "shmpool/layout/layout_fingerprint.hpp"
#include "shmpool/layout/pool_image.hpp"
#include "shmpool/layout/slot_ref.hpp"

namespace shmpool {
namespace {

TEST(SlotWord, KeepsGenerationStateAndOwnerApart) {
    for (const std::uint32_t generation : {0U, 1U, 0x8000'0000U, 0xFFFF'FFFFU}) {
        for (std::uint32_t state = 0; state < slot_state_count; ++state) {
            for (const std::uint32_t owner : {0U, 1U, lane_count_max - 1, 0xFFFFU}) {
                const auto named = static_cast<SlotState>(state);
                const SlotWord word = make_word(generation, named, owner);
                EXPECT_EQ(word_generation(word), generation);
                EXPECT_EQ(word_state(word), named);
                EXPECT_EQ(word_owner(word), owner);
                EXPECT_EQ(make_key(generation, make_holder(named, owner)), word);
                EXPECT_EQ(word_holder(word), make_holder(named, owner));
            }
        }
    }
}

TEST(SlotWord, IsFreeAndUnownedInZeroedMemory) {
    EXPECT_EQ(make_word(0, SlotState::listed, 0), 0U);
}

TEST(SlotKey, HasGenerationAndPosition) {
    for (const std::uint32_t position : {0U, 1U, slot_count_max - 1}) {
        for (const std::uint32_t generation : {0U, 1U, 0xFFFF'FFFFU}) {
            const SlotKey key = make_key(generation, position);
            EXPECT_EQ(position_of(key), position);
            EXPECT_EQ(generation_of(key), generation);
        }
    }
}

TEST(SlotRef, HasTheSeedsWireForm) {  // VS-02
    const SlotRef ref{1, 2, 0, 0x04030201, 0x08070605};
    const unsigned char expected[] = {1, 2, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    EXPECT_EQ(std::memcmp(&ref, expected, sizeof expected), 0);
}

TEST(SlotLink, MeansTheNextSlotInZeroedMemory) {
    EXPECT_EQ(loaded_link(0, 0, 3), 1U);
    EXPECT_EQ(loaded_link(0, 1, 3), 2U);
    EXPECT_EQ(loaded_link(0, 2, 3), no_slot);
    EXPECT_EQ(loaded_link(0, 0, 1), no_slot);
}

TEST(SlotLink, ComesBackAsItWasStored) {
    for (const std::uint32_t next : {0U, 1U, slot_count_max - 1, no_slot}) {
        EXPECT_NE(stored_link(next), 0U);
        EXPECT_EQ(loaded_link(stored_link(next), 7, 10), next);
    }
}

TEST(Intent, GoesIntoOneWordAndBack) {
    for (const IntentKind kind : {IntentKind::pop, IntentKind::push}) {
        for (const std::uint32_t first : {0U, slot_count_max - 1}) {
            for (const std::uint32_t count : {1U, slot_count_max - 1}) {
                const Intent there = unpack_intent(
                    pack_intent({kind, class_count_max - 1, extent_count_max, first, count}));
                EXPECT_EQ(there.kind, kind);
                EXPECT_EQ(there.class_index, class_count_max - 1);
                EXPECT_EQ(there.extent_index, extent_count_max);
                EXPECT_EQ(there.first, first);
                EXPECT_EQ(there.count, count);
            }
        }
    }
    EXPECT_EQ(unpack_intent(0).kind, IntentKind::idle);
}

TEST(HeadChange, KeepsLaneAndSequenceApart) {
    for (const std::uint32_t lane : {0U, lane_count_max - 1}) {
        for (const std::uint64_t sequence :
             {std::uint64_t{0}, std::uint64_t{1}, lane_sequence_mask}) {
            EXPECT_EQ(change_lane(make_change(lane, sequence)), lane);
            EXPECT_EQ(change_sequence(make_change(lane, sequence)), sequence);
        }
    }
    EXPECT_EQ(make_change(0, 0), 0U);
}

TEST(LayoutFingerprint, ChangesWithEveryValueAndItsOrder) {
    std::set<std::uint32_t> seen;
    for (std::uint64_t value = 0; value < 1000; ++value) seen.insert(fold(fnv_basis, value));
    for (int bit = 10; bit < 64; ++bit) seen.insert(fold(fnv_basis, std::uint64_t{1} << bit));
    EXPECT_EQ(seen.size(), 1054U);
    EXPECT_NE(fold(fold(fnv_basis, 1), 2), fold(fold(fnv_basis, 2), 1));
    EXPECT_NE(pool_fingerprint, 0U);
}

}  // namespace
}  // namespace shmpool
