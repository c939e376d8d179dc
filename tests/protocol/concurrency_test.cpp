// SPDX-License-Identifier: Apache-2.0
/// Threads as peers: writers publish without pause while readers come, take a little, and leave
/// with unread messages. For the thread sanitizer, and for slots lost or doubled between them.
#include <mutex>
#include <thread>

#include "endpoints.hpp"

namespace shmpool::testing_protocol {
namespace {

std::string name_of_test(ChannelPolicy policy) {
    if (policy == ChannelPolicy::block) return "Block";
    return policy == ChannelPolicy::drop_newest ? "DropNewest" : "DropOldest";
}

class ComingAndGoing : public ::testing::TestWithParam<ChannelPolicy> {
protected:
    static constexpr int rounds = 400;

    void write(TestPeer& peer, const Opened& opened, std::uint64_t name) {
        Writer writer(peer, opened, GetParam(), name);
        while (readers_there_.load() != 0) {
            (void)writer.send(Deadline::after(std::chrono::microseconds(200)));
        }
        peer.flush();
    }

    /// A writer that loses its processor inside a verb keeps all bits that were used meanwhile.
    Opened subscribe(std::uint32_t peer) {
        ChannelRequest request;
        request.channel = "c";
        for (;;) {
            {
                const std::lock_guard guard(host_thread_);  // The host is one thread.
                const auto opened = host_.directory().open_subscriber(request, peer, 4, 0);
                if (opened) return *opened;
                EXPECT_TRUE(opened.error().code == Errc::too_many_subscribers ||
                            opened.error().code == Errc::no_ring_space)
                    << opened.error().message;
            }
            std::this_thread::yield();
        }
    }

    void read(TestPeer& peer, std::size_t keep) {
        for (int round = 0; round < rounds; ++round) {
            const Opened opened = subscribe(peer.index());
            Reader reader(peer, opened, keep);
            reader.came_before_writer(~std::uint64_t{0});
            for (int i = 0; i < 3 + round % 5; ++i) {
                if (reader.next()) continue;
                reader.core().wait(Deadline::after(std::chrono::microseconds(50)));
            }
            reader.close();
            {
                const std::lock_guard guard(host_thread_);
                host_.directory().subscriber_left(opened.endpoint_index, EndpointState::left);
            }
            reader.release_all();  // Samples outlive their subscriber.
            EXPECT_EQ(reader.complaints(), "");
            if (GetParam() == ChannelPolicy::block) {
                EXPECT_EQ(reader.gaps(), 0U);
            }
        }
        peer.flush();
        --readers_there_;
    }

    TestHost host_;
    std::mutex host_thread_;
    std::atomic<int> readers_there_{0};
};

TEST_P(ComingAndGoing, LosesNoSlot) {
    TestPeer peers[] = {{host_, host_.admit()},
                        {host_, host_.admit()},
                        {host_, host_.admit()},
                        {host_, host_.admit()},
                        {host_, host_.admit()}};
    readers_there_ = 3;
    const Opened first = host_.open_publisher(peers[0].index(), GetParam());
    const Opened second = host_.open_publisher(peers[1].index(), GetParam());
    std::vector<std::thread> threads;
    threads.emplace_back([&] { write(peers[0], first, 1); });
    threads.emplace_back([&] { write(peers[1], second, 2); });
    for (std::size_t i = 0; i < 3; ++i) {
        threads.emplace_back([&, i] { read(peers[2 + i], i); });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_FALSE(host_.directory().maintain());
    host_.directory().recycle_leases();
    EXPECT_EQ(host_.view().channels.at(0).lease_bits.load(), 0U);
    EXPECT_EQ(what_is_missing(host_.pool()), "");
}

INSTANTIATE_TEST_SUITE_P(Policies, ComingAndGoing,
                         ::testing::Values(ChannelPolicy::block, ChannelPolicy::drop_newest,
                                           ChannelPolicy::drop_oldest),
                         [](const auto& tested) { return name_of_test(tested.param); });

}  // namespace
}  // namespace shmpool::testing_protocol
