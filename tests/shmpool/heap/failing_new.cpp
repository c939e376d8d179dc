// SPDX-License-Identifier: Apache-2.0
#include "tests/shmpool/heap/failing_new.hpp"

#include <cstdlib>
#include <new>

namespace {

constexpr std::uint64_t plenty = ~std::uint64_t{0};
thread_local std::uint64_t good_ones_left = plenty;
thread_local bool has_failed = false;

}  // namespace

void* operator new(std::size_t bytes) {
    if (good_ones_left == 0) {
        has_failed = true;
        throw std::bad_alloc();
    }
    if (good_ones_left != plenty) --good_ones_left;
    void* const block = std::malloc(bytes == 0 ? 1 : bytes);
    if (block == nullptr) throw std::bad_alloc();
    return block;
}
void operator delete(void* block) noexcept {
    std::free(block);
}
void operator delete(void* block, std::size_t) noexcept {
    std::free(block);
}

namespace shmpool::test {

NoMemoryBehind::NoMemoryBehind(std::uint64_t good) {
    has_failed = false;
    good_ones_left = good;
}
NoMemoryBehind::~NoMemoryBehind() {
    good_ones_left = plenty;
}
bool NoMemoryBehind::was_met() const {
    return has_failed;
}

}  // namespace shmpool::test
