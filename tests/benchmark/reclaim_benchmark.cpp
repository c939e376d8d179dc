// SPDX-License-Identifier: Apache-2.0
/// What a death costs those who live: a real host, and peers killed with -9, one after the other.
///   A4GiB...      a peer that holds and has touched 4 GiB: when it is noticed, when all is back
///   HeldSlots...  a peer that holds some of 1,000,000 slots and has touched nothing else: reclaim
///                 in proportion, with cold caches; slots that lie together, as in a fresh pool,
///                 and slots from all over, as after long use
/// The time of a row is the mean from kill to slots back; ended_us is the kernel's part of it,
/// until it has torn the victim down, and host_us the rest. Beside these: live_beside_reclaim.cpp.
#include <benchmark/benchmark.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <thread>

#include "tests/benchmark/victim.hpp"
#include "tests/peer/own_payload.hpp"
#include "tests/protocol/child_process.hpp"
#include "tests/shmpool/platform/stay_on.hpp"

namespace shmpool {
namespace {

using testing_protocol::SharedWithChildren;

constexpr std::size_t page_2MiB = std::size_t{2} << 20;
constexpr int madvise_collapse = 25;  // MADV_COLLAPSE, Linux 6.1; older headers lack it.
constexpr std::size_t large_slot_bytes = std::size_t{1} << 20;
constexpr std::uint32_t large_slots = 4096;
constexpr std::size_t touched_bytes = large_slot_bytes * large_slots;

struct Deaths {
    std::vector<double> noticed_us;
    std::vector<double> ended_us;
    std::vector<double> reclaimed_us;
    std::vector<double> host_us;  ///< From the victim's end to slots back.
    std::uint64_t slots = 0;

    void add(benchmark::State& state, const Death& death) {
        state.SetIterationTime(death.reclaimed_us * 1e-6);
        noticed_us.push_back(death.noticed_us);
        ended_us.push_back(death.ended_us);
        reclaimed_us.push_back(death.reclaimed_us);
        host_us.push_back(death.reclaimed_us - death.ended_us);
        slots = death.slots;
    }
};

// --- 4 GiB touched -------------------------------------------------------------------------------

bool touch_all(std::byte* base) {
    return madvise(base, touched_bytes, MADV_POPULATE_WRITE) == 0;
}

bool touch_4KiB_pages(Peer& peer) {
    return hold_slots(peer, large_slot_bytes, large_slots) &&
           touch_all(peer.pool().view().classes[0].data(0));
}

/// A second mapping of the payload that begins at a border of 2 MiB: the peer's own does not.
std::byte* map_payload_aligned() {
    void* const room = mmap(nullptr, touched_bytes + page_2MiB, PROT_NONE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) return nullptr;
    const auto address =
        (reinterpret_cast<std::uintptr_t>(room) + page_2MiB - 1) & ~(page_2MiB - 1);
    void* const base = mmap(reinterpret_cast<void*>(address), touched_bytes, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_FIXED, test::own_payload_descriptor(), 0);
    return base == MAP_FAILED ? nullptr : static_cast<std::byte*>(base);
}

/// How much of this process is mapped by 2 MiB pages of shared memory.
std::size_t mapped_by_2MiB_pages() {
    std::ifstream file("/proc/self/smaps_rollup");
    std::size_t kib = 0;
    for (std::string line; std::getline(file, line);) {
        if (std::sscanf(line.c_str(), "ShmemPmdMapped: %zu kB", &kib) == 1) break;
    }
    return kib << 10;
}

bool touch_2MiB_pages(Peer& peer) {
    std::byte* const base = map_payload_aligned();
    return hold_slots(peer, large_slot_bytes, large_slots) && base != nullptr &&
           madvise(base, touched_bytes, madvise_collapse) == 0 && touch_all(base) &&
           mapped_by_2MiB_pages() >= touched_bytes;
}

void kill_after_touching(benchmark::State& state, const Victim::Preparation& touch) {
    RunningHost host({"--class", "1MiB:" + std::to_string(large_slots)});
    const DeathWatch watch(host.pool());
    {
        // Makes the pages, for all that follow; which takes long, and is not counted.
        Victim first(host.pool(), touch);
        if (first.ready()) (void)watch.kill(first);
    }
    Deaths deaths;
    for (auto _ : state) {
        Victim victim(host.pool(), touch);
        if (!victim.ready())
            return state.SkipWithError("no memory, or no such pages on this machine");
        const auto death = watch.kill(victim);
        if (!death || death->slots < large_slots) return state.SkipWithError("not reclaimed");
        deaths.add(state, *death);
    }
    count_quantiles(state, "notice_us", deaths.noticed_us);
    count_quantiles(state, "ended_us", deaths.ended_us);
    count_quantiles(state, "slots_back_us", deaths.reclaimed_us);
}

void A4GiBOf4KiBPages(benchmark::State& state) {
    kill_after_touching(state, touch_4KiB_pages);
}
void A4GiBOf2MiBPages(benchmark::State& state) {
    kill_after_touching(state, touch_2MiB_pages);
}

// --- some of 1,000,000 slots ---------------------------------------------------------------------

constexpr std::size_t small_slot_bytes = 64;
constexpr std::uint32_t small_slots = 1'000'000;

enum class Order { together, scattered };

/// From every processor once through more than the largest cache holds. Shared memory, because of
/// that a victim inherits no pages, which would make its end longer.
void flush_caches() {
    static const SharedWithChildren<std::array<std::uint64_t, std::size_t{16} << 20>> walked;
    for (unsigned processor = 0; processor < std::thread::hardware_concurrency(); ++processor) {
        std::thread walker([processor] {
            stay_on(processor);
            benchmark::DoNotOptimize(
                std::accumulate(walked->begin(), walked->end(), std::uint64_t{0}));
        });
        walker.join();
    }
}

void kill_holder(benchmark::State& state, Order order) {
    const auto held = static_cast<std::uint32_t>(state.range(0));
    RunningHost host({"--class", "64B:" + std::to_string(small_slots)});
    if (order == Order::scattered &&
        !shuffle_free_list(host.pool(), small_slot_bytes, small_slots)) {
        return state.SkipWithError("the pool can not be shuffled");
    }
    const DeathWatch watch(host.pool());
    Deaths deaths;
    for (auto _ : state) {
        Victim victim(host.pool(),
                      [held](Peer& peer) { return hold_slots(peer, small_slot_bytes, held); });
        flush_caches();
        const auto death = watch.kill(victim);
        if (!death || death->slots < held) return state.SkipWithError("not reclaimed");
        deaths.add(state, *death);
    }
    count_quantiles(state, "ended_us", deaths.ended_us);
    count_quantiles(state, "slots_back_us", deaths.reclaimed_us);
    count_quantiles(state, "host_us", deaths.host_us);
    state.counters["slots"] = static_cast<double>(deaths.slots);
}

void HeldSlotsTogether(benchmark::State& state) {
    kill_holder(state, Order::together);
}
void HeldSlotsScattered(benchmark::State& state) {
    kill_holder(state, Order::scattered);
}

BENCHMARK(A4GiBOf4KiBPages)->Iterations(100)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(A4GiBOf2MiBPages)->Iterations(300)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(HeldSlotsTogether)
    ->RangeMultiplier(10)
    ->Range(10, 100'000)
    ->Iterations(50)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(HeldSlotsScattered)
    ->RangeMultiplier(10)
    ->Range(10, 100'000)
    ->Iterations(50)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace shmpool

BENCHMARK_MAIN();
