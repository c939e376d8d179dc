// SPDX-License-Identifier: Apache-2.0
// shmpool in the contest: `handles` end their slots themselves, `raw` names them by SlotRef and
// checks each free exactly; `direct` has so few slots that there are no magazines.
#include <cstring>
#include <memory>

#include "contest.hpp"
#include "shmpool/platform/memory_object.hpp"
#include "shmpool/platform/shared_mapping.hpp"
#include "shmpool/pool/var_slot_pool.hpp"

namespace shmpool::contest {
namespace {

struct Pool {
    explicit Pool(std::uint32_t slot_count) : config{block_bytes, slot_count} {
        memory = *create_memory_object("contest", layout.total_bytes());
        map();
        pool = std::make_unique<VarSlotPool>(*VarSlotPool::init(region(), {&config, 1}, 64));
        lane = *pool->open_lane(1);
    }
    /// In another process, which has inherited the descriptor and not the mapping.
    void join() {
        map();
        pool = std::make_unique<VarSlotPool>(*VarSlotPool::attach(region(), {&config, 1}));
        lane = *pool->open_lane(2);
    }

    void map() { mapping = *SharedMapping::map(memory, layout.total_bytes(), Access::read_write); }
    [[nodiscard]] PoolRegion region() const {
        return *PoolRegion::single(mapping.span(), 0, layout);
    }

    SizeClassConfig config;
    PoolLayout layout = *VarSlotPool::layout({&config, 1}, 64);
    Descriptor memory;
    SharedMapping mapping;
    std::unique_ptr<VarSlotPool> pool;
    std::unique_ptr<Lane> lane;
};

template <std::uint32_t slots>
struct Handles : Pool {
    using Block = VarSlotPool::Loaned;
    static constexpr std::size_t blocks_max = slots;
    static constexpr Second second = Second::process;

    Handles() : Pool(slots) {}
    Block take() { return *pool->loan(*lane, block_bytes); }
    void* data(Block block) { return pool->view().classes[0].data(position_of(block.key)); }
    void give(Block block) { (void)pool->end_loan(*lane, block); }
};

struct Raw : Pool {
    using Block = SlotRef;
    static constexpr std::size_t blocks_max = blocks_wanted;
    static constexpr Second second = Second::process;

    Raw() : Pool(blocks_wanted) {}
    Block take() { return *pool->allocate(*lane, block_bytes); }
    void* data(Block block) { return pool->view().classes[0].data(block.slot_index); }
    void give(Block block) { (void)pool->free(*lane, block); }
};

template <typename Allocator>
int run_new() {
    Allocator allocator;
    return run(allocator);
}

int run_named(const char* name) {
    if (std::strcmp(name, "raw") == 0) return run_new<Raw>();
    if (std::strcmp(name, "direct") == 0) return run_new<Handles<100>>();
    return run_new<Handles<blocks_wanted>>();
}

}  // namespace
}  // namespace shmpool::contest

int main(int argument_count, char** arguments) {
    return shmpool::contest::run_named(argument_count > 1 ? arguments[1] : "handles");
}
