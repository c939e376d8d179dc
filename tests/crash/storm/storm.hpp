// SPDX-License-Identifier: Apache-2.0
/// A storm: a host and a dozen peers at work, and one blow after the other. Whoever is killed is
/// replaced; the next host takes over. Meanwhile the pool is audited, at the end it is counted.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actor.hpp"
#include "founded.hpp"
#include "peer/cli/observer.hpp"
#include "plan.hpp"
#include "tests/host/daemon.hpp"
#include "tests/protocol/child_process.hpp"

namespace shmpool::storm {

struct StormOptions {
    double seconds = 60;
    double kills_per_second = 80;
    std::uint64_t seed = 0;
};

struct Toll {
    std::uint64_t kills = 0;
    std::uint64_t stops = 0;
    std::uint64_t host_kills = 0;
    std::uint64_t host_stops = 0;
    std::uint64_t audits = 0;
    // By the segment's own counters:
    std::uint64_t takeovers = 0;  ///< By hosts that lived long enough.
    std::uint64_t peers_reclaimed = 0;
    std::uint64_t slots_reclaimed = 0;  ///< Which those peers held.
    std::uint64_t entries = 0;          ///< In the table, at the end.
};

class Storm {
public:
    explicit Storm(const StormOptions& options);

    /// From the first blow until everybody has left and everything is counted.
    void rage();

    [[nodiscard]] const Board& board() const { return board_; }
    [[nodiscard]] const Toll& toll() const { return toll_; }
    /// Of the last host.
    [[nodiscard]] std::string host_log() const { return host_ ? host_->log() : ""; }

private:
    using Clock = std::chrono::steady_clock;
    using Child = testing_protocol::ChildProcess;
    struct Cast {
        std::optional<Child> child;
        std::uint64_t life = 0;
        std::optional<Clock::time_point> stopped_until;
        std::uint64_t steps = 0;  ///< When it was last seen to get on:
        Clock::time_point got_on;
    };

    void measure_memory();
    void start_host();
    void look_at_the_host();
    void start(std::size_t seat);

    void strike(const Step& step);
    void kill(std::size_t seat);
    void stop(std::size_t seat, Clock::time_point until);
    void kill_host(Clock::time_point until);
    void stop_host(Clock::time_point until);
    void go_on_until(Clock::time_point moment);

    void resume_who_is_due(Clock::time_point now);
    void look_at_all(Clock::time_point now);
    void look_at(std::size_t seat, Clock::time_point now);
    void audit();

    void end();
    void await_end_of(std::size_t seat);
    void count();
    void count_heaps();
    void complain(const std::string& text) const { board_.complain(text); }
    [[nodiscard]] std::string describe(std::size_t seat) const;

    StormOptions options_;
    test::TemporaryDirectory folder_;
    Board board_;
    std::unique_ptr<test::Daemon> host_;
    std::optional<Clock::time_point> next_host_at_;  ///< There is none until then.
    std::optional<Clock::time_point> host_stopped_until_;
    std::optional<cli::Observer> observer_;
    MemoryInUse memory_at_first_;
    std::array<Cast, seats.size()> cast_;
    Clock::time_point next_look_;
    Toll toll_;
};

}  // namespace shmpool::storm
