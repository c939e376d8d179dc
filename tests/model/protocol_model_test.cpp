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

Shape with_policy(ChannelPolicy policy, std::uint32_t slot_count = 4) {
    return {.classes = {{64, slot_count}}, .lanes = 5, .policy = policy};
}
const Shape blocking = with_policy(ChannelPolicy::block);
const Shape dropping_oldest = with_policy(ChannelPolicy::drop_oldest);

void publish(Player& me) {
    me.loan();
    me.publish();
}
void publish_large(Player& me) {
    me.loan(128);
    me.publish();
}
void take(Player& me) {
    me.take();
}
void release(Player& me) {
    me.release();
}

Player& add_writer(World& world) {
    Player& writer = world.add_player("W");
    writer.open_publisher();
    return writer;
}

Player& add_reader(World& world, const std::string& name, std::uint32_t depth = 2) {
    Player& reader = world.add_player(name);
    reader.open_subscriber(depth);
    return reader;
}

/// A reader that comes while the others are at work: the host opens it, then it takes.
Player& add_joining_reader(World& world, const std::string& name) {
    Player& reader = world.add_player(name);
    world.add_duty([&reader] { return !reader.dead() && !reader.joined(); },
                   [&world, &reader](ChannelDirectory& directory) {
                       const auto opened =
                           directory.open_subscriber(world.request(), reader.peer(), 2, 0);
                       if (opened) world.answer(*opened);
                   });
    return reader.then([&world](Player& me) { me.subscribe_to(world.answered()); },
                       [&world] { return world.has_answered(); });
}

const Shape dropping_newest = with_policy(ChannelPolicy::drop_newest);

// --- one reader: the slot itself moves -----------------------------------------------------------

TEST(MoveModel, PublishBesideTake) {
    expect_holds("move | take", blocking, deep(a_death, 3), [](World& world) {
        add_writer(world).then(publish);
        add_reader(world, "R").then(take).then(release);
    });
}

TEST(MoveModel, PublishTwoBesideTakeTwo) {
    expect_holds("move move | take take, both may die", blocking, deep(two_deaths, 1),
                 [](World& world) {
                     add_writer(world).then(publish).then(publish);
                     add_reader(world, "R").then(take).then(release).then(take).then(release);
                 });
}

TEST(MoveModel, TheHostDiesToo) {
    expect_holds("move | take, the host dies too", blocking, deep(a_death_and_the_hosts, 1, 2),
                 [](World& world) {
                     add_writer(world).then(publish);
                     add_reader(world, "R").then(take).then(release);
                 });
}

TEST(MoveModel, PublishBesideUnsubscribe) {
    expect_holds("move | take, unsubscribe", blocking, deep(a_death, 2), [](World& world) {
        add_writer(world).then(publish);
        Player& reader = add_reader(world, "R").then(take);
        unsubscribe(world, reader);
        reader.then(release);
    });
}

TEST(MoveModel, ADeadReceiverWhoseSenderNeverStops) {
    const Shape few_slots = with_policy(ChannelPolicy::block, 2);
    expect_holds("move x4 | take, dies", few_slots, deep(a_death, 1, 3), [](World& world) {
        Player& writer = add_writer(world);
        add_reader(world, "R", 1).then(take).then(release);
        writer.first(publish);
        for (int i = 0; i < 4; ++i) writer.then(publish);
    });
}

TEST(MoveModel, ALoanOfASiblingIsPublished) {
    expect_holds("move what a sibling loaned | take", blocking, deep(a_death, 2, 3),
                 [](World& world) {
                     Player& sibling = world.add_player("S").first([](Player& me) { me.loan(); });
                     Player& writer = world.add_player("W", &sibling);
                     writer.open_publisher();
                     add_reader(world, "R").then(take).then(release);
                     writer.with_what_is_held_by(sibling).then([](Player& me) { me.publish(); });
                 });
}

TEST(MoveModel, PublishBesideAReaderThatFallsAsleep) {
    expect_holds("move | wait, take", blocking, deep(a_death_and_the_hosts, 1), [](World& world) {
        add_writer(world).then(publish);
        add_reader(world, "R").then([](Player& me) { me.wait(); }).then(take).then(release);
    });
}

TEST(MoveModel, DropNewestBesideTake) {
    expect_holds("move or drop the newest, twice | take", dropping_newest, deep(a_death, 2),
                 [](World& world) {
                     Player& writer = add_writer(world);
                     add_reader(world, "R", 1).then(take).then(release);
                     writer.then(publish).then(publish);
                 });
}

// --- several readers: leases ---------------------------------------------------------------------

TEST(LeaseModel, PublishToTwo) {
    expect_holds("lease | take | take", blocking, deep(a_death, 1), [](World& world) {
        add_writer(world).then(publish);
        for (const char* name : {"R", "S"}) add_reader(world, name).then(take).then(release);
    });
}

TEST(LeaseModel, PublishToTwoAndTheHostDiesToo) {
    expect_holds("lease | take | take, the host dies too", blocking,
                 deep(a_death_and_the_hosts, 0, 2), [](World& world) {
                     add_writer(world).then(publish);
                     for (const char* name : {"R", "S"}) {
                         add_reader(world, name).then(take).then(release);
                     }
                 });
}

TEST(LeaseModel, PublishToThree) {
    expect_holds("lease | take | take | take", blocking, deep(a_death, 1, 2), [](World& world) {
        add_writer(world).then(publish);
        for (const char* name : {"R", "S", "T"}) {
            add_reader(world, name).then(take).then(release);
        }
    });
}

TEST(LeaseModel, PublishBesideUnsubscribe) {
    expect_holds("lease | take | unsubscribe", blocking, deep(a_death, 1, 3), [](World& world) {
        add_writer(world).then(publish);
        add_reader(world, "R").then(take);
        Player& leaving = add_reader(world, "S").then(take);
        unsubscribe(world, leaving);
    });
}

TEST(LeaseModel, PublishBesideUnsubscribeWithOneWaiting) {
    expect_holds("lease | unsubscribe, one waiting", blocking, deep(a_death, 2), [](World& world) {
        Player& writer = add_writer(world);
        add_reader(world, "R");
        unsubscribe(world, add_reader(world, "S"));
        writer.first(publish).then(publish);
    });
}

TEST(LeaseModel, PublishBesideAJoiningReader) {
    expect_holds("publish publish | take | join, take", blocking, deep(a_death, 1, 3),
                 [](World& world) {
                     add_writer(world).then(publish).then(publish);
                     add_reader(world, "R").then(take).then(release);
                     add_joining_reader(world, "J").then(take).then(release);
                 });
}

TEST(LeaseModel, ReleaseBesideReleaseBesideReclaim) {
    expect_holds("release | release | die with a lease", blocking, deep(two_deaths, 1, 3),
                 [](World& world) {
                     Player& writer = add_writer(world);
                     for (const char* name : {"R", "S", "T"}) {
                         add_reader(world, name).then(release);
                     }
                     writer.first(publish);
                     for (const char* name : {"R", "S", "T"}) world.player(name).first(take);
                     writer.then([](Player& me) { me.loan(); });
                 });
}

TEST(LeaseModel, ASiblingReleases) {
    expect_holds("release by a sibling | release", blocking, deep(a_death_and_the_hosts, 1, 2),
                 [](World& world) {
                     Player& writer = add_writer(world);
                     Player& reader = add_reader(world, "R");
                     add_reader(world, "S").then(release);
                     writer.first(publish);
                     reader.first(take);
                     world.player("S").first(take);
                     world.add_player("R2", &reader).with_what_is_held_by(reader).then(release);
                 });
}

TEST(LeaseModel, ASampleOutlivesItsSubscriber) {
    const Shape two_readers_at_most{.classes = {{64, 4}}, .lanes = 5, .subscribers = 2};
    expect_holds("unsubscribe, release | publish | join, take", two_readers_at_most,
                 deep(a_death, 1, 2), [](World& world) {
                     Player& writer = add_writer(world);
                     Player& reader = add_reader(world, "R");
                     add_reader(world, "S");
                     writer.first(publish).then(publish);
                     reader.first(take);
                     unsubscribe(world, reader);
                     reader.then(release);
                     add_joining_reader(world, "J").then(take);
                 });
}

TEST(LeaseModel, TwoPublishersToOneReader) {
    expect_holds("publish | publish | take take", blocking, deep(two_deaths, 0, 2),
                 [](World& world) {
                     for (const char* name : {"V", "W"}) {
                         Player& writer = world.add_player(name);
                         writer.open_publisher();
                         writer.then(publish);
                     }
                     add_reader(world, "R").then(take).then(release).then(take);
                 });
}

TEST(LeaseModel, APublisherLeaves) {
    expect_holds("publish, leave | take | take", blocking, deep(a_death_and_the_hosts, 0, 2),
                 [](World& world) {
                     Player& writer = add_writer(world).then(publish);
                     for (const char* name : {"R", "S"}) add_reader(world, name).then(take);
                     world.add_duty([&writer] { return writer.finished() && !writer.dead(); },
                                    [&writer](ChannelDirectory& directory) {
                                        directory.publisher_left(writer.publisher_index(),
                                                                 EndpointState::left);
                                    });
                 });
}

// --- the oldest is dropped
// ------------------------------------------------------------------------

TEST(DropModel, DropOldestBesideTake) {
    expect_holds("drop the oldest | take", dropping_oldest, deep(a_death, 3), [](World& world) {
        Player& writer = add_writer(world);
        add_reader(world, "R", 1).then(take).then(release);
        writer.first(publish).then(publish);
    });
}

TEST(DropModel, DropTwiceBesideTake) {
    expect_holds("drop, drop | take take", dropping_oldest, deep(a_death, 1, 3), [](World& world) {
        Player& writer = add_writer(world);
        add_reader(world, "R", 1).then(take).then(release).then(take);
        writer.first(publish).then(publish).then(publish);
    });
}

TEST(DropModel, DropBesideUnsubscribe) {
    expect_holds("drop the oldest | unsubscribe", dropping_oldest, deep(a_death, 2),
                 [](World& world) {
                     Player& writer = add_writer(world);
                     unsubscribe(world, add_reader(world, "R", 1));
                     writer.first(publish).then(publish);
                 });
}

TEST(DropModel, TheReaderStepsOverADrop) {
    expect_holds("drop the oldest of two | take the next", dropping_oldest, deep(a_death, 2),
                 [](World& world) {
                     Player& writer = add_writer(world);
                     add_reader(world, "R", 2).then(take).then(release);
                     writer.first(publish).first(publish).then(publish);
                 });
}

TEST(DropModel, TheDroppedSlotIsPublishedAgain) {
    const Shape three_slots = with_policy(ChannelPolicy::drop_oldest, 3);
    expect_holds("drop the oldest | publish what was dropped | take", three_slots,
                 deep(a_death, 0, 2), [](World& world) {
                     Player& writer = add_writer(world);
                     Player& other = world.add_player("V");
                     other.open_publisher();
                     add_reader(world, "R", 1).then(take).then(release);
                     writer.first(publish).then(publish);
                     other.then(publish);
                 });
}

// While somebody looks at the oldest entry of a full ring, its publisher may drop it and write the
// next key into its place: a key and a class that do not belong together must not be believed.

TEST(DropModel, AnEntryIsOvertakenWhileItIsTaken) {
    const Shape one_small{
        .classes = {{64, 1}, {128, 4}}, .lanes = 5, .policy = ChannelPolicy::drop_oldest};
    expect_holds("drop, enter another class | take", one_small, deep(a_death, 2), [](World& world) {
        Player& writer = add_writer(world);
        add_reader(world, "R", 4).then(take);
        writer.first(publish).first(publish_large).first(publish_large);
        writer.first(publish_large).then(publish_large);
    });
}

TEST(DropModel, AnEntryIsOvertakenWhileItIsDrained) {
    const Shape one_large{
        .classes = {{64, 5}, {128, 1}}, .lanes = 5, .policy = ChannelPolicy::drop_oldest};
    expect_holds("drop, enter another class | unsubscribe with a sample", one_large,
                 deep(a_death, 2, 3), [](World& world) {
                     Player& writer = add_writer(world);
                     Player& reader = add_reader(world, "R", 4);
                     writer.first(publish);
                     reader.first(take);
                     for (int i = 0; i < 4; ++i) writer.first(publish);
                     writer.then(publish_large);
                     unsubscribe(world, reader);
                 });
}

TEST(DropModel, TheHostDiesToo) {
    expect_holds("drop the oldest | take, the host dies too", dropping_oldest,
                 deep(a_death_and_the_hosts, 1, 2), [](World& world) {
                     Player& writer = add_writer(world);
                     add_reader(world, "R", 1).then(take);
                     writer.first(publish).then(publish);
                 });
}

}  // namespace
}  // namespace shmpool::model
