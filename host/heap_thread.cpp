// SPDX-License-Identifier: Apache-2.0
#include "host/heap_thread.hpp"

#include <system_error>
#include <utility>

#include "shmpool/platform/thread.hpp"

namespace shmpool::host {

void HeapThread::finish() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
}

void HeapThread::begin(HeapWorkId work, Task task) {
    std::unique_lock lock(mutex_);
    orders_.push_back({work, std::move(task)});
    if (thread_.joinable()) return wake_.notify_one();
    try {
        thread_ = std::thread([this] { run(); });
    } catch (const std::system_error&) {
        do_one(lock);
    }
}

bool HeapThread::withdraw(HeapWorkId work) {
    const std::lock_guard lock(mutex_);
    return std::erase_if(orders_, [&](const Order& one) { return one.work == work; }) != 0;
}

std::vector<HeapBuilder::Built> HeapThread::collect() {
    const std::lock_guard lock(mutex_);
    flag_.lower();
    return std::exchange(built_, {});
}

void HeapThread::run() {
    name_this_thread("shmpoold-heaps");
    std::unique_lock lock(mutex_);
    for (;;) {
        wake_.wait(lock, [this] { return stopping_ || !orders_.empty(); });
        if (stopping_) return;
        do_one(lock);
    }
}

void HeapThread::do_one(std::unique_lock<std::mutex>& lock) {
    const Order order = std::move(orders_.front());
    orders_.pop_front();
    lock.unlock();
    Result<void> result = order.task();
    lock.lock();
    built_.push_back({order.work, std::move(result)});
    flag_.raise();
}

}  // namespace shmpool::host
