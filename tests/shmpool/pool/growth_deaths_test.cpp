// SPDX-License-Identifier: Apache-2.0
/// Goal: a host that dies while a size class grows or shrinks loses no slot and doubles none, at
/// each named narrow place, and the next one can go on. Method: as crash_points_test.cpp; others
/// work on the class before the next host comes, or do not.
#include "tests/shmpool/pool/dies_at.hpp"
#include "tests/shmpool/pool/growth_scene.hpp"

namespace shmpool {
namespace {

using test::dies_at;
using test::GrowthScene;

class GrowingHostDiesAt : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(EachPoint, GrowingHostDiesAt, testing::ValuesIn(test::growth_points),
                         [](const auto& given) { return std::string(given.param); });

TEST_P(GrowingHostDiesAt, AndTheNextOneFinishes) {
    std::uint32_t kills = 0;
    for (const bool others_work_before : {false, true}) {
        for (std::uint32_t hit = 1; !testing::Test::HasFailure(); ++hit) {
            GrowthScene scene;
            if (!dies_at(GetParam(), hit, [&] { scene.play_host(); })) break;
            ++kills;
            SCOPED_TRACE("hit " + std::to_string(hit));
            if (others_work_before) scene.take_all();
            scene.repair();
            scene.repair();  // Idempotent.
            scene.conclude();
        }
    }
    EXPECT_GT(kills, 1U) << "nobody passes this point";
}

}  // namespace
}  // namespace shmpool
