// SPDX-License-Identifier: Apache-2.0
/// Goal: the layout is pure arithmetic, aligned and without overlap, and every geometry that can
/// not be is refused with a code of its own. Method: wishes in, offsets and codes out.
#include "shmpool/pool/pool_layout.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "tests/shmpool/pool/own_pool.hpp"

namespace shmpool {
namespace {

using test::Configs;
using test::seed_classes;

Errc refusal(const Configs& configs, std::uint32_t lanes = 1) {
    const auto plan = plan_pool(configs, lanes);
    EXPECT_FALSE(plan);
    if (plan) return Errc::internal_fault;
    EXPECT_FALSE(plan.error().message.empty());
    return plan.error().code;
}

TEST(PoolLayout, IsTheSameForTheSameWishes) {  // T-VS-10
    const auto first = plan_pool(seed_classes, 4).value();
    const auto second = plan_pool(seed_classes, 4).value();
    EXPECT_EQ(first.total_bytes(), second.total_bytes());
    EXPECT_EQ(first.config_checksum, second.config_checksum);
    for (std::size_t i = 0; i < first.classes.size(); ++i) {
        EXPECT_EQ(first.classes[i].records_offset, second.classes[i].records_offset);
        EXPECT_EQ(first.classes[i].payload_offset, second.classes[i].payload_offset);
    }
}

TEST(PoolLayout, PlacesEverythingAlignedAndWithoutOverlap) {  // T-VS-10
    const auto plan = plan_pool(Configs{{1, 3}, {65, 5}, {100000, 2}}, 3).value();
    std::uint64_t extents = plan.lanes_offset + plan.lane_count * sizeof(LaneCell);
    std::uint64_t control = plan.classes.back().extents_offset + sizeof(ExtentImage);
    EXPECT_GE(plan.classes_offset, sizeof(PoolHeader));
    EXPECT_GE(plan.lanes_offset, plan.classes_offset + 3 * sizeof(ClassImage));
    std::uint64_t payload = 0;
    for (const ClassOffsets& one : plan.classes) {
        EXPECT_EQ(one.extents_offset % 64, 0U);
        EXPECT_EQ(one.records_offset % 64, 0U);
        EXPECT_EQ(one.payload_offset % page_bytes, 0U);
        EXPECT_EQ(one.stride_bytes % 64, 0U);
        EXPECT_GE(one.stride_bytes, one.config.slot_size);
        EXPECT_GE(one.extents_offset, extents);
        extents = one.extents_offset + one.extent_limit * sizeof(ExtentImage);
        EXPECT_GE(one.records_offset, control);
        control = one.records_offset + one.config.slot_count * sizeof(SlotRecord);
        EXPECT_GE(one.payload_offset, payload);
        payload = one.payload_offset + one.config.slot_count * one.stride_bytes;
    }
    EXPECT_GE(plan.control_bytes, control);
    EXPECT_GE(plan.payload_bytes, payload);
    EXPECT_EQ(plan.total_bytes(), plan.control_bytes + plan.payload_bytes);
    EXPECT_EQ(VarSlotPool::required_size(Configs{{1, 3}, {65, 5}, {100000, 2}}, 3).value(),
              plan.total_bytes());
}

TEST(PoolLayout, HasRoomForAllSlotsThatThereMayBe) {
    const Configs configs{{64, 5}, {128, 10, 1000}, {256, 7}};
    const auto plan = plan_pool(configs, 3).value();
    EXPECT_EQ(plan.classes[0].extent_limit, 1U);
    EXPECT_EQ(plan.classes[1].extent_limit, extent_count_max);
    EXPECT_EQ(plan.classes[1].records_offset % page_bytes, 0U);
    EXPECT_GE(plan.classes[2].records_offset, plan.classes[1].records_offset + 1000 * 64);
    EXPECT_GE(plan.classes[2].payload_offset, plan.classes[1].payload_offset + 1000 * 128);
    const auto control = plan.control_at_first();
    EXPECT_EQ(control[0], (ByteRange{0, plan.classes[0].records_offset})) << "all tables";
    EXPECT_EQ(control[2], (ByteRange{plan.classes[1].records_offset, 10 * 64}));
    EXPECT_EQ(plan.payload_at_first()[1], (ByteRange{plan.classes[1].payload_offset, 10 * 128}));
    EXPECT_NE(plan_pool(Configs{{64, 5}, {128, 10, 999}, {256, 7}}, 3)->config_checksum,
              plan.config_checksum);
}

TEST(PoolLayout, RefusesALimitBelowTheCountOrAboveTheMaximum) {
    EXPECT_EQ(plan_pool(Configs{{64, 5, 4}}, 1).error().code, Errc::too_many_slots);
    EXPECT_EQ(plan_pool(Configs{{64, 5, slot_count_max + 1}}, 1).error().code,
              Errc::too_many_slots);
    EXPECT_TRUE(plan_pool(Configs{{64, 5, 5}, {128, 5, slot_count_max}}, 1));
}

TEST(PoolLayout, SortsClassesBySize) {  // T-VS-19
    const auto plan = plan_pool(Configs{{1024, 1}, {64, 2}, {256, 3}}, 1).value();
    EXPECT_EQ(plan.classes[0].config, (SizeClassConfig{64, 2}));
    EXPECT_EQ(plan.classes[1].config, (SizeClassConfig{256, 3}));
    EXPECT_EQ(plan.classes[2].config, (SizeClassConfig{1024, 1}));
}

TEST(PoolLayout, KeepsEveryBlockNumberInsideTheLanesBitmap) {
    Configs widest;
    for (std::uint64_t i = 0; i < class_count_max; ++i) widest.push_back({64 * (i + 1), 1U << 18});
    const auto plan = plan_pool(widest, 1).value();
    const ClassOffsets& last = plan.classes.back();
    EXPECT_LT(last.first_block + ((last.config.slot_count - 1) >> plan.block_shift),
              block_count_max);
    const auto largest = plan_pool(Configs{{64, slot_count_max}}, 1).value();
    EXPECT_LE(slot_count_max >> largest.block_shift, block_count_max);
}

TEST(PoolLayout, RefusesAnEmptyListOfClasses) {
    EXPECT_EQ(refusal({}), Errc::no_classes);
}

TEST(PoolLayout, RefusesMoreClassesThanAPoolCanHave) {
    Configs configs;
    for (std::uint64_t i = 0; i <= class_count_max; ++i) configs.push_back({64 + 64 * i, 1});
    EXPECT_EQ(refusal(configs), Errc::too_many_classes);
    configs.pop_back();
    EXPECT_TRUE(plan_pool(configs, 1));
}

TEST(PoolLayout, RefusesASlotSizeOfZero) {
    EXPECT_EQ(refusal({{64, 1}, {0, 1}}), Errc::zero_slot_size);
}

TEST(PoolLayout, RefusesASlotCountOfZero) {
    EXPECT_EQ(refusal({{64, 1}, {128, 0}}), Errc::zero_slot_count);
}

TEST(PoolLayout, RefusesSlotsBeyondTheLargest) {
    EXPECT_EQ(refusal({{slot_bytes_max + 1, 1}}), Errc::slot_too_large);
    EXPECT_EQ(refusal({{std::numeric_limits<std::uint64_t>::max(), 1}}), Errc::slot_too_large);
    EXPECT_TRUE(plan_pool(Configs{{slot_bytes_max, 1}}, 1));
}

TEST(PoolLayout, RefusesMoreSlotsThanAClassCanHave) {
    EXPECT_EQ(refusal({{64, slot_count_max + 1}}), Errc::too_many_slots);
    EXPECT_EQ(refusal({{64, std::numeric_limits<std::uint32_t>::max()}}), Errc::too_many_slots);
}

TEST(PoolLayout, RefusesTheSameSizeTwice) {
    EXPECT_EQ(refusal({{64, 1}, {128, 1}, {64, 7}}), Errc::duplicate_class);
}

TEST(PoolLayout, RefusesWhatNoAddressSpaceHolds) {
    EXPECT_EQ(refusal({{slot_bytes_max, slot_count_max}}), Errc::size_overflow);
    Configs many;
    for (std::uint64_t i = 0; i < class_count_max; ++i) {
        many.push_back({slot_bytes_max - 64 * i, slot_count_max});
    }
    EXPECT_EQ(refusal(many), Errc::size_overflow);
    EXPECT_EQ(VarSlotPool::required_size(many, 1).error().code, Errc::size_overflow);
}

TEST(PoolLayout, RefusesLaneCountsThatCanNotBe) {
    EXPECT_EQ(refusal(seed_classes, 0), Errc::invalid_argument);
    EXPECT_EQ(refusal(seed_classes, lane_count_max), Errc::invalid_argument);
    EXPECT_EQ(refusal(seed_classes, 0xFFFF'FFFF), Errc::invalid_argument);
    EXPECT_TRUE(plan_pool(seed_classes, lane_count_max - 1));
}

TEST(PoolLayout, NamesTheRefusedClassAndTheRemedy) {
    const auto plan = plan_pool(Configs{{64, 1}, {128, 0}}, 1);
    EXPECT_NE(plan.error().message.find("size class 1"), std::string::npos);
    EXPECT_NE(plan.error().message.find("at least 1"), std::string::npos);
}

}  // namespace
}  // namespace shmpool
