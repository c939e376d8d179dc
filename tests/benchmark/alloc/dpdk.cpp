// SPDX-License-Identifier: Apache-2.0
// A mempool of DPDK in the contest, with a cache of 256 objects for each core, or without one.
#include <rte_eal.h>
#include <rte_mempool.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "contest.hpp"

namespace shmpool::contest {
namespace {

struct Mempool {
    using Block = void*;
    static constexpr std::size_t blocks_max = blocks_wanted - 1;
    static constexpr Second second = Second::thread;

    explicit Mempool(unsigned cache_objects)
        : pool(rte_mempool_create("contest", blocks_max, block_bytes, cache_objects, 0, nullptr,
                                  nullptr, nullptr, nullptr, SOCKET_ID_ANY, 0)) {
        if (pool == nullptr) std::exit(1);
    }
    void join() {  // Else it would have no cache.
        if (rte_thread_register() != 0) std::exit(1);
    }
    Block take() {
        void* block = nullptr;
        if (rte_mempool_get(pool, &block) != 0) std::exit(1);
        return block;
    }
    void* data(Block block) { return block; }
    void give(Block block) { rte_mempool_put(pool, block); }

    rte_mempool* pool;
};

}  // namespace
}  // namespace shmpool::contest

int main(int argument_count, char** arguments) {
    // What runs beside it has no part in it: no hugepages, no devices, one core.
    std::array<char*, 9> words{};
    const std::array given{
        "contest", "--no-huge",        "--no-pci",       "--no-shconf",          "-m",
        "128",     "--lcores=0@(0-1)", "--no-telemetry", "--log-level=lib.eal:4"};
    for (std::size_t i = 0; i < given.size(); ++i) words[i] = ::strdup(given[i]);
    if (rte_eal_init(static_cast<int>(words.size()), words.data()) < 0) return 1;
    const bool has_cache = argument_count < 2 || std::strcmp(arguments[1], "cached") == 0;
    shmpool::contest::Mempool pool(has_cache ? 256 : 0);
    return shmpool::contest::run(pool);
}
