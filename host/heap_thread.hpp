// SPDX-License-Identifier: Apache-2.0
/// Makes heaps, and has them grow, on a thread of its own, one after the other, while the host's
/// loop serves everybody (protocol/heap_builder.hpp says what that is). The thread writes into the
/// memory of the one heap that it has been given: of one that nobody can open yet, or under the
/// heap's lock. The table of heaps stays the loop's alone.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "host/kernel_events.hpp"
#include "protocol/heap_builder.hpp"

namespace shmpool::host {

/// Starts its thread with the first task. All but the tasks: the loop's thread.
class HeapThread final : public HeapBuilder {
public:
    explicit HeapThread(EventFlag flag) : flag_(std::move(flag)) {}
    ~HeapThread() override { finish(); }

    /// Without the means for a thread it is done at once, as by HeapBuilderInTurn.
    void begin(HeapWorkId work, Task task) override;
    [[nodiscard]] bool withdraw(HeapWorkId work) override;
    [[nodiscard]] std::vector<Built> collect() override;
    /// Waits for a task that is under way; none is begun any more.
    void finish();

    /// Readable while there is something to collect.
    [[nodiscard]] const Descriptor& descriptor() const { return flag_.descriptor(); }

private:
    struct Order {
        HeapWorkId work;
        Task task;
    };

    void run();
    void do_one(std::unique_lock<std::mutex>& lock);

    EventFlag flag_;
    std::mutex mutex_;  // Guards the four below; not held while a task is under way.
    std::condition_variable wake_;
    std::deque<Order> orders_;
    std::vector<Built> built_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace shmpool::host
