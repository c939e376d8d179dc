// SPDX-License-Identifier: Apache-2.0
/// Threads as peers: writers publish without pause while readers come, take a little, and leave
/// with unread messages. For the thread sanitizer, and for slots lost or doubled between them.
#include <memory>
#include <mutex>
#include <thread>

#include "endpoints.hpp"
#include "shmpool/platform/membarrier.hpp"

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

/// The store-load litmus test of closing. A publisher, which orders its compiler only, puts an
/// entry and looks at `closed`; a closer closes and looks at the entry. One ring for each round.
class ClosingRace {
public:
    static constexpr std::uint32_t rounds = 4'000;

    void run() {
        std::thread publisher([&] {
            for (std::uint32_t round = 0; round < rounds; ++round) {
                const RingView ring = ring_of(round);
                begin(0, round);
                put_entry(ring, 0, 1, EntryKind::moved, 0);
                compiler_barrier();
                places_[round].missed_by_publisher = !ring.closed();
            }
        });
        for (std::uint32_t round = 0; round < rounds; ++round) {
            const RingView ring = ring_of(round);
            if (begin(1, round)) ++meetings_;
            close_ring(ring);
            places_[round].missed_by_closer = look_at(ring, 0).kind == EntryKind::none;
        }
        publisher.join();
    }
    /// Rounds that both began without giving the processor away: they really ran at one time.
    [[nodiscard]] std::uint32_t meetings() const { return meetings_; }
    [[nodiscard]] std::uint32_t missed_by_both() const {
        std::uint32_t count = 0;
        for (std::uint32_t round = 0; round < rounds; ++round) {
            const Place& place = places_[round];
            if (place.missed_by_publisher && place.missed_by_closer) ++count;
        }
        return count;
    }

private:
    struct Place {
        RingImage image{};
        alignas(2 * cache_line_bytes) RingEntry entry{};
        alignas(2 * cache_line_bytes) bool missed_by_publisher = false;
        alignas(2 * cache_line_bytes) bool missed_by_closer = false;
    };

    RingView ring_of(std::uint32_t round) {
        RingView ring;
        ring.image = &places_[round].image;
        ring.entries = &places_[round].entry;
        return ring;
    }
    /// Waits for the other side, and then a little more or less than it does.
    bool begin(int who, std::uint32_t round) {
        here_[who].store(round + 1);
        std::uint32_t looks = 0;
        while (here_[1 - who].load() < round + 1) {
            if (++looks < 1000) {
                cpu_relax();
            } else {
                std::this_thread::yield();
            }
        }
        const std::uint32_t wait = who == 0 ? round % 16 : round / 16 % 16;
        for (std::uint32_t i = 0; i < wait; ++i) cpu_relax();
        return looks < 1000;
    }

    std::unique_ptr<Place[]> places_ = std::make_unique<Place[]>(rounds);
    std::atomic<std::uint32_t> here_[2]{};
    std::uint32_t meetings_ = 0;
};

TEST(ClosingARing, IsSeenByThePublisherOrSeesItsEntry) {
    if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "one core can not show it";
    ASSERT_TRUE(register_global_barrier().has_value());
    std::uint32_t meetings = 0;  // On a busy machine one may have to try again.
    for (int attempt = 0; attempt < 20 && meetings < ClosingRace::rounds; ++attempt) {
        ClosingRace race;
        race.run();
        ASSERT_EQ(race.missed_by_both(), 0U);
        meetings += race.meetings();
    }
}

}  // namespace
}  // namespace shmpool::testing_protocol
