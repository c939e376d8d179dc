// SPDX-License-Identifier: Apache-2.0
/// What a thread says of itself to the kernel: its name, how soon it wants to run, and that its
/// waits shall not last.
#pragma once

namespace shmpool {

/// As top and gdb show it; 15 characters at most.
void name_this_thread(const char* name) noexcept;

/// Asks the kernel to let this thread, and those that it starts from now on (but for a policy that
/// is reset on fork), run soon after each wake-up, beside threads that compute: it gets slices of
/// 0.1 ms, the shortest that there are, as often as its share allows (EEVDF, Linux 6.12). Takes no
/// right and no more of the processor. Does nothing on an older kernel, and for a thread that
/// somebody gave another policy than SCHED_OTHER.
void ask_for_short_slices() noexcept;

/// Between `begin` and `end`, each wait of this thread in the kernel that a signal may interrupt is
/// interrupted after 0.2 ms at most, and so are those behind it in the same call: a TCP
/// socket does not linger, say. Without the means for a timer nothing is. Takes SIGURG, whose
/// handler it sets, for this process. The thread that made it.
class WaitInterrupter {
public:
    WaitInterrupter() noexcept;
    ~WaitInterrupter();
    WaitInterrupter(const WaitInterrupter&) = delete;
    WaitInterrupter& operator=(const WaitInterrupter&) = delete;

    void begin() noexcept;
    void end() noexcept;

private:
    void set(long interval_ns) noexcept;

    void* timer_ = nullptr;
    bool has_timer_ = false;
};

}  // namespace shmpool
