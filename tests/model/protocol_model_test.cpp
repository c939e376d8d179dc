// SPDX-License-Identifier: Apache-2.0
/// Goal: no slot is lost or handed out early, and no reader misses or sees twice what it should
/// get, in whatever order publishers, readers and the host take their steps, and wherever they die.
/// Method: README.md of this folder.
#include "stage.hpp"

namespace shmpool::model {
namespace {

constexpr Bounds a_death{.peer_kills = 1};
constexpr Bounds a_death_and_the_hosts{.peer_kills = 1, .host_kills = 1};
constexpr Bounds two_deaths{.peer_kills = 2};

Bounds few_preemptions(Bounds bounds) {
    bounds.preemptions = full_depth() ? 3 : 2;
    return bounds;
}

Shape with_policy(ChannelPolicy policy, std::uint32_t slot_count = 4) {
    return {.classes = {{64, slot_count}}, .lanes = 5, .policy = policy};
}

void loan_and_publish(Player& me) {
    me.loan();
    me.publish();
}

Player& add_writer(World& world, unsigned messages) {
    Player& writer = world.add_player("W");
    writer.open_publisher();
    for (unsigned i = 0; i < messages; ++i) writer.then(loan_and_publish);
    return writer;
}

Player& add_reader(World& world, const std::string& name, unsigned takes,
                   std::uint32_t depth = 2) {
    Player& reader = world.add_player(name);
    reader.open_subscriber(depth);
    for (unsigned i = 0; i < takes; ++i) {
        reader.then([](Player& me) { me.take(); }).then([](Player& me) { me.release(); });
    }
    return reader;
}

void unsubscribe_at_the_end(World& world, Player& reader) {
    reader.then([](Player& me) { me.close(); });
    world.add_duty([&reader] { return reader.closed() && !reader.dead(); },
                   [&reader](ChannelDirectory& directory) {
                       directory.subscriber_left(reader.subscriber_index(), EndpointState::left);
                   });
}

TEST(MoveModel, PublishBesideTake) {
    expect_holds("move | take", with_policy(ChannelPolicy::block), a_death, [](World& world) {
        add_writer(world, 2);
        add_reader(world, "R", 2);
    });
}

TEST(MoveModel, PublishBesideTakeAndTheHostDiesToo) {
    expect_holds("move | take, host dies", with_policy(ChannelPolicy::block),
                 few_preemptions(a_death_and_the_hosts), [](World& world) {
                     add_writer(world, 1);
                     add_reader(world, "R", 1);
                 });
}

TEST(MoveModel, PublishBesideUnsubscribe) {
    expect_holds("move | take, unsubscribe", with_policy(ChannelPolicy::block), a_death,
                 [](World& world) {
                     add_writer(world, 2);
                     unsubscribe_at_the_end(world, add_reader(world, "R", 1));
                 });
}

TEST(LeaseModel, PublishToTwo) {
    expect_holds("lease | take | take", with_policy(ChannelPolicy::block), a_death,
                 [](World& world) {
                     add_writer(world, 1);
                     add_reader(world, "R", 1);
                     add_reader(world, "S", 1);
                 });
}

TEST(LeaseModel, PublishBesideUnsubscribe) {
    expect_holds("lease | take | unsubscribe", with_policy(ChannelPolicy::block), a_death,
                 [](World& world) {
                     add_writer(world, 1);
                     add_reader(world, "R", 1);
                     unsubscribe_at_the_end(world, add_reader(world, "S", 0));
                 });
}

TEST(LeaseModel, DropOldestBesideTake) {
    expect_holds("drop oldest | take", with_policy(ChannelPolicy::drop_oldest), a_death,
                 [](World& world) {
                     Player& writer = add_writer(world, 2);
                     add_reader(world, "R", 1, 1);
                     writer.first(loan_and_publish);
                 });
}

}  // namespace
}  // namespace shmpool::model
