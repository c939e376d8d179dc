// SPDX-License-Identifier: Apache-2.0
/// Heaps of a real host that get more memory while they are in use, step by step.
#include <gmock/gmock.h>

#include "tests/peer/peer_fixture.hpp"

namespace shmpool {
namespace {

constexpr std::uint64_t mib = 1 << 20;

class HeapsGrowthTest : public PeerTest {
protected:
    /// To 31 MiB, in thirty steps.
    void create_and_grow(HeapKind kind) {
        HeapSpec spec;
        spec.kind = kind;
        spec.bytes = mib;
        spec.max_bytes = 31 * mib;
        const auto created = peer_.create_heap("growing", spec);
        ASSERT_TRUE(created) << created.error().message;
        for (std::uint64_t bytes = 2 * mib; bytes <= spec.max_bytes; bytes += mib) {
            const auto grown = peer_.grow_heap("growing", bytes);
            ASSERT_TRUE(grown) << bytes << ": " << grown.error().message;
        }
        EXPECT_EQ(peer_.heaps().value()[0].committed_bytes, spec.max_bytes);
    }
};

class BytesGrow : public HeapsGrowthTest, public testing::WithParamInterface<HeapKind> {};

TEST_P(BytesGrow, ByThirtyStepsAndGiveABlockOfManyOfThem) {
    create_and_grow(GetParam());
    auto theirs = other_.byte_heap("growing").value();
    const auto block = theirs.allocate(8 * mib);
    ASSERT_TRUE(block) << name_of(block.error());
    std::memset(theirs.at(*block), 1, 8 * mib);
    EXPECT_THAT(theirs.audit().value(), testing::IsEmpty());
    EXPECT_TRUE(theirs.free(*block));
    EXPECT_THAT(theirs.audit().value(), testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Of, BytesGrow,
                         testing::Values(HeapKind::tlsf, HeapKind::buddy, HeapKind::slab),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

TEST_F(HeapsGrowthTest, PagesGrowByThirtySteps) {
    create_and_grow(HeapKind::bitmap_pages);
    auto theirs = other_.page_heap("growing").value();
    const auto run = theirs.allocate_pages(30 * mib / page_bytes);
    ASSERT_TRUE(run) << name_of(run.error());
    EXPECT_TRUE(theirs.free_pages(*run, 30 * mib / page_bytes));
    EXPECT_THAT(theirs.audit().value(), testing::IsEmpty());
}

TEST_F(HeapsGrowthTest, ObjectsGrowByThirtySteps) {
    create_and_grow(HeapKind::slab_cache);
    auto theirs = other_.object_heap("growing").value();
    for (int i = 0; i < 300'000; ++i) ASSERT_TRUE(theirs.allocate()) << i;
    EXPECT_THAT(theirs.audit().value(), testing::IsEmpty());
}

/// The time that the host may take for it comes on top of that.
TEST_F(HeapsGrowthTest, IsWaitedForByWhoWaitsWithoutEnd) {
    PeerOptions options;
    options.answer_timeout = std::chrono::nanoseconds::max();
    auto patient = Peer::attach(host_.pool(), options).value();
    HeapSpec spec;
    spec.bytes = mib;
    spec.max_bytes = 2 * mib;
    EXPECT_TRUE(patient.create_heap("growing", spec));
    EXPECT_TRUE(patient.grow_heap("growing", 2 * mib));
    EXPECT_TRUE(patient.destroy_heap("growing"));
}

}  // namespace
}  // namespace shmpool
