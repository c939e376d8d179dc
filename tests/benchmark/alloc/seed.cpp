// SPDX-License-Identifier: Apache-2.0
// The seed's algorithm, written anew, in the contest.
#include "tests/crash/versus/seed_pool.hpp"
#include "tests/protocol/child_process.hpp"
#include "workloads.hpp"

namespace shmpool::contest {
namespace {

struct Seed {
    using Block = versus::SeedPool::SlotRef;
    static constexpr std::size_t blocks_max = versus::slots_wanted;

    Seed() { pool->init(); }
    Block take() { return *pool->allocate(1); }
    void* data(Block block) { return pool->slot_data(block); }
    void give(Block block) { (void)pool->free(block); }

    testing_protocol::SharedWithChildren<versus::SeedPool> pool;
};

}  // namespace
}  // namespace shmpool::contest

int main() {
    shmpool::contest::Seed seed;
    return shmpool::contest::run(seed);
}
