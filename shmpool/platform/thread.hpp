// SPDX-License-Identifier: Apache-2.0
/// What a thread says of itself to the kernel: its name, and that its waits shall not last.
#pragma once

namespace shmpool {

/// As top and gdb show it; 15 characters at most.
void name_this_thread(const char* name) noexcept;

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
