// SPDX-License-Identifier: Apache-2.0
/// Named narrow places at which a test can kill a process. In a normal build a crash point is
/// nothing at all; where SHMPOOL_CRASH_POINTS is defined it calls the hook with its name. The
/// names document the protocol's windows. Every file of one program must agree on the definition.
#pragma once

#if defined(SHMPOOL_CRASH_POINTS)

#include <atomic>

namespace shmpool {

using CrashHook = void (*)(const char* name);

/// Null until a test sets it. The test chooses what happens: count, or kill this very process.
inline std::atomic<CrashHook> crash_hook{nullptr};

inline void crash_point_reached(const char* name) {
    // Relaxed: a test sets the hook before it starts the threads that meet it.
    const CrashHook hook = crash_hook.load(std::memory_order_relaxed);
    if (hook != nullptr) hook(name);
}

}  // namespace shmpool

#define SHMPOOL_CRASH_POINT(name) ::shmpool::crash_point_reached(#name)

#else

#define SHMPOOL_CRASH_POINT(name) static_cast<void>(0)

#endif
