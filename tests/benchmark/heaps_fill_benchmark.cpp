// SPDX-License-Identifier: Apache-2.0
/// What a claim costs as a heap fills up: one page of a million and one id of a million, beside so
/// many per 10,000 that are taken already; and a block or an object beside so many that live. In
/// the program of heaps_benchmark.cpp.
#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <cstdlib>
#include <random>
#include <span>
#include <vector>

#include "shmpool/heap/byte_heap.hpp"
#include "shmpool/heap/id_heap.hpp"
#include "shmpool/heap/object_heap.hpp"
#include "shmpool/heap/page_heap.hpp"

namespace shmpool {
namespace {

constexpr HeapHolder me = 1;
constexpr std::uint64_t million = 1'000'000;

/// Only what is written to is taken from the machine: pages that are claimed are not.
class Memory {
public:
    explicit Memory(std::size_t bytes)
        : bytes_(static_cast<std::byte*>(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                                                MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)),
                 bytes) {
        if (bytes_.data() == MAP_FAILED) std::abort();
    }
    ~Memory() { ::munmap(bytes_.data(), bytes_.size()); }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    [[nodiscard]] std::span<std::byte> formatted(HeapKind kind, const HeapOptions& options = {}) {
        if (!format_heap(bytes_, kind, options)) std::abort();
        return bytes_;
    }

private:
    std::span<std::byte> bytes_;
};

std::uint64_t taken_of_a_million(const benchmark::State& state) {
    return million / 10'000 * static_cast<std::uint64_t>(state.range(0));
}

template <typename T>
T value_of(Outcome<T>&& outcome) {
    if (!outcome) std::abort();
    return *outcome;
}

void claim_a_page(benchmark::State& state) {
    Memory memory((million + 10'000) * page_bytes);
    const auto heap = *open_page_heap(memory.formatted(HeapKind::bitmap_pages));
    const std::uint64_t taken = taken_of_a_million(state);
    if (taken != 0) value_of(heap->allocate_pages(me, taken, page_bytes));
    for (auto _ : state) {
        const HeapOffset page = value_of(heap->allocate_pages(me, 1, page_bytes));
        if (!heap->free_pages(me, page, 1)) std::abort();
    }
}

void claim_an_id(benchmark::State& state) {
    HeapOptions options;
    options.id_count = million;
    Memory memory(std::size_t{16} << 20);
    const auto heap = *open_id_heap(memory.formatted(HeapKind::ids, options));
    const std::uint64_t taken = taken_of_a_million(state);
    if (taken != 0) value_of(heap->allocate_id(me, taken, 1));
    for (auto _ : state) {
        const std::uint64_t id = value_of(heap->allocate_id(me, 1, 1));
        if (!heap->free_id(me, id, 1)) std::abort();
    }
}

/// Of all sizes up to 512 bytes, every second of what had been taken given back: a heap of many
/// holes.
void tlsf_pair_beside_live_blocks(benchmark::State& state) {
    Memory memory(std::size_t{1} << 30);
    const auto heap = *open_byte_heap(memory.formatted(HeapKind::tlsf));
    std::minstd_rand random(11);
    const auto allocate = [&] { return value_of(heap->allocate(me, 16 + random() % 497, 16)); };
    std::vector<HeapOffset> blocks;
    for (std::int64_t i = 0; i < 2 * state.range(0); ++i) blocks.push_back(allocate());
    for (std::size_t i = 0; i < blocks.size(); i += 2) {
        if (!heap->free(me, blocks[i])) std::abort();
    }
    for (auto _ : state) {
        if (!heap->free(me, allocate())) std::abort();
    }
}

void object_pair_beside_live_objects(benchmark::State& state) {
    Memory memory(std::size_t{1} << 28);
    const auto heap = *open_object_heap(memory.formatted(HeapKind::slab_cache));
    for (std::int64_t i = 0; i < state.range(0); ++i) value_of(heap->allocate(me));
    for (auto _ : state) {
        if (!heap->free(me, value_of(heap->allocate(me)))) std::abort();
    }
}

BENCHMARK(claim_a_page)->Arg(0)->Arg(5000)->Arg(9999);
BENCHMARK(claim_an_id)->Arg(0)->Arg(5000)->Arg(9999);
BENCHMARK(tlsf_pair_beside_live_blocks)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(object_pair_beside_live_objects)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);

}  // namespace
}  // namespace shmpool
