// SPDX-License-Identifier: Apache-2.0
// The seed's algorithm, written anew, in the contest.
#include "contest.hpp"
#include "tests/crash/versus/seed_pool.hpp"
#include "tests/protocol/child_process.hpp"

namespace shmpool::contest {
namespace {

struct Seed {
    using Block = versus::SeedSlotRef;
    static constexpr std::size_t blocks_max = blocks_wanted;
    static constexpr Second second = Second::process;

    Seed() { pool->init(); }
    void join() {}
    Block take() { return *pool->allocate(1); }
    void* data(Block block) { return pool->slot_data(block); }
    void give(Block block) { (void)pool->free(block); }

    testing_protocol::SharedWithChildren<versus::SeedPoolOf<blocks_wanted>> pool;
};

}  // namespace
}  // namespace shmpool::contest

int main() {
    shmpool::contest::Seed seed;
    return shmpool::contest::run(seed);
}
