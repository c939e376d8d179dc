// SPDX-License-Identifier: Apache-2.0
/// See membarrier.hpp.
#include "shmpool/platform/membarrier.hpp"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace shmpool {
namespace {

long membarrier(int command) {
    return ::syscall(SYS_membarrier, command, 0U, 0);
}

}  // namespace

Result<void> register_global_barrier() {
    if (membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) == 0) return {};
    const int error_number = errno;
    const long commands = membarrier(MEMBARRIER_CMD_QUERY);
    if (commands > 0 && (commands & MEMBARRIER_CMD_GLOBAL) != 0) return {};
    return fail_errno(Errc::system,
                      "register for membarrier; shmpool needs Linux 4.16 or newer, and a sandbox "
                      "that lets the call through",
                      error_number);
}

void global_barrier() noexcept {
    if (membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED) != 0) membarrier(MEMBARRIER_CMD_GLOBAL);
}

}  // namespace shmpool
