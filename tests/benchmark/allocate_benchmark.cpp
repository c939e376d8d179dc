// SPDX-License-Identifier: Apache-2.0
/// What a slot costs: one pair of taking and giving back, by each path, beside glibc's malloc in
/// the same run. The workload is a thread that takes a 1 KiB buffer, touches its first word, and
/// gives it back; in bursts it takes many first. Recovery is on in all of them: there is no other
/// mode.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "shmpool/platform/memory_object.hpp"
#include "shmpool/platform/shared_mapping.hpp"
#include "shmpool/pool/var_slot_pool.hpp"

namespace shmpool {
namespace {

constexpr std::uint64_t slot_bytes = 1024;

/// A pool in shared memory, without a host.
struct BenchPool {
    Descriptor memory;
    SharedMapping mapping;
    std::unique_ptr<VarSlotPool> pool;

    explicit BenchPool(std::uint32_t slot_count) {
        const SizeClassConfig config{slot_bytes, slot_count};
        const auto layout = VarSlotPool::layout({&config, 1}, 64);
        memory = *create_memory_object("bench", layout->total_bytes());
        mapping = *SharedMapping::map(memory, layout->total_bytes(), Access::read_write);
        const auto region = PoolRegion::single(mapping.span(), 0, *layout);
        pool = std::make_unique<VarSlotPool>(*VarSlotPool::init(*region, {&config, 1}, 64));
    }
};

void touch(void* data) {
    *static_cast<volatile std::uint64_t*>(data) = 1;
}

void loan_and_end(benchmark::State& state, std::uint32_t slot_count) {
    static std::unique_ptr<BenchPool> shared;
    if (state.thread_index() == 0) shared = std::make_unique<BenchPool>(slot_count);
    std::unique_ptr<Lane> lane;
    VarSlotPool* pool = nullptr;
    for (auto _ : state) {
        if (!lane) [[unlikely]] {  // After the barrier: the pool is there.
            pool = shared->pool.get();
            lane = *pool->open_lane(static_cast<std::uint64_t>(state.thread_index()) + 1);
        }
        const auto loaned = pool->loan(*lane, slot_bytes);
        touch(pool->view().classes[0].data(position_of(loaned->key)));
        benchmark::DoNotOptimize(pool->end_loan(*lane, *loaned));
    }
    state.SetItemsProcessed(state.iterations());
}

void LoanFromMagazine(benchmark::State& state) { loan_and_end(state, 4096); }
void LoanDirect(benchmark::State& state) { loan_and_end(state, 100); }

void RawAllocateAndFree(benchmark::State& state) {
    BenchPool bench(4096);
    const auto lane = *bench.pool->open_lane(1);
    for (auto _ : state) {
        const auto ref = bench.pool->allocate(*lane, slot_bytes);
        touch(bench.pool->view().classes[0].data(ref->slot_index));
        benchmark::DoNotOptimize(bench.pool->free(*lane, *ref));
    }
    state.SetItemsProcessed(state.iterations());
}

void LoanBurst(benchmark::State& state) {
    const auto burst = static_cast<std::size_t>(state.range(0));
    BenchPool bench(16384);
    const auto lane = *bench.pool->open_lane(1);
    std::vector<VarSlotPool::Loaned> taken(burst);
    for (auto _ : state) {
        for (auto& one : taken) one = *bench.pool->loan(*lane, slot_bytes);
        for (const auto& one : taken) benchmark::DoNotOptimize(bench.pool->end_loan(*lane, one));
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}

void GlibcMalloc(benchmark::State& state) {
    for (auto _ : state) {
        void* const data = std::malloc(slot_bytes);
        touch(data);
        std::free(data);
    }
    state.SetItemsProcessed(state.iterations());
}

void GlibcMallocBurst(benchmark::State& state) {
    std::vector<void*> taken(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) {
        for (auto& one : taken) one = std::malloc(slot_bytes);
        for (void* one : taken) std::free(one);
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}

BENCHMARK(LoanFromMagazine)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(LoanDirect)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(RawAllocateAndFree);
BENCHMARK(LoanBurst)->Arg(64)->Arg(512)->Arg(4096);
BENCHMARK(GlibcMalloc)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(GlibcMallocBurst)->Arg(64)->Arg(512)->Arg(4096);

}  // namespace
}  // namespace shmpool

BENCHMARK_MAIN();
