// SPDX-License-Identifier: Apache-2.0
/// Writers and readers as real processes in tight loops; random ones are killed, or stopped for a
/// while, and replaced at once. Readers check every byte and every stream; the host checks that
/// survivors miss nothing of what the dead had published, and counts the slots at the end.
#include <algorithm>
#include <array>
#include <chrono>
#include <random>
#include <thread>

#include "child_process.hpp"
#include "endpoints.hpp"

namespace shmpool::testing_protocol {
namespace {

constexpr std::size_t names_max = 4096;
constexpr std::size_t seats = 4;

struct Board {
    std::atomic<bool> writers_stop{false};
    std::atomic<bool> readers_stop{false};
    std::array<std::atomic<std::uint64_t>, names_max> done{};
    std::array<std::array<std::atomic<std::uint64_t>, names_max>, seats> last{};
};

struct Weather {
    const char* name;
    ChannelPolicy policy;
    std::size_t readers;
    std::uint32_t depth;
};

int play_writer(TestPeer me, const Opened& opened, ChannelPolicy policy, std::uint64_t name,
                Board& board) {
    Writer writer(me, opened, policy, name);
    for (unsigned i = 0; !board.writers_stop; ++i) {
        const auto sent =
            writer.send(Deadline::after(std::chrono::milliseconds(5)), i % 4 == 0 ? 200 : 64);
        if (sent) {
            board.done[name] = writer.sent();
        } else if (sent.error() != Errc::timed_out && sent.error() != Errc::exhausted) {
            return 2;
        }
    }
    return 0;
}

int play_reader(TestPeer me, const Opened& opened, bool gapless, std::uint64_t next_name,
                Board& board, std::size_t seat) {
    Reader reader(me, opened, 3);
    reader.came_before_writer(next_name);
    for (;;) {
        const auto message = reader.next();
        if (!reader.complaints().empty()) return 3;
        if (gapless && reader.gaps() != 0) return 4;
        if (message) {
            board.last[seat][message->writer] = message->sequence;
            continue;
        }
        if (message.error() != Errc::empty) {
            if (message.error() == Errc::pool_damaged) return 5;
            if (board.readers_stop) break;
            std::this_thread::yield();
        } else {
            reader.core().wait(Deadline::after(std::chrono::milliseconds(1)));
        }
    }
    reader.release_all();
    reader.close();
    return reader.complaints().empty() ? 0 : 3;
}

class Storm {
public:
    explicit Storm(const Weather& weather) : weather_(weather), host_(shape()) {
        for (std::size_t i = 0; i < weather_.readers; ++i) start_reader(i);
        for (std::size_t i = 0; i < 2; ++i) start_writer(i);
    }

    /// As long, and as often: a slow machine takes longer.
    void blow(std::chrono::milliseconds duration, unsigned kills, unsigned seed) {
        std::mt19937 random(seed);
        const Deadline deadline = Deadline::after(duration);
        const auto is_over = [&] { return deadline.expired() && kills_ >= kills; };
        while (!is_over() && next_name_ < names_max && !::testing::Test::HasFailure()) {
            std::this_thread::sleep_for(std::chrono::microseconds(random() % 1500));
            const std::size_t one = random() % (2 + weather_.readers);
            Actor& actor = one < 2 ? writers_[one] : readers_[one - 2];
            if (random() % 8 == 0) {
                actor.process->send(SIGSTOP);
                ::testing::Test::RecordProperty("stops", static_cast<int>(++stops_));
                std::this_thread::sleep_for(std::chrono::milliseconds(2));
                actor.process->send(SIGCONT);
                continue;
            }
            actor.process->kill();
            ASSERT_EQ(actor.process->signal(), SIGKILL)
                << "it had ended by itself with code " << actor.process->code();
            bury(one, EndpointState::died);
            ++kills_;
            one < 2 ? start_writer(one) : start_reader(one - 2);
        }
    }

    void calm_down() {
        board_->writers_stop = true;
        for (std::size_t i = 0; i < 2; ++i) {
            ASSERT_EQ(writers_[i].process->wait(), ChildProcess::End::exited);
            ASSERT_EQ(writers_[i].process->code(), 0);
            bury(i, EndpointState::left);
        }
        board_->readers_stop = true;
        for (std::size_t i = 0; i < weather_.readers; ++i) {
            ASSERT_EQ(readers_[i].process->wait(), ChildProcess::End::exited);
            ASSERT_EQ(readers_[i].process->code(), 0) << "reader " << i;
            if (weather_.policy == ChannelPolicy::block) check_streams(i);
            bury(2 + i, EndpointState::left);
        }
        EXPECT_TRUE(host_.reclaim_lingering());
        EXPECT_FALSE(host_.directory().maintain());
        host_.directory().recycle_leases();
        EXPECT_EQ(what_is_missing(host_.pool()), "");
        EXPECT_EQ(host_.view().channels.at(0).lease_bits.load(), 0U);
    }

    [[nodiscard]] unsigned kills() const { return kills_; }

private:
    struct Actor {
        std::unique_ptr<ChildProcess> process;
        std::uint32_t peer = 0;
        std::uint64_t name = 0;       ///< Of a writer.
        std::uint64_t next_name = 0;  ///< Of a reader: writers from here on came later.
        std::vector<std::uint64_t> done_at_start;
    };

    static SegmentShape shape() {
        SegmentShape shape = small_shape();
        shape.classes = {{64, 96}, {256, 256}};
        shape.publishers = 64;
        return shape;
    }

    void start_writer(std::size_t which) {
        Actor& actor = writers_[which];
        actor.peer = host_.admit();
        actor.name = next_name_++;
        const Opened opened = host_.open_publisher(actor.peer, weather_.policy);
        actor.process = std::make_unique<ChildProcess>([&] {
            return play_writer(TestPeer(open_segment(host_.segment()), actor.peer), opened,
                               weather_.policy, actor.name, *board_);
        });
    }

    void start_reader(std::size_t seat) {
        Actor& actor = readers_[seat];
        actor.peer = host_.admit();
        actor.next_name = next_name_;
        actor.done_at_start.assign(next_name_, 0);
        for (auto& last : board_->last[seat]) last = 0;
        const Opened opened = host_.open_subscriber(actor.peer, weather_.depth, weather_.policy,
                                                    "c", seat % 2 == 0 ? subscriber_may_sleep : 0);
        // From here on nothing is missed; one message may have been on its way.
        for (std::size_t name = 0; name < next_name_; ++name) {
            actor.done_at_start[name] = board_->done[name] + 1;
        }
        actor.process = std::make_unique<ChildProcess>([&] {
            return play_reader(TestPeer(open_segment(host_.segment()), actor.peer), opened,
                               weather_.policy == ChannelPolicy::block, actor.next_name, *board_,
                               seat);
        });
    }

    void bury(std::size_t one, EndpointState how) {
        Actor& actor = one < 2 ? writers_[one] : readers_[one - 2];
        host_.reclaim(actor.peer, how);
        (void)host_.reclaim_lingering();
    }

    /// The reader has lived to the end: everything published in its life must have reached it.
    void check_streams(std::size_t seat) {
        for (std::uint64_t name = 1; name < next_name_; ++name) {
            const std::uint64_t done = board_->done[name];
            const std::uint64_t last = board_->last[seat][name];
            const Actor& reader = readers_[seat];
            const bool silent = name < reader.next_name && done <= reader.done_at_start[name];
            if (silent && last == 0) continue;
            EXPECT_TRUE(last == done || last == done + 1)
                << "writer " << name << " had published " << done << ", the reader got " << last;
        }
    }

    const Weather weather_;
    TestHost host_;
    SharedWithChildren<Board> board_;
    std::array<Actor, 2> writers_;
    std::array<Actor, seats> readers_;
    std::uint64_t next_name_ = 1;
    unsigned kills_ = 0;
    unsigned stops_ = 0;
};

class KillStorm : public ::testing::TestWithParam<Weather> {};

TEST_P(KillStorm, LosesNoSlotAndNoMessageOfSurvivors) {
    Storm storm(GetParam());
    storm.blow(std::chrono::milliseconds(900), 25, 20'240'607U);
    if (HasFailure()) return;
    storm.calm_down();
    RecordProperty("kills", static_cast<int>(storm.kills()));
    EXPECT_GT(storm.kills(), 20U);
}

INSTANTIATE_TEST_SUITE_P(
    Policies, KillStorm,
    ::testing::Values(Weather{"BlockOneReader", ChannelPolicy::block, 1, 8},
                      Weather{"BlockThreeReaders", ChannelPolicy::block, 3, 8},
                      Weather{"DropNewestOneReader", ChannelPolicy::drop_newest, 1, 5},
                      Weather{"DropNewestThreeReaders", ChannelPolicy::drop_newest, 3, 5},
                      Weather{"DropOldestOneReader", ChannelPolicy::drop_oldest, 1, 4},
                      Weather{"DropOldestThreeReaders", ChannelPolicy::drop_oldest, 3, 4}),
    [](const auto& tested) { return std::string(tested.param.name); });

/// A reader that is stopped harms only those who chose to wait for it.
TEST(StoppedReaderProcess, IsWaitedForOnlyByBlockingWritersOfItsChannel) {
    for (const auto policy :
         {ChannelPolicy::block, ChannelPolicy::drop_newest, ChannelPolicy::drop_oldest}) {
        TestHost host;
        TestPeer writing(host, host.admit());
        TestPeer reading(host, host.admit());
        const std::uint32_t stopped_peer = host.admit();
        const Opened stopped_at = host.open_subscriber(stopped_peer, 4, policy);
        Reader awake(reading, host.open_subscriber(reading.index(), 4, policy));
        Reader elsewhere(reading, host.open_subscriber(reading.index(), 4, policy, "other"));
        const Opened from = host.open_publisher(writing.index(), policy);
        Writer writer(writing, from, policy, 1);
        Writer other(writing, host.open_publisher(writing.index(), policy, "other"), policy, 2);
        ChildProcess child([&] {
            TestPeer me(open_segment(host.segment()), stopped_peer);
            Reader reader(me, stopped_at, 1);
            ::raise(SIGSTOP);
            Errc why = Errc::empty;
            while (why == Errc::empty) why = reader.drain();
            reader.release_all();
            reader.close();
            const bool fits = policy != ChannelPolicy::block || reader.gaps() == 0;
            return why == Errc::ended && fits && reader.complaints().empty() ? 0 : 1;
        });
        ASSERT_EQ(child.wait(), ChildProcess::End::stopped);
        unsigned sent = 0;
        for (int i = 0; i < 1000; ++i) {
            sent += writer.send().has_value() ? 1U : 0U;
            (void)awake.drain();
            ASSERT_EQ(other.send(), 1U);
            (void)elsewhere.drain();
        }
        EXPECT_EQ(sent, policy == ChannelPolicy::block ? 4U : 1000U);
        EXPECT_EQ(awake.received(), sent);
        EXPECT_EQ(elsewhere.received(), 1000U);
        child.send(SIGCONT);
        ASSERT_TRUE(writer.send(Deadline::after(std::chrono::seconds(10))));
        host.directory().publisher_left(from.endpoint_index, EndpointState::left);
        ASSERT_EQ(child.wait(), ChildProcess::End::exited);
        EXPECT_EQ(child.code(), 0);
        (void)awake.drain();
        host.reclaim(stopped_peer, EndpointState::left);
        reading.flush();
        writing.flush();
        EXPECT_EQ(what_is_missing(host.pool()), "");
    }
}

}  // namespace
}  // namespace shmpool::testing_protocol
