// SPDX-License-Identifier: Apache-2.0
/// Goal: a segment is planned without overlap or overflow, opened only when it is published and
/// whole, and nothing in its header or directory is believed unchecked (I6). Method: a good
/// segment, one thing changed, the code that comes back.
#include "shmpool/segment/segment.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "shmpool/layout/abi_constants.hpp"
#include "shmpool/platform/memory_object.hpp"

namespace shmpool {
namespace {

constexpr std::uint32_t fingerprint = 4711;

SegmentPlan small_plan() {
    const RegionRequest requests[] = {{RegionKind::pool_control, 1, 1, 10000, 10000},
                                      {RegionKind::pool_payload, 2, 3, 5000, 1000},
                                      {RegionKind::peers, 3, 4, 256, 64}};
    return plan_segment(requests).value();
}

Segment good_segment() {
    Segment segment = Segment::create("robots", small_plan(), fingerprint).value();
    segment.publish();
    return segment;
}

Result<Segment> reopen(const Segment& segment, Access access = Access::read_write) {
    return Segment::open(Descriptor::duplicate(segment.control()).value(),
                         Descriptor::duplicate(segment.payload()).value(), access, fingerprint);
}

Errc code_after(const std::function<void(SegmentHeader&)>& damage) {
    const Segment segment = good_segment();
    damage(segment.header());
    const auto opened = reopen(segment);
    EXPECT_FALSE(opened);
    return opened ? Errc::internal_fault : opened.error().code;
}

Errc region_code_after(const std::function<void(SegmentHeader&)>& damage, RegionKind kind) {
    const Segment segment = good_segment();
    damage(segment.header());
    const auto opened = reopen(segment);
    EXPECT_TRUE(opened);
    const auto region = opened->region(kind);
    EXPECT_FALSE(region);
    return region ? Errc::internal_fault : region.error().code;
}

TEST(SegmentPlan, PlacesEveryRegionOnAPageOfItsOwn) {
    const SegmentPlan plan = small_plan();
    ASSERT_EQ(plan.regions.size(), 3U);
    EXPECT_EQ(plan.regions[0].offset_bytes, 4096U);
    EXPECT_EQ(plan.regions[1].offset_bytes, 0U) << "payload is the other memory object";
    EXPECT_EQ(plan.regions[2].offset_bytes, 16384U);
    EXPECT_EQ(plan.control_bytes, 20480U);
    EXPECT_EQ(plan.payload_bytes, 8192U);
}

TEST(SegmentPlan, RefusesMoreRegionsThanTheDirectoryHolds) {
    std::vector<RegionRequest> requests(region_count_max, {RegionKind::heaps, 0, 0, 1, 1});
    EXPECT_TRUE(plan_segment(requests));
    requests.push_back(requests.front());
    EXPECT_EQ(plan_segment(requests).error().code, Errc::invalid_argument);
}

TEST(SegmentPlan, RefusesWhatNoAddressSpaceHolds) {
    for (const std::uint64_t bytes :
         {(std::uint64_t{1} << 46) + 1, ~std::uint64_t{0}, ~std::uint64_t{0} - 4096}) {
        for (const RegionKind kind : {RegionKind::pool_payload, RegionKind::heaps}) {
            const RegionRequest requests[] = {{RegionKind::peers, 0, 0, 4096, 1},
                                              {kind, 0, 0, bytes, 1}};
            EXPECT_EQ(plan_segment(requests).error().code, Errc::size_overflow);
        }
    }
    const RegionRequest halves[] = {{RegionKind::heaps, 0, 0, std::uint64_t{1} << 45, 1},
                                    {RegionKind::heaps, 0, 0, std::uint64_t{1} << 45, 1}};
    EXPECT_EQ(plan_segment(halves).error().code, Errc::size_overflow);
}

TEST(Segment, ShowsTheSameBytesToEverybodyWhoOpensIt) {
    const Segment host = good_segment();
    const Segment peer = reopen(host).value();
    for (const RegionKind kind :
         {RegionKind::pool_control, RegionKind::pool_payload, RegionKind::peers}) {
        const auto written = host.region(kind).value();
        const auto read = peer.region(kind).value();
        EXPECT_NE(written.bytes.data(), read.bytes.data());
        written.bytes.back() = std::byte{7};
        EXPECT_EQ(read.bytes.back(), std::byte{7});
        EXPECT_EQ(read.bytes.front(), std::byte{0});
    }
    EXPECT_EQ(peer.region(RegionKind::peers).value().image.item_count, 4U);
    EXPECT_STREQ(peer.header().pool_name, "robots");
}

TEST(Segment, CutsANameThatIsTooLong) {
    const Segment segment =
        Segment::create(std::string(200, 'x'), small_plan(), fingerprint).value();
    EXPECT_EQ(std::string(segment.header().pool_name), std::string(pool_name_bytes - 1, 'x'));
}

TEST(Segment, IsRefusedUntilItIsPublished) {  // T-VS-27
    const Segment segment = Segment::create("robots", small_plan(), fingerprint).value();
    EXPECT_EQ(reopen(segment).error().code, Errc::not_yet_published);
}

TEST(Segment, RefusesForeignMagicVersionAndFingerprint) {
    EXPECT_EQ(code_after([](SegmentHeader& h) { h.magic ^= 1; }), Errc::wrong_magic);
    EXPECT_EQ(code_after([](SegmentHeader& h) { h.layout_version = layout_version + 1; }),
              Errc::wrong_layout_version);
    EXPECT_EQ(code_after([](SegmentHeader& h) { h.layout_fingerprint ^= 1; }),
              Errc::wrong_fingerprint);
}

TEST(Segment, RefusesSizesThatAreNotTheTrueOnes) {
    EXPECT_EQ(code_after([](SegmentHeader& h) { h.control_bytes += 4096; }), Errc::damaged_header);
    EXPECT_EQ(code_after([](SegmentHeader& h) { h.payload_bytes -= 4096; }), Errc::damaged_header);
    EXPECT_EQ(code_after([](SegmentHeader& h) { h.region_count = region_count_max + 1; }),
              Errc::damaged_header);
}

TEST(Segment, RefusesMemoryThatIsNoSegment) {
    const Segment segment = good_segment();
    auto zeroed = create_memory_object("zeroed", 20480).value();
    EXPECT_EQ(
        Segment::open(std::move(zeroed), Descriptor(), Access::read_only, fingerprint).error().code,
        Errc::not_yet_published);
    auto tiny = create_memory_object("tiny", 64).value();
    EXPECT_EQ(
        Segment::open(std::move(tiny), Descriptor(), Access::read_only, fingerprint).error().code,
        Errc::region_too_small);
    EXPECT_EQ(Segment::open(Descriptor::duplicate(segment.payload()).value(),
                            Descriptor::duplicate(segment.control()).value(), Access::read_write,
                            fingerprint)
                  .error()
                  .code,
              Errc::not_yet_published)
        << "swapped";
}

TEST(Segment, RefusesRegionsOutsideOfItsMemory) {
    const auto second = RegionKind::peers;
    for (const std::uint64_t value :
         {std::uint64_t{1}, std::uint64_t{20480}, std::uint64_t{1} << 40, ~std::uint64_t{0},
          ~std::uint64_t{4095}}) {
        EXPECT_EQ(
            region_code_after([&](SegmentHeader& h) { h.regions[2].offset_bytes = value; }, second),
            Errc::damaged_header)
            << value;
    }
    for (const std::uint64_t value : {std::uint64_t{4097}, ~std::uint64_t{0}}) {
        EXPECT_EQ(
            region_code_after([&](SegmentHeader& h) { h.regions[2].length_bytes = value; }, second),
            Errc::damaged_header)
            << value;
    }
    EXPECT_EQ(region_code_after([](SegmentHeader& h) { h.regions[2].item_count = 5; }, second),
              Errc::damaged_header);
    EXPECT_EQ(region_code_after(
                  [](SegmentHeader& h) {
                      h.regions[2].item_count = h.regions[2].item_bytes = 0xFFFF'FFFF;
                  },
                  second),
              Errc::damaged_header);
    EXPECT_EQ(region_code_after([](SegmentHeader& h) { h.region_count = 2; }, second),
              Errc::damaged_header);
    EXPECT_EQ(region_code_after([](SegmentHeader& h) { h.regions[1].offset_bytes = 8192; },
                                RegionKind::pool_payload),
              Errc::damaged_header)
        << "payload has a size of its own";
}

TEST(Segment, LetsAnObserverReadControlOnly) {
    const Segment host = good_segment();
    const auto observer = Segment::open(Descriptor::duplicate(host.control()).value(), Descriptor(),
                                        Access::read_only, fingerprint)
                              .value();
    EXPECT_TRUE(observer.region(RegionKind::peers));
    EXPECT_EQ(observer.region(RegionKind::pool_payload).error().code, Errc::damaged_header);
    EXPECT_EQ(observer.region(RegionKind::heap_memory).error().code, Errc::damaged_header);
}

TEST(Segment, NamesWhatItCannotHaveWhenMemoryIsShort) {
    SegmentPlan plan = small_plan();
    plan.payload_bytes = std::uint64_t{1} << 45;
    plan.payload_backed = {{0, plan.payload_bytes}};
    const auto segment = Segment::create("robots", plan, fingerprint);
    ASSERT_FALSE(segment);
    EXPECT_EQ(segment.error().code, Errc::out_of_memory);
}

TEST(Segment, CommitsNoMoreThanIsWanted) {
    const std::vector<ByteRange> first_page_and_last{{0, 4096}, {(1 << 20) - 4096, 4096}};
    const RegionRequest requests[] = {
        {RegionKind::pool_control, 1, 1, 1 << 20, 0, first_page_and_last},
        {RegionKind::pool_payload, 2, 3, 5000, 1000},
        {RegionKind::heap_memory, 0, 1, std::uint64_t{1} << 40, 0, std::vector<ByteRange>{}}};
    const Segment segment =
        Segment::create("robots", plan_segment(requests).value(), fingerprint).value();
    EXPECT_EQ(backed_bytes(segment.control()), 3 * page_bytes) << "with the header's";
    EXPECT_EQ(backed_bytes(segment.payload()), 2 * page_bytes);
    EXPECT_EQ(segment.header().committed_bytes.load(), 5 * page_bytes);
    const auto heaps = segment.region(RegionKind::heap_memory).value();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(heaps.bytes.data()) % large_page_bytes, 0U)
        << "in every process";
}

}  // namespace
}  // namespace shmpool
