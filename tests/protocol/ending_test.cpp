// SPDX-License-Identifier: Apache-2.0
/// When a reader is told that nothing will come any more, and that it is woken for it.
#include <chrono>
#include <thread>

#include "endpoints.hpp"

namespace shmpool::testing_protocol {
namespace {

struct Room {
    Room() : first(host, host.admit()), second(host, host.admit()), reading(host, host.admit()) {}
    TestHost host;
    TestPeer first;
    TestPeer second;
    TestPeer reading;
};

TEST(Ending, IsNotSeenBeforeAnybodyCame) {
    Room room;
    Reader reader(room.reading, room.host.open_subscriber(room.reading.index(), 4));
    EXPECT_EQ(reader.drain(), Errc::empty);
    EXPECT_FALSE(reader.core().ready());
}

TEST(Ending, IsNotSeenWhileAPublisherIsThere) {
    Room room;
    Reader reader(room.reading, room.host.open_subscriber(room.reading.index(), 4));
    const Opened one = room.host.open_publisher(room.first.index(), ChannelPolicy::block);
    (void)room.host.open_publisher(room.second.index(), ChannelPolicy::block);
    EXPECT_EQ(reader.drain(), Errc::empty);
    room.host.directory().publisher_left(one.endpoint_index, EndpointState::left);
    EXPECT_EQ(reader.drain(), Errc::empty);
}

TEST(Ending, ComesAfterEverythingThatWasPublished) {
    Room room;
    Reader reader(room.reading, room.host.open_subscriber(room.reading.index(), 4));
    const Opened opened = room.host.open_publisher(room.first.index(), ChannelPolicy::block);
    Writer writer(room.first, opened, ChannelPolicy::block, 1);
    for (int i = 0; i < 3; ++i) ASSERT_EQ(writer.send(), 1U);
    room.host.directory().publisher_left(opened.endpoint_index, EndpointState::left);
    EXPECT_TRUE(room.host.directory().maintain()) << "the orphan ring waits for its reader";
    EXPECT_EQ(reader.drain(), Errc::ended);
    EXPECT_EQ(reader.received(), 3U);
    EXPECT_FALSE(room.host.directory().maintain());
    EXPECT_EQ(reader.drain(), Errc::ended) << "also after the ring has gone";
}

TEST(Ending, SaysDeathWhenTheLastOneDied) {
    Room room;
    Reader reader(room.reading, room.host.open_subscriber(room.reading.index(), 4));
    const Opened leaves = room.host.open_publisher(room.first.index(), ChannelPolicy::block);
    Writer writer(room.second, room.host.open_publisher(room.second.index(), ChannelPolicy::block),
                  ChannelPolicy::block, 2);
    room.host.directory().publisher_left(leaves.endpoint_index, EndpointState::left);
    for (int i = 0; i < 4; ++i) ASSERT_EQ(writer.send(), 1U);
    EXPECT_FALSE(room.host.reclaim(room.second.index()).finished) << "its messages are on the way";
    EXPECT_EQ(reader.drain(), Errc::ended_by_death);
    EXPECT_EQ(reader.received(), 4U);
    EXPECT_TRUE(room.host.reclaim_lingering());
    room.reading.flush();
    EXPECT_EQ(what_is_missing(room.host.pool()), "");
}

TEST(Ending, IsTakenBackWhenANewPublisherComes) {
    Room room;
    Reader reader(room.reading, room.host.open_subscriber(room.reading.index(), 4));
    const Opened one = room.host.open_publisher(room.first.index(), ChannelPolicy::block);
    room.host.directory().publisher_left(one.endpoint_index, EndpointState::left);
    EXPECT_EQ(reader.drain(), Errc::ended);
    Writer writer(room.second, room.host.open_publisher(room.second.index(), ChannelPolicy::block),
                  ChannelPolicy::block, 2);
    EXPECT_EQ(reader.drain(), Errc::empty);
    ASSERT_EQ(writer.send(), 1U);
    EXPECT_EQ(reader.next(), (Message{2, 1}));
}

/// A publisher that is being connected has never left. The subscriber looks at every moment of the
/// connection: at each, its table may be old and the count of publishers new.
TEST(Ending, IsNotSeenWhileTheFirstPublisherIsBeingConnected) {
    Room room;
    Reader reader(room.reading, room.host.open_subscriber(room.reading.index(), 4));
    SubscriberImage& image = room.host.view().subscribers.at(reader.core().index());
    image.connected_total.fetch_add(1);  // As `connect` does, before or after the epoch.
    EXPECT_EQ(reader.drain(), Errc::empty);
}

TEST(Ending, WakesTheReaderThatSleeps) {
    for (const bool dies : {false, true}) {
        Room room;
        Reader reader(room.reading,
                      room.host.open_subscriber(room.reading.index(), 4, ChannelPolicy::as_channel,
                                                "c", subscriber_may_sleep));
        const Opened opened = room.host.open_publisher(room.first.index(), ChannelPolicy::block);
        EXPECT_EQ(reader.drain(), Errc::empty);
        std::thread sleeper([&] {
            Errc why = Errc::empty;
            while (why == Errc::empty) {
                reader.core().wait(Deadline::never());
                why = reader.drain();
            }
            EXPECT_EQ(why, dies ? Errc::ended_by_death : Errc::ended);
        });
        while ((room.host.view().subscribers.at(reader.core().index()).sleep_ticket.load() & 1) ==
               0) {
            std::this_thread::yield();
        }
        if (dies) {
            room.host.reclaim(room.first.index());
        } else {
            room.host.directory().publisher_left(opened.endpoint_index, EndpointState::left);
        }
        sleeper.join();
    }
}

}  // namespace
}  // namespace shmpool::testing_protocol
