// SPDX-License-Identifier: Apache-2.0
/// What a heap in shared memory costs, beside Boost.Interprocess's managed_shared_memory (whose
/// users hang or lose memory when one of them dies) and glibc's malloc (in one process), in the
/// same run: a pair of allocate and free of one size; random sizes among a thousand live blocks;
/// the same in a heap that has seen 10^7 random steps; two processes at once. Objects of 64 bytes,
/// in a slab cache and in a node_allocator of Boost.Interprocess. What a claim costs in a heap that
/// fills up: heaps_fill_benchmark.cpp. And what a heap on a file costs,
/// in the folder for temporary files, with a sync of each change and without.
#include <benchmark/benchmark.h>
#include <sys/mman.h>
#include <unistd.h>

#include <boost/interprocess/allocators/node_allocator.hpp>
#include <boost/interprocess/containers/map.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "shmpool/heap/best_fit.hpp"
#include "shmpool/heap/byte_heap.hpp"
#include "shmpool/heap/heap_file.hpp"
#include "shmpool/heap/object_heap.hpp"
#include "shmpool/platform/memory_object.hpp"
#include "shmpool/platform/shared_mapping.hpp"
#include "tests/protocol/child_process.hpp"

namespace shmpool {
namespace {

namespace ipc = boost::interprocess;
using testing_protocol::ChildProcess;
using testing_protocol::SharedWithChildren;

constexpr std::size_t memory_bytes = std::size_t{256} << 20;
constexpr std::uint64_t alignment = 16;

/// Each process says who it is.
HeapHolder me = 1;

template <HeapKind Kind>
auto opened(std::span<std::byte> memory) {
    if constexpr (Kind == HeapKind::slab_cache)
        return *open_object_heap(memory);
    else
        return *open_byte_heap(memory);
}

template <HeapKind Kind>
class Ours {
public:
    Ours() {
        void* const memory = ::mmap(nullptr, memory_bytes, PROT_READ | PROT_WRITE,
                                    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (memory == MAP_FAILED) std::abort();
        memory_ = {static_cast<std::byte*>(memory), memory_bytes};
        if (!format_heap(memory_, Kind)) std::abort();
        heap_ = opened<Kind>(memory_);
    }
    ~Ours() { ::munmap(memory_.data(), memory_.size()); }
    Ours(const Ours&) = delete;
    Ours& operator=(const Ours&) = delete;

    /// Of a slab cache always an object, whatever the bytes.
    [[nodiscard]] void* allocate(std::size_t bytes) {
        const auto block = [&] {
            if constexpr (Kind == HeapKind::slab_cache)
                return heap_->allocate(me);
            else
                return heap_->allocate(me, bytes, alignment);
        }();
        return block ? memory_.data() + *block : nullptr;
    }
    void free(void* block) {
        const auto offset =
            static_cast<HeapOffset>(static_cast<std::byte*>(block) - memory_.data());
        if (!heap_->free(me, offset)) std::abort();
    }

private:
    std::span<std::byte> memory_;
    decltype(opened<Kind>({})) heap_;
};

using Tlsf = Ours<HeapKind::tlsf>;
using Buddy = Ours<HeapKind::buddy>;
using Slab = Ours<HeapKind::slab>;
using Objects = Ours<HeapKind::slab_cache>;

class ManagedSharedMemory {
public:
    ManagedSharedMemory()
        : name_("shmpool_bench_" + std::to_string(::getpid())),
          memory_(ipc::create_only, name_.c_str(), memory_bytes) {
        ipc::shared_memory_object::remove(name_.c_str());
        memory_.zero_free_memory();
    }
    [[nodiscard]] void* allocate(std::size_t bytes) {
        return memory_.allocate_aligned(bytes, alignment, std::nothrow);
    }
    void free(void* block) { memory_.deallocate(block); }

private:
    std::string name_;
    ipc::managed_shared_memory memory_;
};

/// Objects of one size of Boost.Interprocess, out of its own memory.
class NodeAllocator {
public:
    NodeAllocator()
        : name_("shmpool_bench_nodes_" + std::to_string(::getpid())),
          memory_(ipc::create_only, name_.c_str(), memory_bytes),
          nodes_(memory_.get_segment_manager()) {
        ipc::shared_memory_object::remove(name_.c_str());
        memory_.zero_free_memory();
    }
    [[nodiscard]] void* allocate(std::size_t) { return nodes_.allocate_one().get(); }
    void free(void* block) { nodes_.deallocate_one(static_cast<Node*>(block)); }

private:
    struct Node {
        std::byte bytes[64];
    };
    std::string name_;
    ipc::managed_shared_memory memory_;
    ipc::node_allocator<Node, ipc::managed_shared_memory::segment_manager> nodes_;
};

class Malloc {
public:
    [[nodiscard]] void* allocate(std::size_t bytes) { return std::malloc(bytes); }
    void free(void* block) { std::free(block); }
};

template <typename Heap>
void pair(benchmark::State& state) {
    Heap heap;
    const auto bytes = static_cast<std::size_t>(state.range(0));
    for (auto _ : state) {
        void* const block = heap.allocate(bytes);
        benchmark::DoNotOptimize(block);
        heap.free(block);
    }
}

/// 16 B .. 64 KiB, each power of two as likely as the next.
class RandomSizes {
public:
    std::size_t next() {
        const std::size_t power = random_() % 12;
        return (std::size_t{16} << power) + random_() % (std::size_t{16} << power);
    }
    std::size_t below(std::size_t limit) { return random_() % limit; }

private:
    std::minstd_rand random_{11};
};

template <typename Heap>
class LiveSet {
public:
    explicit LiveSet(Heap& heap) : heap_(heap), blocks_(1000, nullptr) {}
    ~LiveSet() {
        for (void* const one : blocks_) {
            if (one != nullptr) heap_.free(one);
        }
    }
    LiveSet(const LiveSet&) = delete;
    LiveSet& operator=(const LiveSet&) = delete;
    /// One is freed, another takes its place.
    void step() {
        void*& place = blocks_[sizes_.below(blocks_.size())];
        if (place != nullptr) heap_.free(place);
        place = heap_.allocate(sizes_.next());
    }

private:
    Heap& heap_;
    RandomSizes sizes_;
    std::vector<void*> blocks_;
};

template <typename Heap>
void random_pairs(benchmark::State& state) {
    Heap heap;
    LiveSet<Heap> live(heap);
    for (std::int64_t i = 0; i < state.range(0); ++i) live.step();
    for (auto _ : state) live.step();
}

/// The rival does the same all the while.
template <typename Heap>
void pair_of_two_processes(benchmark::State& state) {
    Heap heap;
    const auto bytes = static_cast<std::size_t>(state.range(0));
    const ChildProcess rival([&] {
        me = 2;
        for (;;) heap.free(heap.allocate(bytes));
        return 0;
    });
    for (auto _ : state) {
        void* const block = heap.allocate(bytes);
        benchmark::DoNotOptimize(block);
        heap.free(block);
    }
}

template <HeapSync When>
HeapFile file_of(HeapKind kind) {
    const auto path =
        std::filesystem::temp_directory_path() / ("shmpool_bench_" + std::to_string(::getpid()));
    auto file = HeapFile::create(path, kind, 16 << 20, {}, When);
    std::filesystem::remove(path);
    if (!file) std::abort();
    return std::move(*file);
}

template <HeapSync When>
void pair_on_a_file(benchmark::State& state) {
    const HeapFile file = file_of<When>(HeapKind::first_fit);
    StackHeap& heap = **file.stack_heap();
    for (auto _ : state) {
        const auto block = heap.alloc(me, 100);
        if (!block || !heap.dealloc(me, *block)) std::abort();
    }
}

template <HeapSync When>
void page_on_a_file(benchmark::State& state) {
    const HeapFile file = file_of<When>(HeapKind::page_chain);
    PageChain& pages = **file.page_chain();
    for (auto _ : state) {
        const auto page = pages.allocate(me);
        if (!page || !pages.free(me, *page)) std::abort();
    }
}
// --- a map in a buffer of Boost.Interprocess, changed as one

using Map = ipc::map<int, int, std::less<>, BestFitAllocator<std::pair<const int, int>>>;

/// So many inserts, and erasures of the oldest, in each change of a map of a thousand.
void change(benchmark::State& state) {
    const Descriptor object = create_memory_object("bench", memory_bytes).value();
    const auto mapping = SharedMapping::map(object, memory_bytes, Access::read_write).value();
    if (!format_heap(mapping.span(), HeapKind::best_fit)) std::abort();
    const auto heap = open_best_fit_heap(mapping.span(), {object}).value();
    int next = 0;
    const auto insert_and_erase = [&](BestFit& buffer) {
        auto& map = *buffer.find_or_construct<Map>("map")(buffer.get_segment_manager());
        for (std::int64_t i = 0; i < state.range(0); ++i) {
            map.emplace(next, next);
            map.erase(next++ - 1000);
        }
    };
    for (int i = 0; i < 1000; ++i) (void)heap->change(me, insert_and_erase);
    for (auto _ : state) {
        if (!heap->change(me, insert_and_erase)) std::abort();
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(change)->Arg(1)->Arg(10)->Arg(100);

BENCHMARK(pair_on_a_file<HeapSync::each_change>)->UseRealTime();
BENCHMARK(pair_on_a_file<HeapSync::when_asked>)->UseRealTime();
BENCHMARK(page_on_a_file<HeapSync::each_change>)->UseRealTime();
BENCHMARK(page_on_a_file<HeapSync::when_asked>)->UseRealTime();

#define SHMPOOL_HEAPS(play, ...)         \
    BENCHMARK(play<Tlsf>)->__VA_ARGS__;  \
    BENCHMARK(play<Buddy>)->__VA_ARGS__; \
    BENCHMARK(play<Slab>)->__VA_ARGS__;  \
    BENCHMARK(play<ManagedSharedMemory>)->__VA_ARGS__
SHMPOOL_HEAPS(pair, Arg(64)->Arg(1024)->Arg(65536));
BENCHMARK(pair<Malloc>)->Arg(64)->Arg(1024)->Arg(65536);
SHMPOOL_HEAPS(random_pairs, Arg(10'000)->Arg(10'000'000));
BENCHMARK(random_pairs<Malloc>)->Arg(10'000)->Arg(10'000'000);
SHMPOOL_HEAPS(pair_of_two_processes, Arg(1024)->UseRealTime());
BENCHMARK(pair<Objects>)->Arg(64);
BENCHMARK(pair<NodeAllocator>)->Arg(64);
BENCHMARK(random_pairs<Objects>)->Arg(10'000)->Arg(10'000'000);
BENCHMARK(random_pairs<NodeAllocator>)->Arg(10'000)->Arg(10'000'000);
BENCHMARK(pair_of_two_processes<Objects>)->Arg(64)->UseRealTime();
// Of nodes not: the rival is killed at the end, and who closes them waits for ever if it was in
// one.

}  // namespace
}  // namespace shmpool

BENCHMARK_MAIN();
