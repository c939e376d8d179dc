// SPDX-License-Identifier: Apache-2.0
/// What every contestant does, compiled into each one's own code, between two processes of which
/// each stays on its core. Latency: a message goes to the other process and back; half of the
/// round trip, of every one of them. Throughput: the front sends as fast as the back takes; the
/// back's own clock counts. All of it in short slices with a probe between them, because cores of a
/// virtual machine move. Prints one line of JSON: of each slice the probes beside it, how
/// often others took one of the cores, and how often which latency was seen, or how many messages
/// there were.
///
/// A transport has `End open(Side)`, called in each of the two processes; it returns when messages
/// can flow both ways. An End has `void send(std::uint64_t number)`, which waits for room, and
/// `std::uint64_t receive()`, which waits for the next message. Transport::may_drop: numbers may be
/// missing.
#pragma once

#include <sys/resource.h>

#include <cstdio>
#include <exception>
#include <map>
#include <stdexcept>
#include <vector>

#include "order.hpp"
#include "stage.hpp"
#include "tests/protocol/child_process.hpp"
#include "tests/shmpool/platform/stay_on.hpp"

namespace shmpool::contest {

using Clock = std::chrono::steady_clock;
using Nanoseconds = std::chrono::duration<double, std::nano>;

inline constexpr std::uint64_t last_number = ~std::uint64_t{0};

inline constexpr int slices = 50;

/// How often this process lost its core to somebody else while it would have gone on.
inline std::int64_t preempted_total() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    return used.ru_nivcsw;
}

/// How often a message took so many nanoseconds one way.
using Histogram = std::map<std::uint64_t, std::uint64_t>;

template <typename End>
Histogram ask(End& end, std::uint64_t round_trips) {
    constexpr std::uint64_t warm = 20;
    std::vector<std::uint64_t> one_way_ns;
    one_way_ns.reserve(round_trips);  // Sorted into the histogram when nobody waits.
    for (std::uint64_t number = 1; number <= warm + round_trips; ++number) {
        const auto begin = Clock::now();
        end.send(number);
        if (end.receive() != number) throw std::runtime_error("an answer to another message");
        const Nanoseconds passed = Clock::now() - begin;
        if (number > warm) one_way_ns.push_back(static_cast<std::uint64_t>(passed.count() / 2));
    }
    Histogram histogram;
    for (const std::uint64_t one : one_way_ns) ++histogram[one];
    end.send(last_number);
    return histogram;
}

template <typename End>
void answer(End& end) {
    for (;;) {
        const std::uint64_t number = end.receive();
        if (number == last_number) return;
        end.send(number);
    }
}

template <typename End>
void stream(End& end, std::chrono::microseconds duration) {
    constexpr int messages_per_look = 64;  // At the clock.
    std::uint64_t number = 0;
    const auto until = Clock::now() + duration;
    do {
        for (int i = 0; i < messages_per_look; ++i) end.send(++number);
    } while (Clock::now() < until);
    end.send(last_number);
}

/// Millions of messages a second, from the first to the last.
template <typename End>
double receive_stream(End& end, bool may_drop) {
    std::uint64_t previous = end.receive();
    const auto begin = Clock::now();
    std::uint64_t received = 0;
    for (;;) {
        const std::uint64_t number = end.receive();
        if (number == last_number) break;
        if (may_drop ? number <= previous : number != previous + 1) {
            throw std::runtime_error("a message is missing");
        }
        previous = number;
        ++received;
    }
    return static_cast<double>(received) / (Nanoseconds(Clock::now() - begin).count() / 1e3);
}

inline void print_histogram(const Histogram& histogram) {
    const char* before = "\"histogram\": [";
    for (const auto& [nanoseconds, count] : histogram) {
        std::printf("%s[%lu, %lu]", before, nanoseconds, count);
        before = ", ";
    }
    std::printf("]");
}

template <typename Transport>
int play_back(Transport& transport, const Order& order, Stage& stage) {
    stay_on(order.back_core);
    Meetings meetings(stage, Side::back, order.two_cores());
    auto end = transport.open(Side::back);
    (void)meetings.probe();
    for (int i = 0; i < slices; ++i) {
        meetings.meet();
        const std::int64_t preempted = preempted_total();
        if (order.workload == Workload::latency) {
            answer(end);
        } else {
            stage.by_back = receive_stream(end, Transport::may_drop);
        }
        stage.back_preempted = preempted_total() - preempted;
        (void)meetings.probe();
    }
    meetings.meet();
    return 0;
}

template <typename Transport>
int play_front(Transport& transport, const Order& order, Stage& stage) {
    stay_on(order.front_core);
    Meetings meetings(stage, Side::front, order.two_cores());
    auto end = transport.open(Side::front);
    double before = meetings.probe();
    for (int i = 0; i < slices; ++i) {
        Histogram histogram;
        meetings.meet();
        std::int64_t preempted = -preempted_total();
        if (order.workload == Workload::latency) {
            histogram = ask(end, order.amount / slices);
        } else {
            stream(end, std::chrono::microseconds(1000 * order.amount / slices));
        }
        preempted += preempted_total();
        const double after = meetings.probe();
        std::printf("%s{\"probes\": [%.1f, %.1f], \"preempted\": %ld, ",
                    i == 0 ? "{\"slices\": [" : ", ", before, after,
                    preempted + stage.back_preempted);
        before = after;
        if (order.workload == Workload::latency) {
            print_histogram(histogram);
        } else {
            std::printf("\"million_per_s\": %.4f", stage.by_back);
        }
        std::printf("}");
    }
    meetings.meet();
    std::printf("]}\n");
    return std::fflush(stdout);
}

/// The exit code. A side that fails says why; who waits for it is killed.
template <typename Play>
int say_what_fails(Play play) {
    try {
        return play();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}

template <typename Transport>
int hold_contest(Transport& transport, const Order& order) {
    using testing_protocol::ChildProcess;
    const testing_protocol::SharedWithChildren<Stage> stage;
    ChildProcess back(
        [&] { return say_what_fails([&] { return play_back(transport, order, *stage); }); });
    ChildProcess front(
        [&] { return say_what_fails([&] { return play_front(transport, order, *stage); }); });
    for (int ended = 0; ended < 2; ++ended) {
        siginfo_t who{};
        ::waitid(P_ALL, 0, &who, WEXITED | WNOWAIT);
        if (who.si_pid != front.pid() && who.si_pid != back.pid()) return 1;  // The daemon.
        ChildProcess& one = who.si_pid == front.pid() ? front : back;
        one.wait();
        if (one.code() != 0) return 1;
    }
    return 0;
}

}  // namespace shmpool::contest
