// SPDX-License-Identifier: Apache-2.0
/// Tells for the price of one load whether this process is still the one that made the token: a
/// private page that the kernel empties in the child of fork() (MADV_WIPEONFORK, Linux 4.14).
/// A child of vfork(), which shares the parent's memory until exec, is not told apart.
#pragma once

#include <atomic>
#include <cstdint>

#include "shmpool/platform/result.hpp"

namespace shmpool {

class ForkToken {
public:
    /// A token that was moved from, or never created, is not valid.
    ForkToken() noexcept = default;
    ForkToken(ForkToken&& other) noexcept;
    ForkToken& operator=(ForkToken&& other) noexcept;
    ~ForkToken() { unmap(); }

    /// Errc::out_of_memory, system.
    [[nodiscard]] static Result<ForkToken> create();

    /// False in a forked child. Relaxed: fork itself orders it.
    [[nodiscard]] bool valid() const noexcept {
        return mark_ != nullptr && mark_->load(std::memory_order_relaxed) != 0;
    }

private:
    void unmap() noexcept;

    std::atomic<std::uint32_t>* mark_ = nullptr;  // Own page; not shared, so not an `Atomic`.
};

}  // namespace shmpool
