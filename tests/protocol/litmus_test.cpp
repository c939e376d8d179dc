// SPDX-License-Identifier: Apache-2.0
/// Goal: where each of two sides stores and then looks at what the other stores, never both miss:
/// a ring that is closed beside a publisher, a reader that falls asleep beside one. Method: two
/// threads begin each of many rounds at the same time, or one a little before the other. x86-64
/// really lets a load overtake a store, so that a missing barrier shows after some hundred rounds.
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "endpoints.hpp"
#include "shmpool/platform/membarrier.hpp"

namespace shmpool::testing_protocol {
namespace {

constexpr std::uint32_t closings = 4'000;  ///< Each costs a ring.
constexpr std::uint32_t sleeps = 20'000;
constexpr std::uint32_t many = 100 * sleeps;

/// Where the two sides meet before each round.
class StartingLine {
public:
    void meet(int who, std::uint32_t round) {
        here_[who].store(round + 1);
        std::uint32_t looks = 0;
        while (here_[1 - who].load() < round + 1) {
            if (++looks < patience) {
                cpu_relax();
            } else {
                std::this_thread::yield();
            }
        }
        if (who == 0 && looks < patience) ++meetings_;
        const std::uint32_t wait = who == 0 ? round / 2 % 64 : round / 128 % 4;
        for (std::uint32_t i = 0; i < wait; ++i) cpu_relax();
    }
    /// Rounds before which side 0 did not give the processor away: both really ran at one time.
    /// To be asked by side 0.
    [[nodiscard]] std::uint32_t meetings() const { return meetings_; }

private:
    static constexpr std::uint32_t patience = 1000;
    std::atomic<std::uint32_t> here_[2]{};
    std::uint32_t meetings_ = 0;
};

/// Runs the race again until both sides have really met often enough, or for some seconds where
/// they hardly do, on a busy machine. `race(line)` returns how many rounds were missed by both.
template <typename Race>
void expect_that_never_both_miss(std::uint32_t enough, Race race) {
    if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "one core can not show it";
    const Deadline patience = Deadline::after(std::chrono::seconds(10));
    std::uint32_t meetings = 0;
    while (meetings < enough && !patience.expired()) {
        StartingLine line;
        ASSERT_EQ(race(line), 0U);
        meetings += line.meetings();
    }
}

/// A publisher puts an entry and looks at `closed`; it orders its compiler only. A closer closes
/// and looks at the entry. One ring for each round.
std::uint32_t race_of_closing(StartingLine& line) {
    struct Place {
        RingImage image{};
        alignas(2 * cache_line_bytes) RingEntry entry{};
        alignas(2 * cache_line_bytes) bool publisher_missed = false;
    };
    const auto places = std::make_unique<Place[]>(closings);
    const auto ring_of = [&places](std::uint32_t round) {
        RingView ring;
        ring.image = &places[round].image;
        ring.entries = &places[round].entry;
        return ring;
    };
    std::thread publisher([&] {
        for (std::uint32_t round = 0; round < closings; ++round) {
            const RingView ring = ring_of(round);
            line.meet(1, round);
            put_entry(ring, 0, 1, EntryKind::moved, 0);
            compiler_barrier();
            places[round].publisher_missed = !ring.closed();
        }
    });
    std::vector<bool> closer_missed(closings);
    for (std::uint32_t round = 0; round < closings; ++round) {
        const RingView ring = ring_of(round);
        line.meet(0, round);
        close_ring(ring);
        closer_missed[round] = look_at(ring, 0).kind == EntryKind::none;
    }
    publisher.join();
    std::uint32_t missed = 0;
    for (std::uint32_t round = 0; round < closings; ++round) {
        if (closer_missed[round] && places[round].publisher_missed) ++missed;
    }
    return missed;
}

/// What a reader does that finds nothing; returns whether it is, or was, told of a message.
using FallAsleep = bool (*)(SubscriberCore& reader);

/// A reader takes a ticket and looks once more; a publisher publishes and looks at the ticket.
std::uint32_t race_of_falling_asleep(StartingLine& line, FallAsleep fall_asleep) {
    TestHost host;
    TestPeer writing(host, host.admit());
    TestPeer reading(host, host.admit());
    Reader reader(reading, host.open_subscriber(reading.index(), 8, ChannelPolicy::block, "c",
                                                subscriber_may_sleep));
    Writer writer(writing, host.open_publisher(writing.index(), ChannelPolicy::block),
                  ChannelPolicy::block, 1);
    std::thread publisher([&] {
        for (std::uint32_t round = 0; round < sleeps; ++round) {
            line.meet(1, 2 * round);
            (void)writer.send();
            line.meet(1, 2 * round + 1);
        }
    });
    std::uint32_t missed = 0;
    for (std::uint32_t round = 0; round < sleeps; ++round) {
        const std::uint32_t rung = reader.core().doorbell().load();
        line.meet(0, 2 * round);
        const bool told = missed != 0 || fall_asleep(reader.core());  // One is enough.
        line.meet(0, 2 * round + 1);
        if (!told && reader.core().doorbell().load() == rung) ++missed;
        (void)reader.drain();
    }
    publisher.join();
    EXPECT_EQ(reader.received(), sleeps);
    return missed;
}

TEST(Litmus, OfClosingARingBesideAPublisher) {
    ASSERT_TRUE(register_global_barrier().has_value());
    expect_that_never_both_miss(closings, race_of_closing);
}

TEST(Litmus, OfArmingTheDoorbellBesideAPublisher) {
    expect_that_never_both_miss(many, [](StartingLine& line) {
        return race_of_falling_asleep(line, [](SubscriberCore& reader) { return reader.arm(); });
    });
}

/// Whoever is not woken sleeps until the deadline, which nobody meets otherwise.
TEST(Litmus, OfWaitingBesideAPublisher) {
    expect_that_never_both_miss(many, [](StartingLine& line) {
        return race_of_falling_asleep(line, [](SubscriberCore& reader) {
            const Deadline deadline = Deadline::after(std::chrono::seconds(20));
            while (!reader.ready() && !deadline.expired()) reader.wait(deadline);
            return !deadline.expired();
        });
    });
}

}  // namespace
}  // namespace shmpool::testing_protocol
