// SPDX-License-Identifier: Apache-2.0
/// Goal: what one channel does with a slot never reaches the slot's next life on another channel,
/// where the same bits of the mask mean other readers. Method: README.md of this folder; there are
/// so few slots that the second channel gets the one that the first has just let go of.
#include "stage.hpp"

namespace shmpool::model {
namespace {

constexpr Bounds nobody_dies{.peer_kills = 0};
constexpr Bounds a_death{.peer_kills = 1};

Shape with_slots(std::uint32_t slot_count, ChannelPolicy policy) {
    return {.classes = {{64, slot_count}}, .lanes = 5, .policy = policy};
}
const Shape one_slot = with_slots(1, ChannelPolicy::drop_oldest);
const Shape one_moved_slot = with_slots(1, ChannelPolicy::block);
const Shape two_slots = with_slots(2, ChannelPolicy::drop_oldest);

void loan(Player& me) {
    me.loan();
}
void publish_loan(Player& me) {
    me.publish();
}
void publish(Player& me) {
    me.loan();
    me.publish();
}
/// One of the two slots is the one that the first channel had.
void publish_both(Player& me) {
    publish(me);
    publish(me);
}

/// The channel of which the play tells.
struct First {
    Player& writer;
    Player& reader;
};

First add_first(World& world, std::uint32_t depth) {
    Player& writer = world.add_player("W");
    writer.open_publisher("a");
    Player& reader = world.add_player("R");
    reader.open_subscriber(depth, "a");
    return {writer, reader};
}

/// The other one: its reader keeps what it gets, and looks at it at the end.
void add_second(World& world, const std::function<void(Player&)>& verb,
                const std::function<bool()>& ready) {
    Player& writer = world.add_player("V");
    writer.open_publisher("b");
    world.add_player("S").open_subscriber(2, "b");
    writer.then(verb, ready);
}

bool is_over(const Player& player) {
    return player.finished() || player.dead();
}

TEST(TwoChannelsModel, DropBesideUnsubscribe) {
    expect_holds("drop the oldest | unsubscribe | publish to others", two_slots,
                 deep(nobody_dies, 3, 4), [](World& world) {
                     const First first = add_first(world, 1);
                     first.writer.first(publish).first(loan).then(publish_loan);
                     unsubscribe(world, first.reader);
                     add_second(world, publish_both, [&] { return is_over(world.player("W")); });
                 });
}

/// Of the only slot.
void expect_publish_beside_unsubscribe(const std::string& name, const Shape& shape) {
    expect_holds(name, shape, deep(a_death, 2, 3), [](World& world) {
        const First first = add_first(world, 2);
        first.writer.first(loan).then(publish_loan);
        unsubscribe(world, first.reader);
        add_second(world, publish, [&] { return is_over(world.player("W")); });
    });
}

TEST(TwoChannelsModel, ADeadPublishBesideUnsubscribe) {
    expect_publish_beside_unsubscribe("publish, dies | unsubscribe | publish to others", one_slot);
}

TEST(TwoChannelsModel, AMoveBesideUnsubscribe) {
    expect_publish_beside_unsubscribe("move | unsubscribe | move to others", one_moved_slot);
}

TEST(TwoChannelsModel, ADropThatStopsWhileItsReaderDies) {
    expect_holds("drop, stopped | dies | publish to others", two_slots, deep(a_death, 2, 3),
                 [](World& world) {
                     const First first = add_first(world, 1);
                     // So that the host looks for leases of it where the slot lies.
                     first.reader.first(loan).first([](Player& me) { me.end(); });
                     first.writer.first(publish).first(loan).then(publish_loan);
                     first.reader.then(loan);
                     add_second(world, publish, [&] {
                         const Player& reader = world.player("R");
                         return reader.dead() && reader.has_lane();
                     });
                 });
}

}  // namespace
}  // namespace shmpool::model
