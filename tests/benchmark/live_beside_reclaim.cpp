// SPDX-License-Identifier: Apache-2.0
/// What a live peer pays while the host takes back what a dead one held: it calls allocate and
/// free without pause, alone on one processor, and takes the time of every call; host and victims
/// share another. Calls from kill to slots back count as `during`, those of the 20 ms before as
/// `without`; it keeps only how many took how long, so that it uses little of the caches itself.
/// The victim holds 100,000 of 1,000,000 slots from all over, of the class that the live peer uses.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <thread>

#include "shmpool/platform/monotonic_clock.hpp"
#include "tests/benchmark/victim.hpp"
#include "tests/protocol/child_process.hpp"
#include "tests/shmpool/platform/stay_on.hpp"

namespace shmpool {
namespace {

using namespace std::chrono_literals;
using testing_protocol::SharedWithChildren;

constexpr std::size_t slot_bytes = 64;
constexpr std::uint32_t slot_count = 1'000'000;
constexpr std::uint32_t held_slots = 100'000;
constexpr unsigned live_processor = 0;
constexpr unsigned other_processor = 1;

/// How often a call took how many nanoseconds.
class Histogram {
public:
    void add(std::uint64_t took_ns) {
        ++calls_[std::min(took_ns, longest_ns)];
        ++count_;
    }
    void count(benchmark::State& state, const std::string& name) const {
        state.counters[name + "_p50_ns"] = static_cast<double>(quantile(0.5));
        state.counters[name + "_p99_ns"] = static_cast<double>(quantile(0.99));
        state.counters[name + "_p999_ns"] = static_cast<double>(quantile(0.999));
        state.counters[name + "_p9999_ns"] = static_cast<double>(quantile(0.9999));
        state.counters[name + "_calls"] = static_cast<double>(count_);
    }

private:
    [[nodiscard]] std::uint64_t quantile(double part) const {
        auto left = static_cast<std::uint64_t>(static_cast<double>(count_) * part);
        for (std::uint64_t took_ns = 0; took_ns < longest_ns; ++took_ns) {
            if (left < calls_[took_ns]) return took_ns;
            left -= calls_[took_ns];
        }
        return longest_ns;
    }

    static constexpr std::uint64_t longest_ns = 100'000;
    std::array<std::uint64_t, longest_ns + 1> calls_{};
    std::uint64_t count_ = 0;
};

struct Recording {
    std::atomic<bool> running{false};
    std::atomic<std::uint64_t> kills{0};  ///< Counted right before each.
    Histogram without;
    Histogram during;
};

template <typename Call>
void record(Recording& recording, const DeathWatch& watch, Call&& call) {
    const bool reclaiming = watch.deaths() < recording.kills.load(std::memory_order_relaxed);
    const std::uint64_t begin_ns = monotonic_ns();
    call();
    const std::uint64_t took_ns = monotonic_ns() - begin_ns;
    if (!recording.running.load(std::memory_order_relaxed)) return;
    (reclaiming ? recording.during : recording.without).add(took_ns);
}

/// Bursts of one slot stay in the lane's magazine; long ones go through the free list, too.
[[noreturn]] void live(const std::string& pool, std::size_t burst, Recording& recording) {
    auto peer = Peer::attach(pool);
    if (!peer || !stay_on(live_processor)) _exit(1);
    const DeathWatch watch(pool);
    std::vector<SlotRef> slots(burst);
    for (;;) {
        for (SlotRef& slot : slots) {
            record(recording, watch, [&] { slot = peer->allocate(slot_bytes).value(); });
        }
        for (const SlotRef& slot : slots) {
            record(recording, watch, [&] { (void)peer->free(slot); });
        }
    }
}

void LiveBesideReclaim(benchmark::State& state) {
    const StayOn others(other_processor);
    if (!others.done()) return state.SkipWithError("needs two processors");
    RunningHost host({"--class", "64B:" + std::to_string(slot_count)});
    if (!shuffle_free_list(host.pool(), slot_bytes, slot_count)) {
        return state.SkipWithError("the pool can not be shuffled");
    }
    const DeathWatch watch(host.pool());
    const SharedWithChildren<Recording> recording;
    const auto burst = static_cast<std::size_t>(state.range(0));
    Child neighbour([&] { live(host.pool(), burst, *recording); });
    for (auto _ : state) {
        Victim victim(host.pool(),
                      [](Peer& peer) { return hold_slots(peer, slot_bytes, held_slots); });
        recording->running = true;
        std::this_thread::sleep_for(20ms);
        recording->kills += 1;
        const auto death = watch.kill(victim);
        recording->running = false;
        if (!death || death->slots < held_slots) return state.SkipWithError("not reclaimed");
        state.SetIterationTime(death->reclaimed_us * 1e-6);
    }
    recording->without.count(state, "without");
    recording->during.count(state, "during");
}
BENCHMARK(LiveBesideReclaim)
    ->Arg(1)
    ->Arg(128)
    ->Iterations(50)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace shmpool
