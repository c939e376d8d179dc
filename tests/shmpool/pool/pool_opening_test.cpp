// SPDX-License-Identifier: Apache-2.0
/// Goal: whoever opens a pool believes nothing that he reads (I6): each damage of each field is
/// refused with its own code, and nothing outside of the region is touched. Method: a good pool,
/// one field changed, the code that comes back.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#include "shmpool/layout/layout_fingerprint.hpp"
#include "tests/shmpool/pool/own_pool.hpp"

namespace shmpool {
namespace {

using test::Configs;
using test::OwnPool;
using test::Pages;
using test::seed_classes;

struct Images {
    PoolHeader& header;
    ClassImage* classes;
    ExtentImage* extents;  ///< Of class 0.
};

Images images_of(OwnPool& pool) {
    std::byte* const base = pool.pages().span().data();
    const PoolLayout& plan = pool.layout();
    return {*reinterpret_cast<PoolHeader*>(base),
            reinterpret_cast<ClassImage*>(base + plan.classes_offset),
            reinterpret_cast<ExtentImage*>(base + plan.classes[0].extents_offset)};
}

Errc code_after(const std::function<void(Images&)>& damage) {
    OwnPool pool(seed_classes);
    Images images = images_of(pool);
    damage(images);
    const auto opened = VarSlotPool::attach(pool.region(), seed_classes);
    const auto observed = VarSlotPool::observe(pool.region().control);
    if (opened || observed) return Errc::internal_fault;
    EXPECT_EQ(opened.error().code, observed.error().code);
    return opened.error().code;
}

TEST(PoolOpening, FindsTheClassesItWasMadeOf) {  // T-VS-12
    OwnPool pool(Configs{{300, 5}, {64, 7}});
    const Configs sorted{{64, 7}, {300, 5}};
    EXPECT_EQ(VarSlotPool::discover_configs(pool.region().control).value(), sorted);
    const auto opened = VarSlotPool::attach(pool.region()).value();
    EXPECT_EQ(opened.classes(), sorted);
    EXPECT_EQ(opened.class_count(), 2U);
    EXPECT_EQ(opened.slot_size(1), 300U);
    EXPECT_EQ(opened.slot_size(2), std::nullopt);
}

TEST(PoolOpening, AcceptsTheSameClassesInAnyOrder) {
    OwnPool pool(Configs{{64, 7}, {300, 5}});
    EXPECT_TRUE(VarSlotPool::attach(pool.region(), Configs{{300, 5}, {64, 7}}));
}

TEST(PoolOpening, RefusesOtherClassesThanAskedFor) {
    OwnPool pool(seed_classes);
    for (const Configs& other : {Configs{{1024, 8}}, Configs{{1024, 8}, {16384, 4}, {262144, 3}},
                                 Configs{{1000, 8}, {16384, 4}, {262144, 2}}}) {
        EXPECT_EQ(VarSlotPool::attach(pool.region(), other).error().code, Errc::config_mismatch);
    }
}

TEST(PoolOpening, RefusesAPoolThatIsNotYetPublished) {  // T-VS-27
    EXPECT_EQ(code_after([](Images& i) { i.header.layout_version = 0; }), Errc::not_yet_published);
    Pages zeroed(1 << 20);
    const auto layout = VarSlotPool::layout(seed_classes, 1).value();
    Pages pages(layout.total_bytes());
    EXPECT_EQ(VarSlotPool::attach(PoolRegion::single(pages.span(), 0, layout).value()).error().code,
              Errc::not_yet_published);
}

TEST(PoolOpening, RefusesForeignMagicVersionAndFingerprint) {
    EXPECT_EQ(code_after([](Images& i) { i.header.magic ^= 1; }), Errc::wrong_magic);
    EXPECT_EQ(code_after([](Images& i) { i.header.layout_version = layout_version + 1; }),
              Errc::wrong_layout_version);
    EXPECT_EQ(code_after([](Images& i) { i.header.fingerprint ^= 1; }), Errc::wrong_fingerprint);
}

TEST(PoolOpening, PrintsBothNumbersWhenBuildsDiffer) {
    OwnPool pool(seed_classes);
    images_of(pool).header.fingerprint = 4711;
    const std::string message = VarSlotPool::attach(pool.region()).error().message;
    EXPECT_NE(message.find("4711"), std::string::npos);
    EXPECT_NE(message.find(std::to_string(pool_fingerprint)), std::string::npos);
}

TEST(PoolOpening, RefusesDamageInEachFieldOfTheHeader) {
    using H = PoolHeader;
    const std::uint64_t values[] = {0, 1, 63, 64, 0x7FFF'FFFF, 0xFFFF'FFFF, ~std::uint64_t{0}};
    for (auto field : {&H::class_count, &H::lane_count, &H::block_shift, &H::config_checksum}) {
        for (const std::uint64_t value : values) {
            if (images_of(*std::make_unique<OwnPool>(seed_classes)).header.*field == value)
                continue;
            EXPECT_EQ(
                code_after([&](Images& i) { i.header.*field = static_cast<std::uint32_t>(value); }),
                Errc::damaged_header)
                << value;
        }
    }
    for (auto field :
         {&H::control_bytes, &H::payload_bytes, &H::classes_offset, &H::lanes_offset}) {
        for (const std::uint64_t value : values) {
            EXPECT_EQ(code_after([&](Images& i) { i.header.*field = value; }), Errc::damaged_header)
                << value;
        }
    }
}

TEST(PoolOpening, RefusesDamageInEachFieldOfAClass) {
    using C = ClassImage;
    for (const std::uint64_t value :
         {std::uint64_t{0}, std::uint64_t{1} << 20, ~std::uint64_t{0}, ~std::uint64_t{63}}) {
        for (auto field : {&C::slot_bytes, &C::stride_bytes, &C::extents_offset, &C::records_offset,
                           &C::payload_offset}) {
            EXPECT_EQ(code_after([&](Images& i) { i.classes[1].*field = value; }),
                      Errc::damaged_header)
                << value;
        }
        const auto narrow = static_cast<std::uint32_t>(value);
        for (auto field : {&C::slot_limit, &C::extent_limit, &C::first_block}) {
            EXPECT_EQ(code_after([&](Images& i) { i.classes[1].*field = narrow + 3; }),
                      Errc::damaged_header)
                << value;
        }
        EXPECT_EQ(code_after([&](Images& i) { i.classes[1].extent_count = narrow; }),
                  Errc::damaged_header);
    }
    EXPECT_EQ(code_after([](Images& i) { i.classes[1].slot_limit = 0; }), Errc::damaged_header);
    EXPECT_EQ(code_after([](Images& i) { i.classes[1].extent_count = 2; }), Errc::damaged_header)
        << "this class does not grow";
    EXPECT_EQ(code_after([](Images& i) { i.classes[1].slot_bytes = i.classes[0].slot_bytes; }),
              Errc::damaged_header);
}

TEST(PoolOpening, RefusesDamageOfTheFirstExtent) {
    for (const std::uint32_t value : {0U, 3U, ~0U}) {
        EXPECT_EQ(code_after([&](Images& i) { i.extents[0].slot_count = value; }),
                  Errc::damaged_header);
    }
}

TEST(PoolOpening, RefusesABaseThatIsNotAligned) {  // T-VS-14
    const auto layout = VarSlotPool::layout(seed_classes, 1).value();
    Pages pages(layout.total_bytes() + 4096);
    for (const std::uint64_t offset : {1U, 8U, 63U, 65U}) {
        EXPECT_EQ(PoolRegion::single(pages.span(), offset, layout).error().code,
                  Errc::misaligned_base);
        const PoolRegion region{pages.span().subspan(offset), pages.span()};
        EXPECT_EQ(VarSlotPool::init(region, seed_classes, 1).error().code, Errc::misaligned_base);
        EXPECT_EQ(VarSlotPool::attach(region).error().code, Errc::misaligned_base);
        EXPECT_EQ(VarSlotPool::discover_configs(region.control).error().code,
                  Errc::misaligned_base);
        const PoolRegion crooked_payload{pages.span(), pages.span().subspan(offset)};
        EXPECT_EQ(VarSlotPool::init(crooked_payload, seed_classes, 1).error().code,
                  Errc::misaligned_base);
    }
    EXPECT_TRUE(PoolRegion::single(pages.span(), 64, layout));
}

TEST(PoolOpening, RefusesARegionThatIsTooSmall) {  // T-VS-14
    const auto layout = VarSlotPool::layout(seed_classes, 1).value();
    Pages pages(layout.total_bytes());
    EXPECT_EQ(
        PoolRegion::single(pages.span().first(pages.span().size() - 1), 0, layout).error().code,
        Errc::region_too_small);
    EXPECT_EQ(PoolRegion::single(pages.span(), 64, layout).error().code, Errc::region_too_small);
    EXPECT_EQ(PoolRegion::single(pages.span(), ~std::uint64_t{63}, layout).error().code,
              Errc::region_too_small);
    const std::span<std::byte> control = pages.span().first(layout.control_bytes);
    const std::span<std::byte> payload = pages.span().last(layout.payload_bytes);
    EXPECT_EQ(VarSlotPool::init({control.first(control.size() - 64), payload}, seed_classes, 1)
                  .error()
                  .code,
              Errc::region_too_small);
    EXPECT_EQ(VarSlotPool::init({control, payload.first(payload.size() - 64)}, seed_classes, 1)
                  .error()
                  .code,
              Errc::region_too_small);
}

TEST(PoolOpening, RefusesAPoolThatWasCutOffAnywhere) {  // T-VS-12; asan watches the edge.
    OwnPool pool(seed_classes, 1);
    const std::span<std::byte> whole = pool.region().control;
    for (std::size_t bytes = 0; bytes < whole.size(); bytes += 64) {
        const std::size_t rounded = (bytes + 63) / 64 * 64;
        std::unique_ptr<std::byte, decltype(&std::free)> copy(
            static_cast<std::byte*>(std::aligned_alloc(64, rounded == 0 ? 64 : rounded)),
            &std::free);
        std::memcpy(copy.get(), whole.data(), bytes);
        const PoolRegion region{{copy.get(), bytes}, pool.region().payload};
        const auto opened = VarSlotPool::attach(region);
        ASSERT_FALSE(opened) << bytes;
        EXPECT_TRUE(opened.error().code == Errc::region_too_small ||
                    opened.error().code == Errc::damaged_header);
        EXPECT_FALSE(VarSlotPool::observe(region.control)) << bytes;
    }
}

TEST(PoolOpening, SharesOnePoolAtTwoAddresses) {  // T-VS-13
    OwnPool first(seed_classes, 8, Pages::Kind::shared);
    const std::size_t bytes = first.pages().span().size();
    void* const elsewhere =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, first.pages().object().get(), 0);
    ASSERT_NE(elsewhere, MAP_FAILED);
    auto second =
        VarSlotPool::attach(
            PoolRegion::single({static_cast<std::byte*>(elsewhere), bytes}, 0, first.layout())
                .value(),
            seed_classes)
            .value();
    const auto lane = first.lane(1);
    const auto other_lane = second.open_lane(2).value();
    EXPECT_NE(lane->index(), other_lane->index());
    const SlotRef ref = first->allocate(*lane, 100).value();
    first->slot_data_mut(ref).value()[99] = std::byte{42};
    EXPECT_EQ(second.slot_data(ref).value()[99], std::byte{42});
    EXPECT_NE(second.slot_data(ref).value().data(), first->slot_data(ref).value().data());
    EXPECT_EQ(second.slot_state(ref), SlotState::loaned_raw);
    EXPECT_TRUE(second.free(*other_lane, ref));
    EXPECT_EQ(first->free(*lane, ref).error(), Errc::double_free);
    EXPECT_EQ(test::broken_or_not_all_free(first.view()), "");
    ::munmap(elsewhere, bytes);
}

TEST(PoolOpening, ShowsAnObserverEverythingButPayload) {
    OwnPool pool(seed_classes);
    const auto lane = pool.lane();
    const SlotRef ref = pool->allocate(*lane, 2000).value();
    auto observer = VarSlotPool::observe(pool.region().control).value();
    EXPECT_EQ(observer.slot_state(ref), SlotState::loaned_raw);
    EXPECT_EQ(read_statistics(observer.view())[1].loaned, 1U);
    EXPECT_EQ(test::broken(observer.view()), "");
    EXPECT_EQ(observer.slot_data(ref).error(), Errc::no_permission);
    EXPECT_EQ(observer.slot_data_mut(ref).error(), Errc::no_permission);
}

}  // namespace
}  // namespace shmpool
