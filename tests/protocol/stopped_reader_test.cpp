// SPDX-License-Identifier: Apache-2.0
/// A reader is stopped, not dead, inside a verb, while its writer leaves: what it may still touch
/// is not recycled.
#include <gtest/gtest.h>

#include "child_process.hpp"
#include "crash_rig.hpp"
#include "endpoints.hpp"
#include "test_host.hpp"

namespace shmpool::testing_protocol {
namespace {

/// One writer, which leaves, and one reader in a process of its own, which is stopped inside a
/// verb: the ring between them is an orphan, and still the reader's.
struct OrphanScene {
    /// The writer leaves while the reader is stopped.
    void leave() {
        host.directory().publisher_left(from.endpoint_index, EndpointState::left);
        EXPECT_TRUE(host.directory().maintain()) << "recycled under a reader that is inside a verb";
    }
    void let_the_reader_end(ChildProcess& child) {
        child.send(SIGCONT);
        ASSERT_EQ(child.wait(), ChildProcess::End::exited);
        EXPECT_EQ(child.code(), 0);
        EXPECT_FALSE(host.directory().maintain());
        host.reclaim(reader_peer, EndpointState::left);
        host.reclaim(writing.index(), EndpointState::left);
        EXPECT_EQ(what_is_missing(host.pool()), "");
    }

    TestHost host;
    TestPeer writing{host, host.admit()};
    const std::uint32_t reader_peer = host.admit();
    const Opened to = host.open_subscriber(reader_peer, 8);
    const Opened from = host.open_publisher(writing.index(), ChannelPolicy::block);
    Writer writer{writing, from, ChannelPolicy::block, 1};
};

/// A subscriber that is inside `close` may still mark the orphan ring as closed, and drain it.
TEST(StoppedReader, InsideCloseKeepsTheOrphanRingToo) {
    OrphanScene scene;
    for (int i = 0; i < 3; ++i) ASSERT_EQ(scene.writer.send(), 1U);
    ChildProcess child([&] {
        TestPeer me(open_segment(scene.host.segment()), scene.reader_peer);
        Reader reader(me, scene.to);
        (void)reader.drain();
        reader.release_all();
        act_at_points({stop_at("ring_marked_closed")});
        reader.close();
        return reader.complaints().empty() ? 0 : 1;
    });
    ASSERT_EQ(child.wait(), ChildProcess::End::stopped);
    scene.leave();
    scene.let_the_reader_end(child);
}

/// A subscriber that is inside `take` may still touch the orphan ring whose last entry it has read.
TEST(StoppedReader, KeepsTheOrphanRingFromBeingRecycled) {
    for (const char* const point : {"take_stamped", "take_advanced"}) {
        OrphanScene scene;
        for (int i = 0; i < 5; ++i) ASSERT_EQ(scene.writer.send(), 1U);
        ChildProcess child([&] {
            TestPeer me(open_segment(scene.host.segment()), scene.reader_peer);
            Reader reader(me, scene.to);
            act_at_points({stop_at(point, 5)});
            if (reader.drain() == Errc::empty && reader.drain() == Errc::empty) return 1;
            if (reader.drain() != Errc::ended || reader.received() != 5) return 2;
            reader.close();
            return reader.complaints().empty() ? 0 : 3;
        });
        ASSERT_EQ(child.wait(), ChildProcess::End::stopped);
        scene.leave();
        TestPeer& writing = scene.writing;
        (void)scene.host.open_subscriber(writing.index(), 8, ChannelPolicy::block, "other");
        Writer other(writing,
                     scene.host.open_publisher(writing.index(), ChannelPolicy::block, "other"),
                     ChannelPolicy::block, 2);
        for (int i = 0; i < 8; ++i) ASSERT_EQ(other.send(), 1U);
        scene.let_the_reader_end(child);
    }
}

}  // namespace
}  // namespace shmpool::testing_protocol
