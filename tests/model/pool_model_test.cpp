// SPDX-License-Identifier: Apache-2.0
/// Goal: the pool loses no slot and hands none out twice, in whatever order two or three lanes take
/// their steps, and wherever they and the host die. Method: README.md of this folder.
#include "stage.hpp"

namespace shmpool::model {
namespace {

constexpr Bounds a_death{.peer_kills = 1};
constexpr Bounds a_death_and_the_hosts{.peer_kills = 1, .host_kills = 1};
constexpr Bounds two_deaths{.peer_kills = 2};

Shape slots(std::uint32_t count) {
    return {.classes = {{64, count}}};
}

void loan_and_end(Player& one) {
    one.then([](Player& me) { me.loan(); }).then([](Player& me) { me.end(); });
}

TEST(ListModel, PopBesidePop) {
    expect_holds("pop | pop", slots(3), a_death_and_the_hosts, [](World& world) {
        world.add_player("A").then([](Player& me) { me.loan(); });
        world.add_player("B").then([](Player& me) { me.loan(); });
    });
}

TEST(ListModel, PopAndPushBesidePop) {
    expect_holds("pop push | pop", slots(3), a_death_and_the_hosts, [](World& world) {
        loan_and_end(world.add_player("A"));
        world.add_player("B").then([](Player& me) { me.loan(); });
    });
}

TEST(ListModel, PopAndPushBesidePopAndPush) {
    expect_holds("pop push | pop push", slots(2), two_deaths, [](World& world) {
        loan_and_end(world.add_player("A"));
        loan_and_end(world.add_player("B"));
    });
}

TEST(ListModel, PopsOfTwoClassesInOppositeOrders) {
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

}  // namespace
}  // namespace shmpool::model
