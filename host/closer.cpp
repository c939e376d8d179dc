// SPDX-License-Identifier: Apache-2.0
#include "host/closer.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "host/kernel_events.hpp"
#include "protocol/wire/local_socket.hpp"
#include "shmpool/platform/process.hpp"
#include "shmpool/platform/thread.hpp"

namespace shmpool::host {
namespace {

constexpr std::chrono::seconds idle_time{1};

}  // namespace

/// The threads for one kind of descriptors, and what waits for them. Owned by each of its threads.
class Closer::Crew : public std::enable_shared_from_this<Closer::Crew> {
public:
    void take(uid_t user, Descriptor descriptor) {
        const std::lock_guard lock(mutex_);
        Queue& queue = queues_[user];
        queue.waiting.push_back(std::move(descriptor));
        waiting_.fetch_add(1, std::memory_order_relaxed);
        if (queue.is_served || queue.waiting.size() > 1) return;  // Its turn comes.
        ready_.push_back(user);
        if (ready_.size() <= idle_) return wake_.notify_one();
        if (threads_ < threads_max) start_thread();
    }

    /// Of all users, a moment ago.
    std::size_t waiting() const { return waiting_.load(std::memory_order_relaxed); }

    std::size_t waiting_of(uid_t user) {
        const std::lock_guard lock(mutex_);
        const auto found = queues_.find(user);
        if (found == queues_.end()) return 0;
        return found->second.waiting.size() + (found->second.is_served ? 1 : 0);
    }

private:
    struct Queue {
        std::deque<Descriptor> waiting;
        bool is_served = false;  ///< A thread closes one of them.
    };

    /// If there is none and none can be had, what has come is closed in place: to keep it until
    /// there is a thread would only be another way to come to a halt.
    void start_thread() {
        try {
            std::thread([crew = shared_from_this()] { crew->work(); }).detach();
            ++threads_;
        } catch (const std::system_error&) {
            if (threads_ != 0) return;
            WaitInterrupter interrupter;
            interrupter.begin();
            queues_.clear();
            ready_.clear();
            waiting_.store(0, std::memory_order_relaxed);
        }
    }

    void work() {
        name_this_thread("shmpoold-closer");
        WaitInterrupter interrupter;
        std::unique_lock lock(mutex_);
        while (wait_for_work(lock)) {
            const uid_t user = ready_.front();
            ready_.pop_front();
            Queue& queue = queues_[user];  // Stays where it is as long as it is served.
            Descriptor descriptor = std::move(queue.waiting.front());
            queue.waiting.pop_front();
            queue.is_served = true;
            lock.unlock();
            interrupter.begin();
            descriptor = Descriptor();
            interrupter.end();
            lock.lock();
            queue.is_served = false;
            waiting_.fetch_sub(1, std::memory_order_relaxed);
            queue.waiting.empty() ? void(queues_.erase(user)) : ready_.push_back(user);
        }
        --threads_;
    }

    bool wait_for_work(std::unique_lock<std::mutex>& lock) {
        ++idle_;
        const bool found = wake_.wait_for(lock, idle_time, [this] { return !ready_.empty(); });
        --idle_;
        return found;
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    std::map<uid_t, Queue> queues_;
    std::atomic<std::size_t> waiting_{0};
    std::deque<uid_t> ready_;  ///< Something of theirs waits, and nobody serves them. In turn.
    std::size_t threads_ = 0;
    std::size_t idle_ = 0;
};

Closer::Closer()
    : of_received_(std::make_shared<Crew>()),
      of_sockets_(std::make_shared<Crew>()),
      process_id_(own_process_id()) {}

Closer::~Closer() = default;

/// A child of fork() has neither the threads nor a say in connections of its parent.
bool Closer::is_forked() const noexcept {
    return process_id_ != own_process_id();
}

void Closer::close_received(uid_t user, Descriptor descriptor) noexcept {
    if (!is_forked()) of_received_->take(user, std::move(descriptor));
}

void Closer::close_socket(Descriptor socket) noexcept {
    if (is_forked()) return;
    shut_down(socket);
    if (discard_unread(socket)) return;
    const uid_t user = user_of_socket_peer(socket);
    of_sockets_->take(user, std::move(socket));
}

/// Asked for every message: nobody is, nearly always.
bool Closer::is_behind(uid_t user) const {
    if (of_received_->waiting() + of_sockets_->waiting() <= waiting_max) return false;
    return of_received_->waiting_of(user) + of_sockets_->waiting_of(user) > waiting_max;
}

}  // namespace shmpool::host
