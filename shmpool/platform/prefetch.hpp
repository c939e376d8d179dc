// SPDX-License-Identifier: Apache-2.0
/// Asks for a cache line that will be needed soon. Never faults, changes nothing, and may be
/// ignored by the processor.
#pragma once

namespace shmpool {

inline void fetch_to_read(const void* line) {
    __builtin_prefetch(line, 0);
}

/// The line is taken away from whoever has it, so that a store does not have to ask once more. The
/// compiler would say it for some processors only; all others take this instruction for a no-op.
inline void fetch_to_write(const void* line) {
#if defined(__x86_64__)
    __asm__ __volatile__("prefetchw %0" : : "m"(*static_cast<const char*>(line)));
#else
    __builtin_prefetch(line, 1);
#endif
}

}  // namespace shmpool
