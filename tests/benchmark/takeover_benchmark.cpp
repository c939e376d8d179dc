// SPDX-License-Identifier: Apache-2.0
/// How long peers are without a host when the next one is started at once: a hundred attached
/// processes, the host killed with -9. From the moment at which the next host's socket is there
/// until it has answered a request of every one of them: all have come back.
#include <benchmark/benchmark.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "peer/peer.hpp"
#include "shmpool/platform/futex.hpp"
#include "shmpool/platform/monotonic_clock.hpp"
#include "tests/peer/running_host.hpp"
#include "tests/protocol/child_process.hpp"

namespace shmpool {
namespace {

using namespace std::chrono_literals;
using testing_protocol::SharedWithChildren;

constexpr std::size_t peers_max = 200;

struct Stage {
    Atomic<std::uint32_t> round{0};       ///< Slept on: who waits for it takes no time.
    std::atomic<std::uint32_t> ready{0};  ///< Peers that wait for the next round.
    std::array<std::atomic<std::uint64_t>, peers_max> served_at_ns{};
};

/// In each round one request, made while there is no host: opens a channel of its own.
[[noreturn]] void play_peer(const std::string& pool, std::size_t number, Stage& stage) {
    PeerOptions options;
    options.answer_timeout = 60s;
    auto peer = Peer::attach(pool, options);
    if (!peer) _exit(1);
    for (std::uint32_t round = 1;; ++round) {
        stage.ready += 1;
        while (stage.round < round) {
            futex_wait(stage.round, round - 1, std::chrono::nanoseconds::max());
        }
        const auto opened = peer->publisher("channel-" + std::to_string(number));
        stage.served_at_ns[number] = opened ? monotonic_ns() : ~std::uint64_t{0};
    }
}

/// When it was made; 0 if it is not there. (Its inode may be the old one again.)
std::int64_t made_at_ns(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return 0;
    return status.st_ctim.tv_sec * 1'000'000'000 + status.st_ctim.tv_nsec;
}

void a_takeover(benchmark::State& state) {
    const auto peer_count = static_cast<std::size_t>(state.range(0));
    RunningHost host({"--class", "1KiB:1024", "--config", SHMPOOL_TAKEOVER_CONFIG});
    const SharedWithChildren<Stage> stage;
    std::vector<std::unique_ptr<Child>> peers;
    for (std::size_t i = 0; i < peer_count; ++i) {
        peers.push_back(std::make_unique<Child>([&, i] { play_peer(host.pool(), i, *stage); }));
    }
    std::vector<double> all_ms;
    for (auto _ : state) {
        if (!eventually([&] { return stage->ready == peer_count; })) {
            return state.SkipWithError("not all peers are there");
        }
        stage->ready = 0;
        const std::int64_t old_socket = made_at_ns(host.socket());
        host.signal(SIGKILL);
        host.wait();
        stage->round.fetch_add(1);
        futex_wake(stage->round, static_cast<int>(peer_count));
        std::this_thread::sleep_for(20ms);  // All requests wait for a host now.
        std::uint64_t listens_at_ns = 0;
        std::thread watch([&] {
            while (made_at_ns(host.socket()) <= old_socket) {
                std::this_thread::sleep_for(50us);
            }
            listens_at_ns = monotonic_ns();
        });
        host.start();
        watch.join();
        if (!eventually([&] { return stage->ready == peer_count; })) {
            return state.SkipWithError("not all peers are served again");
        }
        const auto last =
            std::max_element(stage->served_at_ns.begin(),
                             stage->served_at_ns.begin() + static_cast<std::ptrdiff_t>(peer_count));
        const double seconds = static_cast<double>(*last - listens_at_ns) * 1e-9;
        state.SetIterationTime(seconds);
        all_ms.push_back(seconds * 1e3);
    }
    std::ranges::sort(all_ms);
    state.counters["p50_ms"] = all_ms[all_ms.size() / 2];
    state.counters["max_ms"] = all_ms.back();
}
BENCHMARK(a_takeover)
    ->Arg(10)
    ->Arg(100)
    ->Iterations(50)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace shmpool

BENCHMARK_MAIN();
