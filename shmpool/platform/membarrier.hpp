// SPDX-License-Identifier: Apache-2.0
/// A full memory barrier executed on behalf of other processes (membarrier(2)), so that their hot
/// path pays nothing: after `global_barrier()` returns, every thread of every registered process
/// has passed a full barrier since the call began, running or not.
#pragma once

#include "shmpool/platform/result.hpp"

namespace shmpool {

/// Once per process that is to be reached, before its hot path relies on it. Idempotent; lost by
/// exec, kept by fork. Errc::system where the kernel has no membarrier.
[[nodiscard]] Result<void> register_global_barrier();

/// Some microseconds; interrupts the cores that run registered threads. Falls back to waiting until
/// every core has scheduled (milliseconds) where the expedited form is missing; there, registration
/// does not matter.
void global_barrier() noexcept;

}  // namespace shmpool
