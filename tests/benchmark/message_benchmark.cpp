// SPDX-License-Identifier: Apache-2.0
/// What a message costs between two processes, through the public API and a real host, beside a
/// pipe in the same run. Latency: a 64-byte message goes to the other process and back; half of the
/// round trip is reported (p50 and p99 of all). Throughput: one process publishes as fast as the
/// other takes.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "peer/peer.hpp"
#include "tests/peer/running_host.hpp"
#include "tests/shmpool/platform/stay_on.hpp"

namespace shmpool {
namespace {

using namespace std::chrono_literals;

struct Message {
    std::uint64_t number;
    std::uint64_t padding[7];
};
static_assert(sizeof(Message) == 64);

Peer attach(const RunningHost& host) {
    auto peer = Peer::attach(host.pool());
    if (!peer) throw std::runtime_error(peer.error().message);
    return std::move(*peer);
}

TypedSample<Message> take(TypedSubscriber<Message>& subscriber, bool polling) {
    for (;;) {
        auto sample = polling ? subscriber.take() : subscriber.take(10s);
        if (sample) return std::move(*sample);
    }
}

void report(benchmark::State& state, std::vector<double>& one_way_ns) {
    std::ranges::sort(one_way_ns);
    const auto at = [&](double share) {
        return one_way_ns[static_cast<std::size_t>(share *
                                                   static_cast<double>(one_way_ns.size() - 1))];
    };
    state.counters["p50_ns"] = at(0.5);
    state.counters["p99_ns"] = at(0.99);
}

/// Ping-pong; `readers` of every message, of which one answers.
void Latency(benchmark::State& state, bool polling, int idle_readers) {
    RunningHost host({"--class", "64:4096"});
    Child echo([&] {
        stay_on(1);
        Peer peer = attach(host);
        auto back = peer.publisher<Message>("back");
        auto there = peer.subscriber<Message>("there", {.may_sleep = !polling});
        for (;;) {
            const std::uint64_t number = take(*there, polling)->number;
            (void)back->send(Message{number, {}});
        }
    });
    stay_on(0);
    Peer peer = attach(host);
    auto there = peer.publisher<Message>("there");
    auto back = peer.subscriber<Message>("back", {.may_sleep = !polling});
    std::vector<TypedSubscriber<Message>> idle;
    for (int i = 0; i < idle_readers; ++i) {
        idle.push_back(*peer.subscriber<Message>("there", {.may_sleep = !polling}));
    }
    while (there->untyped().reader_count() < 1U + idle.size()) usleep(1000);
    std::vector<double> one_way_ns;
    std::uint64_t number = 0;
    for (auto _ : state) {
        const std::uint64_t begin = monotonic_ns();
        (void)there->send(Message{++number, {}});
        while (take(*back, polling)->number != number) {
        }
        const std::uint64_t end = monotonic_ns();
        for (auto& one : idle) (void)one.take();
        one_way_ns.push_back(static_cast<double>(end - begin) / 2);
    }
    report(state, one_way_ns);
}

void Throughput(benchmark::State& state, bool polling) {
    RunningHost host({"--class", "64:4096"});
    Child reader([&] {
        stay_on(1);
        Peer peer = attach(host);
        auto subscriber = peer.subscriber<Message>("stream", {.depth = 256, .may_sleep = !polling});
        for (;;) (void)take(*subscriber, polling);
    });
    stay_on(0);
    Peer peer = attach(host);
    auto publisher = peer.publisher<Message>("stream", {.stamp_time = state.range(0) != 0});
    while (publisher->untyped().reader_count() < 1U) usleep(1000);
    std::uint64_t number = 0;
    for (auto _ : state) (void)publisher->send(Message{++number, {}});
    state.SetItemsProcessed(state.iterations());
}

void PipeLatency(benchmark::State& state) {
    int there[2];
    int back[2];
    if (pipe(there) != 0 || pipe(back) != 0) return state.SkipWithError("pipe");
    Child echo([&] {
        stay_on(1);
        Message message{};
        while (read(there[0], &message, sizeof(message)) == sizeof(message)) {
            if (write(back[1], &message, sizeof(message)) != sizeof(message)) break;
        }
    });
    stay_on(0);
    std::vector<double> one_way_ns;
    Message message{};
    for (auto _ : state) {
        const std::uint64_t begin = monotonic_ns();
        if (write(there[1], &message, sizeof(message)) != sizeof(message)) break;
        if (read(back[0], &message, sizeof(message)) != sizeof(message)) break;
        one_way_ns.push_back(static_cast<double>(monotonic_ns() - begin) / 2);
    }
    report(state, one_way_ns);
    for (const int one : {there[0], there[1], back[0], back[1]}) close(one);
}

BENCHMARK_CAPTURE(Latency, PollingOneReader, true, 0)->UseRealTime();
BENCHMARK_CAPTURE(Latency, PollingTwoReaders, true, 1)->UseRealTime();
BENCHMARK_CAPTURE(Latency, SleepingOneReader, false, 0)->UseRealTime();
BENCHMARK(PipeLatency)->UseRealTime();
BENCHMARK_CAPTURE(Throughput, PollingReader, true)->ArgName("stamped")->Arg(0)->UseRealTime();
BENCHMARK_CAPTURE(Throughput, SleepingReader, false)
    ->ArgName("stamped")
    ->Arg(0)
    ->Arg(1)
    ->UseRealTime();

}  // namespace
}  // namespace shmpool

BENCHMARK_MAIN();
