// SPDX-License-Identifier: Apache-2.0
/// What a live peer pays while the host takes back what a dead one held: it calls allocate and
/// free without pause, alone on one processor, and takes the time of every call; host and victims
/// share another. Samples from kill to slots back count as `during`, those before as `without`.
/// The victim holds 100,000 of 1,000,000 slots from all over, of the class that the live peer uses.
#include <sched.h>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>

#include "shmpool/platform/monotonic_clock.hpp"
#include "tests/benchmark/victim.hpp"
#include "tests/protocol/child_process.hpp"

namespace shmpool {
namespace {

using namespace std::chrono_literals;
using testing_protocol::SharedWithChildren;

constexpr std::size_t slot_bytes = 64;
constexpr std::uint32_t slot_count = 1'000'000;
constexpr std::uint32_t held_slots = 100'000;
constexpr unsigned live_processor = 0;
constexpr unsigned other_processor = 1;
constexpr std::size_t samples_max = 4'000'000;

struct Recording {
    struct Sample {
        std::uint64_t at_ns;
        std::uint64_t took_ns;
    };
    std::atomic<std::uint32_t> round{0};  ///< Odd: it runs.
    std::atomic<std::size_t> count{0};
    std::array<Sample, samples_max> samples;
};

bool stay_on(unsigned processor) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    return sched_setaffinity(0, sizeof(one), &one) == 0;
}

/// This process, and the children that it forks meanwhile.
class StayOn {
public:
    explicit StayOn(unsigned processor) {
        sched_getaffinity(0, sizeof(before_), &before_);
        done_ = stay_on(processor);
    }
    ~StayOn() { sched_setaffinity(0, sizeof(before_), &before_); }
    StayOn(const StayOn&) = delete;
    StayOn& operator=(const StayOn&) = delete;
    [[nodiscard]] bool done() const { return done_; }

private:
    cpu_set_t before_{};
    bool done_ = false;
};

template <typename Call>
void record(Recording& recording, std::size_t& count, Call&& call) {
    const std::uint64_t begin_ns = monotonic_ns();
    call();
    const std::uint64_t end_ns = monotonic_ns();
    if (count < samples_max) recording.samples[count++] = {begin_ns, end_ns - begin_ns};
}

/// Bursts of one slot stay in the lane's magazine; long ones go through the free list, too.
[[noreturn]] void live(const std::string& pool, std::size_t burst, Recording& recording) {
    auto peer = Peer::attach(pool);
    if (!peer || !stay_on(live_processor)) _exit(1);
    std::vector<SlotRef> slots(burst);
    for (;;) {
        const std::uint32_t round = recording.round;
        std::size_t count = 0;
        while ((round & 1) != 0 && recording.round == round) {
            for (SlotRef& slot : slots) {
                record(recording, count, [&] { slot = peer->allocate(slot_bytes).value(); });
            }
            for (const SlotRef& slot : slots) {
                record(recording, count, [&] { (void)peer->free(slot); });
            }
        }
        if (count != 0) recording.count = count;
    }
}

/// Sorts the samples of one round by what went on when they began.
void sort_out(const Recording& recording, const Death& death, std::vector<double>& without_ns,
              std::vector<double>& during_ns) {
    for (std::size_t i = 0; i < recording.count; ++i) {
        const auto& sample = recording.samples[i];
        if (sample.at_ns >= death.reclaimed_at_ns) return;
        auto& part = sample.at_ns < death.killed_at_ns ? without_ns : during_ns;
        part.push_back(static_cast<double>(sample.took_ns));
    }
}

void count_tail(benchmark::State& state, const std::string& name, std::vector<double>& values) {
    if (values.empty()) return;
    state.counters[name + "_p50_ns"] = quantile(values, 0.5);
    state.counters[name + "_p99_ns"] = quantile(values, 0.99);
    state.counters[name + "_p999_ns"] = quantile(values, 0.999);
    state.counters[name + "_calls"] = static_cast<double>(values.size());
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
    std::vector<double> without_ns;
    std::vector<double> during_ns;
    for (auto _ : state) {
        Victim victim(host.pool(),
                      [](Peer& peer) { return hold_slots(peer, slot_bytes, held_slots); });
        recording->count = 0;
        recording->round += 1;
        std::this_thread::sleep_for(20ms);  // About as long as the reclaim.
        const auto death = watch.kill(victim);
        recording->round += 1;
        if (!death || death->slots < held_slots) return state.SkipWithError("not reclaimed");
        if (!eventually([&] { return recording->count != 0; })) {
            return state.SkipWithError("the live peer has failed");
        }
        state.SetIterationTime(death->reclaimed_us * 1e-6);
        sort_out(*recording, *death, without_ns, during_ns);
    }
    count_tail(state, "without", without_ns);
    count_tail(state, "during", during_ns);
}
BENCHMARK(LiveBesideReclaim)
    ->Arg(1)
    ->Arg(128)
    ->Iterations(50)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace shmpool
