// SPDX-License-Identifier: Apache-2.0
/// The host's verbs on channels: what it refuses, and that rings, lease bits, records and channels
/// are used again and again, also while an idle publisher never looks at its tables.
#include "endpoints.hpp"

namespace shmpool::testing_protocol {
namespace {

struct Room {
    explicit Room(const SegmentShape& shape = small_shape())
        : host(shape), peer(host, host.admit()), other(host, host.admit()) {}

    Result<Opened> subscribe(const std::string& channel, std::uint32_t depth = 1) {
        ChannelRequest request;
        request.channel = channel;
        return host.directory().open_subscriber(request, peer.index(), depth, 0);
    }
    Errc why_no_subscriber(const std::string& channel, std::uint32_t depth = 1) {
        const auto opened = subscribe(channel, depth);
        return opened ? Errc{} : opened.error().code;
    }
    void subscriber_leaves(const Opened& opened) {
        host.directory().subscriber_left(opened.endpoint_index, EndpointState::left);
    }
    void publisher_leaves(const Opened& opened) {
        host.directory().publisher_left(opened.endpoint_index, EndpointState::left);
    }
    std::uint32_t rings_in_use() {
        std::uint32_t count = 0;
        for (std::uint32_t i = 0; i < host.view().rings.count; ++i) {
            count += host.view().rings.at(i).state.load() != 0 ? 1U : 0U;
        }
        return count;
    }

    TestHost host;
    TestPeer peer;
    TestPeer other;
};

TEST(ChannelDirectory, RefusesTheSixtyFirstSubscriber) {
    Room room;
    std::vector<Opened> opened;
    for (std::uint32_t i = 0; i < 60; ++i) opened.push_back(*room.subscribe("c"));
    EXPECT_EQ(room.why_no_subscriber("c"), Errc::too_many_subscribers);
    EXPECT_TRUE(room.subscribe("another"));
    room.subscriber_leaves(opened[17]);
    const auto again = room.subscribe("c");
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->lease_bit, opened[17].lease_bit);
}

TEST(ChannelDirectory, RecyclesLeaseBitsWhileAnIdlePublisherExists) {
    Room room;
    (void)room.host.open_publisher(room.other.index(), ChannelPolicy::block);
    Writer busy(room.peer, room.host.open_publisher(room.peer.index(), ChannelPolicy::block),
                ChannelPolicy::block, 1);
    for (int round = 0; round < 200; ++round) {
        const auto one = room.subscribe("c", 4);
        const auto two = room.subscribe("c", 4);
        ASSERT_TRUE(one && two) << "round " << round << ": " << (one ? two : one).error().message;
        Reader reader(room.peer, *one);
        ASSERT_EQ(busy.send(), 2U);
        ASSERT_EQ(busy.send(), 2U);
        ASSERT_TRUE(reader.next());
        room.subscriber_leaves(*one);
        room.subscriber_leaves(*two);
    }
    room.peer.flush();
    EXPECT_EQ(what_is_missing(room.host.pool()), "");
}

TEST(ChannelDirectory, RecyclesRingsAndRecordsOfAThousandConnections) {
    Room room;
    for (int round = 0; round < 1000; ++round) {
        const auto reader = room.subscribe("c", 256);
        ASSERT_TRUE(reader) << round << ": " << reader.error().message;
        const Opened opened = room.host.open_publisher(room.other.index(), ChannelPolicy::block);
        Writer writer(room.other, opened, ChannelPolicy::block, 1);
        Reader taking(room.peer, *reader);
        ASSERT_EQ(writer.send(), 1U);
        ASSERT_EQ(taking.next(), (Message{1, 1}));
        if (round % 2 == 0) {
            room.publisher_leaves(opened);
            room.subscriber_leaves(*reader);
        } else {
            room.subscriber_leaves(*reader);
            room.publisher_leaves(opened);
        }
    }
    room.host.directory().maintain();
    EXPECT_EQ(room.rings_in_use(), 0U);
    room.peer.flush();
    room.other.flush();
    EXPECT_EQ(what_is_missing(room.host.pool()), "");
}

/// A busy publisher is inside a verb nearly always. What counts is that the verb which may know the
/// old table has ended.
TEST(ChannelDirectory, FreesARingAlsoWhenThePublisherIsNeverMetBetweenTwoVerbs) {
    Room room;
    const Opened opened = room.host.open_publisher(room.peer.index(), ChannelPolicy::block);
    PublisherImage& publisher = room.host.view().publishers.at(opened.endpoint_index);
    const auto reader = room.subscribe("c");
    publisher.activity.store(7);
    room.subscriber_leaves(*reader);
    EXPECT_TRUE(room.host.directory().maintain());
    EXPECT_TRUE(room.host.directory().maintain()) << "still the same verb";
    publisher.activity.store(9);
    EXPECT_FALSE(room.host.directory().maintain());
    EXPECT_EQ(room.rings_in_use(), 0U);
}

TEST(ChannelDirectory, RefusesAnotherTypeAndAnotherPolicy) {
    Room room;
    ChannelRequest request;
    request.channel = "c";
    request.type_name = "Pose";
    request.type_bytes = 56;
    request.type_alignment = 8;
    request.policy = ChannelPolicy::drop_newest;
    ASSERT_TRUE(room.host.directory().open_publisher(request, room.peer.index()));
    ChannelRequest other = request;
    other.policy = ChannelPolicy::as_channel;
    EXPECT_TRUE(room.host.directory().open_subscriber(other, room.peer.index(), 4, 0));
    other.policy = ChannelPolicy::block;
    const auto policy = room.host.directory().open_subscriber(other, room.peer.index(), 4, 0);
    ASSERT_FALSE(policy);
    EXPECT_EQ(policy.error().code, Errc::policy_mismatch);
    other = request;
    other.type_bytes = 64;
    const auto type = room.host.directory().open_subscriber(other, room.peer.index(), 4, 0);
    ASSERT_FALSE(type);
    EXPECT_EQ(type.error().code, Errc::type_mismatch);
    EXPECT_NE(type.error().message.find("Pose"), std::string::npos);
}

TEST(ChannelDirectory, LetsAnIdleChannelChangeItsType) {
    Room room;
    ChannelRequest request;
    request.channel = "c";
    const auto publisher = room.host.directory().open_publisher(request, room.peer.index());
    const auto subscriber = room.subscribe("c");
    ASSERT_TRUE(publisher && subscriber);
    room.publisher_leaves(*publisher);
    request.type_name = "Pose";
    request.type_bytes = 56;
    request.type_alignment = 8;
    EXPECT_FALSE(room.host.directory().open_publisher(request, room.peer.index()));
    room.subscriber_leaves(*subscriber);
    const auto changed = room.host.directory().open_publisher(request, room.peer.index());
    EXPECT_TRUE(changed) << changed.error().message;
}

TEST(ChannelDirectory, RefusesOneChannelTooManyAndReusesIdleOnes) {
    Room room;
    std::vector<Opened> opened;
    for (const char* const name : {"a", "b", "c", "d"}) opened.push_back(*room.subscribe(name));
    EXPECT_EQ(room.why_no_subscriber("e"), Errc::too_many_channels);
    room.subscriber_leaves(opened[2]);
    const auto reused = room.subscribe("e");
    ASSERT_TRUE(reused) << reused.error().message;
    EXPECT_EQ(reused->channel_index, opened[2].channel_index);
}

TEST(ChannelDirectory, RefusesWhatHasNoRingSpaceAndLeavesNothingBehind) {
    SegmentShape shape = small_shape();
    shape.ring_entries = 64;
    Room room(shape);
    (void)room.host.open_publisher(room.other.index(), ChannelPolicy::block);
    for (int round = 0; round < 200; ++round) {
        ASSERT_EQ(room.why_no_subscriber("c", 65), Errc::no_ring_space) << round;
    }
    EXPECT_TRUE(room.subscribe("c", 64));
    EXPECT_EQ(room.why_no_subscriber("c", 1), Errc::no_ring_space);
    ChannelRequest request;
    request.channel = "c";
    const auto publisher = room.host.directory().open_publisher(request, room.peer.index());
    ASSERT_FALSE(publisher);
    EXPECT_EQ(publisher.error().code, Errc::no_ring_space);
}

TEST(ChannelDirectory, RefusesDepthsOutOfRange) {
    Room room;
    EXPECT_EQ(room.why_no_subscriber("c", 0), Errc::invalid_argument);
    EXPECT_EQ(room.why_no_subscriber("c", ring_depth_max + 1), Errc::invalid_argument);
}

TEST(ChannelDirectory, RefusesOnePublisherTooManyOfOneChannel) {
    SegmentShape shape = small_shape();
    shape.publishers_per_channel = 16;  // A multiple of 16: the table fills whole cache lines.
    shape.publishers = 32;
    Room room(shape);
    ASSERT_TRUE(room.subscribe("c", 4));
    for (int i = 0; i < 16; ++i) {
        (void)room.host.open_publisher(room.peer.index(), ChannelPolicy::block);
    }
    ChannelRequest request;
    request.channel = "c";
    for (int round = 0; round < 100; ++round) {
        const auto another = room.host.directory().open_publisher(request, room.peer.index());
        ASSERT_FALSE(another);
        EXPECT_EQ(another.error().code, Errc::too_many_publishers);
    }
}

TEST(ChannelDirectory, CountsEndpointsOnceAlsoWhenTheyLeaveTwice) {
    Room room;
    const auto subscriber = room.subscribe("c");
    const Opened publisher = room.host.open_publisher(room.peer.index(), ChannelPolicy::block);
    const ChannelImage& channel = room.host.view().channels.at(publisher.channel_index);
    EXPECT_EQ(channel.publisher_count.load(), 1U);
    EXPECT_EQ(channel.subscriber_count.load(), 1U);
    for (int twice = 0; twice < 2; ++twice) {
        room.publisher_leaves(publisher);
        room.subscriber_leaves(*subscriber);
    }
    EXPECT_EQ(channel.publisher_count.load(), 0U);
    EXPECT_EQ(channel.subscriber_count.load(), 0U);
}

/// I6: a hostile peer may write any number into the tables; the host must survive it.
/// A host may die between an endpoint's state and the channel's counts: the records are the truth.
TEST(ChannelDirectory, CountsAnewWhenTheNextHostBegins) {
    TestHost host;
    const std::uint32_t peer = host.admit();
    (void)host.open_publisher(peer, ChannelPolicy::block);
    const Opened to = host.open_subscriber(peer, 4);
    ChannelImage& channel = host.view().channels.at(to.channel_index);
    for (auto* const count : {&channel.publisher_count, &channel.subscriber_count}) count->store(9);
    for (auto* const bits : {&channel.lease_bits, &channel.draining_bits}) bits->store(0xFF00);
    const TestHost next(open_segment(host.segment()));
    EXPECT_EQ(channel.publisher_count.load(), 1U);
    EXPECT_EQ(channel.subscriber_count.load(), 1U);
    EXPECT_EQ(channel.lease_bits.load(), std::uint64_t{1} << to.lease_bit);
    EXPECT_EQ(channel.draining_bits.load(), 0U);
}

TEST(ChannelDirectory, SurvivesNonsenseInTheTables) {
    Room room;
    const auto subscriber = room.subscribe("c", 4);
    const Opened publisher = room.host.open_publisher(room.peer.index(), ChannelPolicy::block);
    for (std::uint32_t i = 0; i < room.host.view().rings.count; ++i) {
        RingImage& ring = room.host.view().rings.at(i);
        ring.subscriber_index.store(0xFFFF'FFF0);
        ring.publisher_index.store(publisher.endpoint_index);
    }
    room.publisher_leaves(publisher);
    for (std::uint32_t i = 0; i < room.host.view().rings.count; ++i) {
        RingImage& ring = room.host.view().rings.at(i);
        ring.subscriber_index.store(subscriber->endpoint_index);
        ring.publisher_index.store(0xFFFF'FFF0);
    }
    room.host.view().subscribers.at(subscriber->endpoint_index).channel_index.store(0xFFFF'FFF0);
    room.subscriber_leaves(*subscriber);
    room.host.directory().maintain();
    room.host.directory().recycle_leases();
}

}  // namespace
}  // namespace shmpool::testing_protocol
