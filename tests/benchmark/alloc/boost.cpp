// SPDX-License-Identifier: Apache-2.0
// managed_shared_memory of Boost.Interprocess in the contest.
#include <boost/interprocess/anonymous_shared_memory.hpp>
#include <boost/interprocess/managed_external_buffer.hpp>

#include "contest.hpp"

namespace shmpool::contest {
namespace {

namespace ipc = boost::interprocess;

/// The algorithm and the lock of managed_shared_memory, in memory without a name.
struct Managed {
    using Block = void*;
    using Buffer = ipc::basic_managed_external_buffer<char, ipc::rbtree_best_fit<ipc::mutex_family>,
                                                      ipc::iset_index>;
    static constexpr std::size_t blocks_max = blocks_wanted;
    static constexpr Second second = Second::process;

    void join() {}
    Block take() { return buffer.allocate(block_bytes); }
    void* data(Block block) { return block; }
    void give(Block block) { buffer.deallocate(block); }

    ipc::mapped_region region{ipc::anonymous_shared_memory(32 << 20)};
    Buffer buffer{ipc::create_only, region.get_address(), region.get_size()};
};

}  // namespace
}  // namespace shmpool::contest

int main() {
    shmpool::contest::Managed managed;
    return shmpool::contest::run(managed);
}
