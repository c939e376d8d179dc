// SPDX-License-Identifier: Apache-2.0
/// Goal: who is stopped in the middle of an operation loses nothing, and takes nothing from anybody
/// when he goes on. Method: a thin form of `scripts/crash stops` over every operation; and planted
/// operations that show that it finds who does.
#include "stops.hpp"

#include <gmock/gmock.h>

#include <ostream>

namespace shmpool::sweep {
namespace {

using ::testing::HasSubstr;

using List = std::vector<Operation> (*)();
struct Named {
    const char* name;
    List list;
};
void PrintTo(const Named& named, std::ostream* out) {
    *out << named.name;
}

struct Arenas {
    explicit Arenas(Limits limits = Limits::none)
        : waiting(that_suspects_soon("wait", limits)),
          killing(that_suspects_soon("kill", limits)) {}
    Arena waiting;
    Arena killing;
    StopsRow stop(const Operation& operation, const Extent& extent) {
        return Stops(waiting, killing).run(operation, extent);
    }
};

/// One point of each operation.
constexpr Extent thin{.every = 1'000'000};

class ShortStops : public ::testing::TestWithParam<Named> {};

TEST_P(ShortStops, FindNothing) {
    const std::vector<Operation> operations = GetParam().list();
    Arenas arenas(operations.front().limits);
    std::uint32_t suspected = 0;
    std::uint32_t killed = 0;
    for (const Operation& operation : operations) {
        const StopsRow row = arenas.stop(operation, thin);
        EXPECT_EQ(row.wrong_path, "") << row.name;
        EXPECT_EQ(row.visits + row.missed, 3U) << row.name;
        EXPECT_EQ(row.went_on + row.killed, row.visits + row.missed) << row.name;
        for (const Finding& one : row.findings) {
            ADD_FAILURE() << row.name << " at point " << one.point << ", " << one.visit << ": "
                          << one.account.text;
        }
        suspected += row.suspected;
        killed += row.killed;
    }
    EXPECT_GT(suspected, 0U);
    EXPECT_GT(killed, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Of, ShortStops,
    ::testing::Values(Named{"Slots", slot_operations}, Named{"Publish", publish_operations},
                      Named{"Take", take_operations}, Named{"Sleep", sleep_operations},
                      Named{"Connect", connect_operations}, Named{"Class", class_operations},
                      Named{"Limits", limits_operations}, Named{"Reading", reading_operations}),
    [](const auto& tested) { return std::string(tested.param.name); });

/// What is under its hands is given to others, as by a host that took it for dead.
Operation loses_what_it_has() {
    return {"loses what it has", Lists::either,
            [](Victim& victim) {
                victim.attach();
                for (int i = 0; i < 2; ++i) {
                    victim.keep(must(victim.peer->allocate(small_bytes), "the victim's slot"));
                }
            },
            [](Victim& victim) { must(victim.peer->free(victim.raw.front()), "a theft"); },
            [](Victim&) { return true; }};
}

TEST(PlantedStops, OneWhoLosesWhatItHasIsFound) {
    const StopsRow row = Arenas().stop(loses_what_it_has(), {.every = 60});
    ASSERT_FALSE(row.is_clean());
    EXPECT_GT(row.broken, 0U);
    EXPECT_THAT(row.findings.front().account.text, HasSubstr("its slot is somebody else's"));
}

}  // namespace
}  // namespace shmpool::sweep
