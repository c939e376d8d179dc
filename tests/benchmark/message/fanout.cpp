// SPDX-License-Identifier: Apache-2.0
// shmpool with several readers, or several writers, of one channel. HOW is WRITERSxREADERS, each a
// process of its own: the writers on the front's core, the readers on the back's, where they sleep
// when there is nothing to take. AMOUNT is messages, of all writers together. No queue drops.
// Processor time is user and system time of all of them, for each reader and message; wall time is
// from the first message until the last reader has the last one, for each message.
#include <sys/resource.h>

#include <array>
#include <numeric>

#include "contest.hpp"
#include "message.hpp"
#include "peer/peer.hpp"
#include "shmpool/platform/futex.hpp"
#include "tests/peer/running_host.hpp"

namespace shmpool::contest {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t players_max = 32;
constexpr int fanout_slices = 8;

struct Player {
    double processor_ns = 0;
    std::int64_t begin_ns = 0;
    std::int64_t end_ns = 0;
};

/// What all of them see. The first writer and the first reader are the two who probe.
struct Round {
    Stage stage;
    Atomic<std::uint32_t> arrived{0};
    std::array<Player, players_max> players;
};

struct Cast {
    std::uint32_t writers = 1;
    std::uint32_t readers = 1;
    std::uint64_t messages_each = 0;  ///< Of one writer, in one slice.

    [[nodiscard]] std::uint32_t players() const { return writers + readers; }
    [[nodiscard]] std::uint64_t messages() const { return messages_each * writers; }

    static Cast read(const Order& order) {
        const std::size_t by = order.how.find('x');
        if (by == std::string::npos) throw std::runtime_error("HOW is WRITERSxREADERS");
        Cast cast{.writers = static_cast<std::uint32_t>(std::stoul(order.how)),
                  .readers = static_cast<std::uint32_t>(std::stoul(order.how.substr(by + 1)))};
        if (cast.players() > players_max || cast.writers == 0 || cast.readers == 0) {
            throw std::runtime_error("too many writers and readers, or none");
        }
        cast.messages_each = order.amount / fanout_slices / cast.writers;
        return cast;
    }
};

double processor_ns() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto ns = [](const timeval& time) {
        return 1e9 * static_cast<double>(time.tv_sec) + 1e3 * static_cast<double>(time.tv_usec);
    };
    return ns(used.ru_utime) + ns(used.ru_stime);
}

std::int64_t now_ns() {
    return std::chrono::nanoseconds(Clock::now().time_since_epoch()).count();
}

/// Sleeps until all players have come here once more: nobody disturbs the two who probe.
class Barrier {
public:
    Barrier(Round& round, const Cast& cast) : round_(round), players_(cast.players()) {}
    void meet() {
        met_ += players_;
        const std::uint32_t before =
            round_.arrived.fetch_add(1, std::memory_order_acq_rel);  // [AR-stage]
        if (before + 1 == met_) {
            futex_wake(round_.arrived, static_cast<int>(players_));
            return;
        }
        for (std::uint32_t now = before + 1; now < met_;) {
            futex_wait(round_.arrived, now, std::chrono::nanoseconds::max());
            now = round_.arrived.load(std::memory_order_acquire);  // [A-stage]
        }
    }

private:
    Round& round_;
    std::uint32_t players_;
    std::uint32_t met_ = 0;
};

template <typename Play>
void measure(Player& player, Play play) {
    const double before = processor_ns();
    player.begin_ns = now_ns();
    play();
    player.end_ns = now_ns();
    player.processor_ns = processor_ns() - before;
}

void print_slice(const Round& round, const Cast& cast, int number, double before, double after) {
    const auto* const begin = round.players.begin();
    const auto* const end = begin + cast.players();
    const double processor = std::accumulate(
        begin, end, 0.0,
        [](double so_far, const Player& player) { return so_far + player.processor_ns; });
    const auto first = std::ranges::min_element(begin, end, {}, &Player::begin_ns)->begin_ns;
    const auto last = std::ranges::max_element(begin, end, {}, &Player::end_ns)->end_ns;
    const auto messages = static_cast<double>(cast.messages());
    const double wall = static_cast<double>(last - first) / messages;
    std::printf("%s{\"probes\": [%.1f, %.1f], \"processor_ns\": %.1f, \"wall_ns\": %.1f}",
                number == 0 ? "{\"slices\": [" : ", ", before, after,
                processor / messages / cast.readers, wall);
}

/// The slices of one player. `is_prober` for the first of its side.
template <typename Play>
int play_slices(Round& round, const Cast& cast, std::uint32_t player, Side side, bool is_prober,
                Play play) {
    Barrier barrier(round, cast);
    Meetings meetings(round.stage, side, true);
    const auto probe = [&] { return is_prober ? meetings.probe() : 0; };
    barrier.meet();
    double before = probe();
    for (int i = 0; i < fanout_slices; ++i) {
        barrier.meet();
        measure(round.players.at(player), play);
        barrier.meet();
        const double after = probe();
        if (is_prober && side == Side::front) print_slice(round, cast, i, before, after);
        before = after;
    }
    barrier.meet();
    if (is_prober && side == Side::front) std::printf("]}\n");
    return std::fflush(stdout);
}

int write(Round& round, const Cast& cast, const std::string& pool, std::uint32_t number) {
    auto peer = Peer::attach(pool);
    auto publisher = peer->publisher<Message>("stream", {.stamp_time = false});
    if (!publisher->wait_for_readers(cast.readers, 10s)) throw std::runtime_error("no readers");
    return play_slices(round, cast, number, Side::front, number == 0, [&] {
        for (std::uint64_t i = 0; i < cast.messages_each; ++i) {
            auto loan = publisher->loan(10s);
            if (!loan) throw std::runtime_error("loan");
            (*loan)->fill(i);
            if (!publisher->publish(std::move(*loan))) throw std::runtime_error("publish");
        }
    });
}

int read(Round& round, const Cast& cast, const std::string& pool, std::uint32_t number) {
    auto peer = Peer::attach(pool);
    auto subscriber = peer->subscriber<Message>("stream", {.depth = 64});
    return play_slices(round, cast, cast.writers + number, Side::back, number == 0, [&] {
        for (std::uint64_t i = 0; i < cast.messages(); ++i) {
            const auto sample = subscriber->take(10s);
            if (!sample) throw std::runtime_error("take");
            (void)number_of(**sample);
        }
    });
}

int hold(const Order& order) {
    using testing_protocol::ChildProcess;
    const Cast cast = Cast::read(order);
    const RunningHost host({"--class", "64:8192"});
    const testing_protocol::SharedWithChildren<Round> round;
    std::vector<ChildProcess> players;
    for (std::uint32_t i = 0; i < cast.players(); ++i) {
        const bool writes = i < cast.writers;
        players.emplace_back([&] {
            stay_on(writes ? order.front_core : order.back_core);
            return say_what_fails([&] {
                return writes ? write(*round, cast, host.pool(), i)
                              : read(*round, cast, host.pool(), i - cast.writers);
            });
        });
    }
    for (ChildProcess& player : players) {
        player.wait();
        if (player.code() != 0) return 1;
    }
    return 0;
}

}  // namespace
}  // namespace shmpool::contest

int main(int argument_count, char** arguments) {
    using namespace shmpool::contest;
    return say_what_fails([&] { return hold(Order::read(argument_count, arguments)); });
}
