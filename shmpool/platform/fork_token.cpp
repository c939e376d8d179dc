// SPDX-License-Identifier: Apache-2.0
/// See fork_token.hpp.
#include "shmpool/platform/fork_token.hpp"

#include <errno.h>
#include <sys/mman.h>

#include <new>
#include <utility>

#include "shmpool/platform/atomics.hpp"

namespace shmpool {

Result<ForkToken> ForkToken::create() {
    void* const page =
        ::mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return fail_errno(Errc::out_of_memory, "map a page that tells a forked child", errno);
    }
    ForkToken token;
    token.mark_ = new (page) std::atomic<std::uint32_t>(1);
    if (::madvise(page, page_bytes, MADV_WIPEONFORK) != 0) {
        return fail_errno(Errc::system, "have a page emptied in forked children", errno);
    }
    return token;
}

ForkToken::ForkToken(ForkToken&& other) noexcept : mark_(std::exchange(other.mark_, nullptr)) {}

ForkToken& ForkToken::operator=(ForkToken&& other) noexcept {
    if (this != &other) {
        unmap();
        mark_ = std::exchange(other.mark_, nullptr);
    }
    return *this;
}

void ForkToken::unmap() noexcept {
    if (mark_ != nullptr) ::munmap(std::exchange(mark_, nullptr), page_bytes);
}

}  // namespace shmpool
