// SPDX-License-Identifier: Apache-2.0
/// What publishers and subscribers promise each other while everybody lives: each policy, order,
/// counts, and that every slot comes back. Several cores and lanes in one process.
#include <chrono>

#include "endpoints.hpp"
#include "protocol/lease_table.hpp"

namespace shmpool::testing_protocol {
namespace {

using std::chrono_literals::operator""ms;

SlotState state_of(TestHost& host, const Taken& taken) {
    return word_state(
        host.pool().view().classes[taken.class_index].records[position_of(taken.key)].word.load());
}

/// A host, one writer, and readers that come one by one.
struct Room {
    explicit Room(ChannelPolicy channel_policy, std::uint32_t queue_depth = 8)
        : policy(channel_policy),
          depth(queue_depth),
          writing(host, host.admit()),
          reading(host, host.admit()) {}

    Writer& add_writer(std::uint64_t name = 1) {
        writers.push_back(std::make_unique<Writer>(
            writing, host.open_publisher(writing.index(), policy), policy, name));
        return *writers.back();
    }
    Reader& add_reader(std::size_t keep = 0) {
        opened.push_back(host.open_subscriber(reading.index(), depth, policy));
        readers.push_back(std::make_unique<Reader>(reading, opened.back(), keep));
        return *readers.back();
    }
    std::uint64_t dropped(std::size_t reader) {
        std::uint64_t sum = 0;
        for (std::uint32_t i = 0; i < host.view().rings.count; ++i) {
            const RingImage& ring = host.view().rings.at(i);
            if (ring.state.load() != 0 &&
                ring.subscriber_index.load() == opened[reader].endpoint_index) {
                sum += ring.dropped.load();
            }
        }
        return sum;
    }
    std::string missing() {
        writing.flush();
        reading.flush();
        return what_is_missing(host.pool());
    }

    TestHost host;
    ChannelPolicy policy;
    std::uint32_t depth;
    TestPeer writing;
    TestPeer reading;
    std::vector<std::unique_ptr<Writer>> writers;
    std::vector<Opened> opened;
    std::vector<std::unique_ptr<Reader>> readers;
};

TEST(PublishAndTake, MovesTheSlotToTheOnlyReaderOfABlockingChannel) {
    Room room(ChannelPolicy::block);
    Writer& writer = room.add_writer();
    Reader& reader = room.add_reader();
    ASSERT_EQ(writer.send(), 1U);
    const auto taken = reader.core().take(room.reading.lane());
    ASSERT_TRUE(taken);
    EXPECT_EQ(taken->lease, 0U);
    EXPECT_EQ(state_of(room.host, *taken), SlotState::loaned);
    SubscriberCore::release(room.host.pool(), room.reading.lane(), *taken);
    EXPECT_EQ(room.missing(), "");
}

TEST(PublishAndTake, LeasesTheSlotToTwoOrThreeReaders) {
    for (const std::size_t count : {2U, 3U}) {
        Room room(ChannelPolicy::block);
        Writer& writer = room.add_writer();
        for (std::size_t i = 0; i < count; ++i) room.add_reader(1);
        ASSERT_EQ(writer.send(), count);
        for (auto& reader : room.readers) EXPECT_EQ(reader->next(), (Message{1, 1}));
        EXPECT_EQ(read_statistics(room.host.pool().view())[0].published, 1U);
        for (auto& reader : room.readers) {
            EXPECT_NE(room.missing(), "") << "the slot went back before its last reader let go";
            reader->release_all();
            EXPECT_EQ(reader->complaints(), "");
        }
        EXPECT_EQ(room.missing(), "");
    }
}

TEST(PublishAndTake, DeliversInOrderWithoutGapsForEachPublisher) {
    Room room(ChannelPolicy::block, 5);
    for (std::uint64_t name = 1; name <= 4; ++name) room.add_writer(name);
    Reader& reader = room.add_reader(3);
    for (int round = 0; round < 500; ++round) {
        for (auto& writer : room.writers) ASSERT_EQ(writer->send(), 1U);
        if (round % 5 == 4) {
            EXPECT_EQ(reader.drain(), Errc::empty);
        }
    }
    EXPECT_EQ(reader.received(), 2000U);
    EXPECT_EQ(reader.gaps(), 0U);
    reader.release_all();
    EXPECT_EQ(reader.complaints(), "");
    EXPECT_EQ(room.missing(), "");
}

TEST(PublishAndTake, GivesToAllReadersOrAtTheTimeoutToNone) {
    Room room(ChannelPolicy::block, 2);
    Writer& writer = room.add_writer();
    Reader& fast = room.add_reader();
    Reader& slow = room.add_reader();
    ASSERT_EQ(writer.send(), 2U);
    ASSERT_EQ(writer.send(), 2U);
    EXPECT_EQ(fast.drain(), Errc::empty);
    EXPECT_EQ(writer.send(Deadline::after(3ms)), tl::unexpected(Errc::timed_out));
    EXPECT_EQ(fast.drain(), Errc::empty);
    EXPECT_EQ(fast.received(), 2U);
    ASSERT_TRUE(slow.next());
    EXPECT_EQ(writer.send(), 2U);
    EXPECT_EQ(fast.drain(), Errc::empty);
    EXPECT_EQ(slow.drain(), Errc::empty);
    EXPECT_EQ(fast.gaps() + slow.gaps(), 0U);
    EXPECT_EQ(fast.received(), 3U);
    EXPECT_EQ(slow.received(), 3U);
    EXPECT_EQ(room.missing(), "");
}

TEST(PublishAndTake, DropsTheNewestMessageForTheReaderThatHasNoRoom) {
    for (const std::size_t count : {1U, 2U}) {
        Room room(ChannelPolicy::drop_newest, 3);
        Writer& writer = room.add_writer();
        for (std::size_t i = 0; i < count; ++i) room.add_reader();
        for (int i = 0; i < 10; ++i) {
            ASSERT_TRUE(writer.send());
            if (count == 2) {
                EXPECT_EQ(room.readers[1]->drain(), Errc::empty);
            }
        }
        EXPECT_EQ(room.readers[0]->drain(), Errc::empty);
        EXPECT_EQ(room.readers[0]->received(), 3U);
        EXPECT_EQ(room.readers[0]->last_of(1), 3U) << "the newest are dropped, not the oldest";
        EXPECT_EQ(room.dropped(0), 7U);
        if (count == 2) {
            EXPECT_EQ(room.readers[1]->received(), 10U);
        }
        EXPECT_EQ(room.missing(), "");
    }
}

TEST(PublishAndTake, DropsTheOldestMessagesAndCountsExplainEveryGap) {
    for (const std::uint32_t depth : {1U, 3U, 4U, 7U}) {
        for (const std::size_t count : {1U, 3U}) {
            Room room(ChannelPolicy::drop_oldest, depth);
            Writer& writer = room.add_writer();
            for (std::size_t i = 0; i < count; ++i) room.add_reader(2);
            for (int i = 0; i < 100; ++i) {
                ASSERT_EQ(writer.send(), count);
                if (i % 9 == 0) (void)room.readers[0]->next();
            }
            for (std::size_t i = 0; i < count; ++i) {
                Reader& reader = *room.readers[i];
                EXPECT_EQ(reader.drain(), Errc::empty);
                EXPECT_EQ(reader.last_of(1), 100U);
                EXPECT_EQ(reader.received() + room.dropped(i), 100U);
                EXPECT_EQ(reader.gaps(), room.dropped(i));
                reader.release_all();
                EXPECT_EQ(reader.complaints(), "");
            }
            EXPECT_EQ(room.missing(), "");
        }
    }
}

TEST(PublishAndTake, WorksWithADepthOfOneAndWithOneThatIsNoPowerOfTwo) {
    for (const std::uint32_t depth : {1U, 3U, 5U, 6U, 7U}) {
        Room room(ChannelPolicy::block, depth);
        Writer& writer = room.add_writer();
        Reader& reader = room.add_reader();
        for (int round = 0; round < 20; ++round) {
            for (std::uint32_t i = 0; i < depth; ++i) ASSERT_EQ(writer.send(), 1U);
            EXPECT_EQ(writer.send(), tl::unexpected(Errc::timed_out)) << "depth " << depth;
            EXPECT_EQ(reader.drain(), Errc::empty);
        }
        EXPECT_EQ(reader.received(), 20U * depth);
        EXPECT_EQ(reader.gaps(), 0U);
        EXPECT_EQ(room.missing(), "");
    }
}

TEST(PublishAndTake, PutsTheSlotBackWhenNobodyReads) {
    for (const auto policy :
         {ChannelPolicy::block, ChannelPolicy::drop_newest, ChannelPolicy::drop_oldest}) {
        Room room(policy);
        Writer& writer = room.add_writer();
        for (int i = 0; i < 1000; ++i) ASSERT_EQ(writer.send(), 0U);
        EXPECT_EQ(writer.sent(), 1000U);
        EXPECT_EQ(room.missing(), "");
    }
}

TEST(PublishAndTake, ShowsAJoiningReaderEveryLaterMessage) {
    Room room(ChannelPolicy::block, 16);
    Writer& writer = room.add_writer();
    for (std::uint64_t joined = 0; joined < 8; ++joined) {
        room.add_reader();
        ASSERT_EQ(writer.core().reader_count(), joined + 1);
        ASSERT_EQ(writer.send(), joined + 1);
    }
    for (std::uint64_t i = 0; i < 8; ++i) {
        EXPECT_EQ(room.readers[i]->next(), (Message{1, i + 1})) << "reader " << i;
        EXPECT_EQ(room.readers[i]->drain(), Errc::empty);
        EXPECT_EQ(room.readers[i]->received(), 8 - i);
    }
    EXPECT_EQ(room.missing(), "");
}

TEST(PublishAndTake, ReturnsUnreadMessagesWhenTheSubscriberCloses) {
    for (const auto policy : {ChannelPolicy::block, ChannelPolicy::drop_oldest}) {
        for (const std::size_t count : {1U, 3U}) {
            Room room(policy);
            Writer& writer = room.add_writer();
            for (std::size_t i = 0; i < count; ++i) room.add_reader();
            for (int i = 0; i < 5; ++i) ASSERT_EQ(writer.send(), count);
            for (std::size_t i = 0; i < count; ++i) {
                ASSERT_TRUE(room.readers[i]->next());
                room.readers[i]->close();
                EXPECT_EQ(writer.send(), count - i - 1) << "closed, though the host was not told";
                room.host.directory().subscriber_left(room.opened[i].endpoint_index,
                                                      EndpointState::left);
            }
            EXPECT_EQ(room.missing(), "");
            EXPECT_EQ(writer.send(), 0U);
        }
    }
}

TEST(PublishAndTake, KeepsSamplesThatOutliveTheirSubscriber) {
    for (const std::size_t count : {1U, 3U}) {
        Room room(ChannelPolicy::block);
        Writer& writer = room.add_writer();
        for (std::size_t i = 0; i < count; ++i) room.add_reader(4);
        for (int i = 0; i < 4; ++i) ASSERT_EQ(writer.send(), count);
        for (std::size_t i = 0; i < count; ++i) {
            EXPECT_EQ(room.readers[i]->drain(), Errc::empty);
            room.readers[i]->close();
            room.host.directory().subscriber_left(room.opened[i].endpoint_index,
                                                  EndpointState::left);
        }
        room.host.directory().maintain();
        room.host.directory().recycle_leases();
        const auto in_use = [&] {
            room.writing.flush();
            const auto all = read_statistics(room.host.pool().view());
            return all[0].published + all[0].loaned;
        };
        EXPECT_EQ(in_use(), 4U);
        Reader& later = room.add_reader();
        EXPECT_TRUE(count == 1 || room.opened.back().lease_bit >= count)
            << "a bit that samples still carry was given to a new reader";
        for (int i = 0; i < 8; ++i) ASSERT_EQ(writer.send(), 1U);
        EXPECT_EQ(later.drain(), Errc::empty);
        for (auto& reader : room.readers) {
            reader->release_all();
            EXPECT_EQ(reader->complaints(), "");
        }
        EXPECT_EQ(room.missing(), "");
    }
}

/// No lane of the dead is needed any more, but its publisher's ring is still being read.
TEST(PublishAndTake, KeepsTheNumberOfADeadWriterWhileItsLeasesAreRead) {
    TestHost host;
    TestPeer reading(host, host.admit());
    const std::uint32_t dead = host.admit();
    Reader reader(reading, host.open_subscriber(reading.index(), 8, ChannelPolicy::drop_oldest));
    {
        TestPeer writing(host, dead);
        Writer writer(writing, host.open_publisher(dead, ChannelPolicy::drop_oldest),
                      ChannelPolicy::drop_oldest, 1);
        ASSERT_EQ(writer.send(), 1U);
    }
    EXPECT_FALSE(host.reclaim(dead).finished);
    EXPECT_NE(host.admit(), dead);
    EXPECT_EQ(reader.drain(), Errc::ended_by_death);
    EXPECT_TRUE(host.reclaim_lingering());
    EXPECT_EQ(host.admit(), dead);
    reading.flush();
    EXPECT_EQ(what_is_missing(host.pool()), "");
}

/// Whoever sleeps has said so by an odd ticket, and is woken once for it.
TEST(PublishAndTake, RingsOnceForWhoeverSleeps) {
    TestHost host;
    TestPeer writing(host, host.admit());
    TestPeer reading(host, host.admit());
    const Opened from = host.open_publisher(writing.index(), ChannelPolicy::block);
    Reader reader(reading, host.open_subscriber(reading.index(), 8, ChannelPolicy::block, "c",
                                                subscriber_may_sleep));
    Writer writer(writing, from, ChannelPolicy::block, 1);
    const std::uint32_t awake = reader.core().doorbell().load();
    ASSERT_EQ(writer.send(), 1U);
    EXPECT_EQ(reader.core().doorbell().load(), awake);
    EXPECT_EQ(reader.drain(), Errc::empty);
    EXPECT_FALSE(reader.core().arm());
    for (int i = 0; i < 3; ++i) ASSERT_EQ(writer.send(), 1U);
    EXPECT_EQ(reader.core().doorbell().load(), awake + 1);

    PublisherImage& image = host.view().publishers.at(from.endpoint_index);
    const std::uint32_t bell = image.space_doorbell.load();
    ASSERT_TRUE(reader.next().has_value());
    EXPECT_EQ(image.space_doorbell.load(), bell);
    image.wait_ticket.store(image.wait_ticket.load() | 1);
    EXPECT_EQ(reader.drain(), Errc::empty);
    EXPECT_EQ(image.space_doorbell.load(), bell + 1);
}

/// A stale name, as an old intent or entry may hold it, must not cost the slot's next readers.
TEST(PublishAndTake, GivesUpNoLeaseByANameOfAnEarlierLife) {
    Room room(ChannelPolicy::drop_oldest);
    Writer& writer = room.add_writer();
    room.add_reader();
    ASSERT_EQ(writer.send(), 1U);
    const Taken now = room.readers[0]->core().take(room.reading.lane()).value();
    const auto& record = room.host.pool().view().classes[0].records[position_of(now.key)];
    for (const std::uint32_t lives : {1U, 2U, 0xFFFF'FFFFU}) {
        const SlotKey stale = make_key(generation_of(now.key) - lives, position_of(now.key));
        release_if_held(room.host.pool(), room.host.lane(), now.class_index, stale, now.lease);
        EXPECT_EQ(record.lease_mask.load(), now.lease);
        EXPECT_EQ(state_of(room.host, now), SlotState::published);
    }
    SubscriberCore::release(room.host.pool(), room.reading.lane(), now);
    EXPECT_EQ(room.missing(), "");
}

TEST(PublishAndTake, ReturnsMovedSlotsWhenTheReaderIsGone) {
    Room room(ChannelPolicy::block);
    Writer& writer = room.add_writer();
    room.add_reader();
    for (int i = 0; i < 5; ++i) ASSERT_EQ(writer.send(), 1U);
    room.host.reclaim(room.reading.index());
    room.writing.flush();
    EXPECT_EQ(what_is_missing(room.host.pool()), "");
    EXPECT_EQ(writer.send(), 0U);
}

}  // namespace
}  // namespace shmpool::testing_protocol
