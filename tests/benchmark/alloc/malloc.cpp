// SPDX-License-Identifier: Apache-2.0
// malloc in the contest: glibc's, or whichever is loaded in front of it.
#include <cstdlib>

#include "contest.hpp"

namespace shmpool::contest {
namespace {

struct Malloc {
    using Block = void*;
    static constexpr std::size_t blocks_max = blocks_wanted;
    static constexpr Second second = Second::thread;

    void join() {}
    Block take() { return std::malloc(block_bytes); }
    void* data(Block block) { return block; }
    void give(Block block) { std::free(block); }
};

}  // namespace
}  // namespace shmpool::contest

int main() {
    shmpool::contest::Malloc malloc;
    return shmpool::contest::run(malloc);
}
