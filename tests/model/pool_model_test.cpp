// SPDX-License-Identifier: Apache-2.0
/// Goal: the pool loses no slot and hands none out twice, in whatever order two or three lanes take
/// their steps, and wherever they and the host die. Method: README.md of this folder.
#include "shmpool/pool/growth.hpp"
#include "stage.hpp"

namespace shmpool::model {
namespace {

constexpr Bounds a_death{.peer_kills = 1};
constexpr Bounds a_death_and_the_hosts{.peer_kills = 1, .host_kills = 1};
constexpr Bounds two_deaths{.peer_kills = 2};

Shape slots(std::uint32_t count) {
    return {.classes = {{64, count}}};
}

/// The smallest class that has magazines: half of one is a chain of 4. All but `free` are taken.
constexpr std::uint32_t class_with_magazines = 128;
void leave_free(World& world, std::uint32_t free) {
    world.occupy(class_with_magazines + free % 4 - free);
}
Shape magazines(std::uint32_t free) {
    return slots(class_with_magazines + free % 4);
}

void loan(Player& me) {
    me.loan();
}
void end(Player& me) {
    me.end();
}

TEST(ListModel, PopBesidePop) {
    expect_holds("pop | pop", slots(3), a_death_and_the_hosts, [](World& world) {
        world.add_player("A").then(loan);
        world.add_player("B").then(loan);
    });
}

TEST(ListModel, PopAndPushBesidePop) {
    expect_holds("pop push | pop", slots(3), deep(a_death_and_the_hosts, 2), [](World& world) {
        world.add_player("A").then(loan).then(end);
        world.add_player("B").then(loan);
    });
}

TEST(ListModel, PopAndPushBesidePopAndPush) {
    expect_holds("pop push | pop push", slots(2), deep(two_deaths, 2), [](World& world) {
        world.add_player("A").then(loan).then(end);
        world.add_player("B").then(loan).then(end);
    });
}

TEST(ListModel, PushBesidePopOfThree) {
    expect_holds("push pop | push pop | pop", slots(3), deep(a_death, 1, 3), [](World& world) {
        world.add_player("A").first(loan).then(end).then(loan);
        world.add_player("B").first(loan).then(end).then(loan);
        world.add_player("C").then(loan);
    });
}

TEST(ListModel, TwoClassesInOppositeOrders) {
    const Shape two_classes{.classes = {{64, 2}, {128, 2}}};
    expect_holds("pop small, large | pop large, small", two_classes, a_death, [](World& world) {
        world.add_player("A").then([](Player& me) { me.loan(64); }).then([](Player& me) {
            me.loan(128);
        });
        world.add_player("B").then([](Player& me) { me.loan(128); }).then([](Player& me) {
            me.loan(64);
        });
    });
}

TEST(ListModel, FallThroughToTheLargerClass) {
    const Shape two_classes{.classes = {{64, 1}, {128, 2}}};
    expect_holds("pop, falls through | the same", two_classes, deep(two_deaths, 2),
                 [](World& world) {
                     world.add_player("A").then(loan).then(end);
                     world.add_player("B").then(loan).then(loan);
                 });
}

TEST(MagazineModel, RefillBesideRefill) {
    expect_holds("refill 4 | refill 2", magazines(6), deep(a_death_and_the_hosts, 1),
                 [](World& world) {
                     leave_free(world, 6);
                     world.add_player("A").then(loan);
                     world.add_player("B").then(loan);
                 });
}

TEST(MagazineModel, RefillOfThreeBesideFlush) {
    expect_holds("refill 3 | flush 4", magazines(7), deep(a_death, 2), [](World& world) {
        leave_free(world, 7);
        world.add_player("A").then(loan);
        world.add_player("B").first(loan).first(end).then([](Player& me) { me.flush(); });
    });
}

TEST(MagazineModel, RefillOfTwoBesideFlushOfTwo) {
    expect_holds(
        "refill 2, flush | refill 2, flush", magazines(2), deep(two_deaths, 2), [](World& world) {
            leave_free(world, 2);
            for (const char* name : {"A", "B"}) {
                world.add_player(name).then(loan).then(end).then([](Player& me) { me.flush(); });
            }
        });
}

TEST(MagazineModel, PressureMakesOthersFlush) {
    expect_holds("end under pressure | starve, pop", magazines(1), deep(a_death, 2),
                 [](World& world) {
                     leave_free(world, 1);
                     world.add_player("A").first(loan).then(end);
                     world.add_player("B").then(loan).then(loan);
                 });
}

TEST(MagazineModel, ASiblingsLoanIsCached) {
    expect_holds("end of a sibling's loan | refill", magazines(4), deep(a_death, 2),
                 [](World& world) {
                     leave_free(world, 4);
                     Player& first = world.add_player("A").first(loan);
                     world.add_player("A2", &first).with_what_is_held_by(first).then(end);
                     world.add_player("B").then(loan);
                 });
}

/// Both free the slot that A has.
void let_two_free_one(World& world) {
    Player& owner = world.add_player("A").first([](Player& me) { me.allocate(); });
    const SlotRef ref = owner.hand_out_raw();
    owner.then([ref](Player& me) { me.free(ref); });
    Player& other = world.add_player("B").then([ref](Player& me) { me.free(ref); });
    world.also_look([&owner, &other] {
        if (owner.frees_won() + other.frees_won() > 1) {
            machine().report("both frees of one slot have won");
        }
    });
}

TEST(RawModel, FreeBesideFree) {
    expect_holds("free | free of one slot", slots(2), a_death_and_the_hosts, let_two_free_one);
}

TEST(RawModel, FreeIntoAMagazineBesideFree) {
    expect_holds("free into a magazine | free of one slot", magazines(4),
                 deep(a_death_and_the_hosts, 1), [](World& world) {
                     leave_free(world, 4);
                     let_two_free_one(world);
                 });
}

TEST(RawModel, FreeOfADeadOnesSlot) {
    expect_holds(
        "die with a raw slot | free it, pop", slots(2), deep(two_deaths, 2), [](World& world) {
            Player& owner = world.add_player("A").first([](Player& me) { me.allocate(); });
            const SlotRef ref = owner.hand_out_raw();
            owner.then([ref](Player& me) { me.free(ref); }).then([](Player& me) { me.allocate(); });
            world.add_player("B").then([ref](Player& me) { me.free(ref); }).then([](Player& me) {
                me.allocate();
            });
        });
}

TEST(LaneModel, IsUsedAgainByAnotherThread) {
    expect_holds("lane of an ended thread | pop push", slots(3), deep(a_death, 2),
                 [](World& world) {
                     Player& first = world.add_player("A").then(loan).then(end).then(
                         [](Player& me) { me.leave_lane(); });
                     world.add_player_without_lane("A2", &first)
                         .then(
                             [&first](Player& me) {
                                 me.use_lane_of(first);
                                 me.loan();
                             },
                             [&first] { return first.finished(); })
                         .then(end);
                     world.add_player("B").then(loan).then(end);
                 });
}

TEST(LaneModel, IsUsedAgainByAnotherPeer) {
    const Shape two_lanes{.classes = {{64, 3}}, .lanes = 2};
    expect_holds("lane of the dead | pop push", two_lanes, deep(two_deaths, 1), [](World& world) {
        Player& first = world.add_player("A").then(loan).then(end);
        world.add_player("B").then(loan).then(end);
        world.add_player_without_lane("C")
            .then(
                [](Player& me) {
                    me.claim_lane();
                    me.loan();
                },
                [&world, &first] { return world.lane_is_free(first.lane_index()); })
            .then(end);
    });
}

TEST(LaneModel, TwoPeersWantOne) {
    expect_holds("claim, pop | claim, pop", slots(3), deep(a_death, 2), [](World& world) {
        for (const char* name : {"A", "B"}) {
            world.add_player_without_lane(name)
                .then([](Player& me) { me.claim_lane(); })
                .then(loan);
        }
    });
}

TEST(LaneModel, ASiblingEndsTheLoan) {
    expect_holds(
        "loan of one thread, ended by its sibling", slots(3), deep(a_death_and_the_hosts, 2),
        [](World& world) {
            Player& first = world.add_player("A").first(loan);
            world.add_player("A2", &first).with_what_is_held_by(first).then(end).then(loan);
            world.add_player("B").then(loan);
        });
}

// --- a class that grows and shrinks --------------------------------------------------------------

constexpr std::uint32_t two_more = 2;

/// One slot at first, and there may be three.
Shape growing() {
    return {.classes = {{64, 1, 3}}};
}

/// The next host does it again, and finds it done.
void grow_to(Lane& host, std::uint32_t slot_count) {
    while (slots_in_service(host.pool(), 0) < slot_count) {
        const auto growth = plan_growth(host.pool(), 0, two_more);
        if (!growth) return;
        open_extent(host.pool(), host, *growth);
    }
}

TEST(GrowthModel, GrowthBesidePops) {
    expect_holds("grow | pop pop push", growing(), deep(a_death_and_the_hosts, 2),
                 [](World& world) {
                     world.add_duty([](Lane& host) { grow_to(host, 3); });
                     world.add_player("A").then(loan).then(loan).then(end);
                 });
}

TEST(GrowthModel, WithdrawalBesidePopAndPush) {
    expect_holds(
        "withdraw | pop push", growing(), deep(a_death_and_the_hosts, 2), [](World& world) {
            world.grow_first(two_more);
            world.add_duty([](Lane& host) { (void)withdraw_extent(host.pool(), host, 0, 1); });
            world.add_player("A").first(loan).then(loan).then(end);
        });
}

TEST(GrowthModel, WithdrawalAndReturnBesidePops) {
    expect_holds("withdraw, return | pop push | pop", growing(), deep(a_death_and_the_hosts, 1, 2),
                 [](World& world) {
                     world.grow_first(two_more);
                     world.add_duty([](Lane& host) {
                         (void)withdraw_extent(host.pool(), host, 0, 1);
                         grow_to(host, 3);
                     });
                     world.add_player("A").first(loan).then(loan).then(end);
                     world.add_player("B").then(loan);
                 });
}

}  // namespace
}  // namespace shmpool::model
