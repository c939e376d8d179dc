// SPDX-License-Identifier: Apache-2.0
/// What two actors on two processors do with one allocator of the contest: both take and give at
/// once, for themselves; or one takes and the other gives. The second actor is another process, or
/// a thread where an allocator is one process's alone. Million blocks a second.
///
/// An allocator says which one by `second`, and its second actor calls `join()` first. A probe runs
/// before and after: how long a cache line takes from one processor to the other. Figures with
/// different probes are figures of different machines.
#pragma once

#include <sched.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "shmpool/platform/atomics.hpp"
#include "tests/protocol/child_process.hpp"
#include "tests/shmpool/platform/stay_on.hpp"
#include "workloads.hpp"

namespace shmpool::contest {

enum class Second { process, thread };

/// Out at once: what both hold, or what is on its way between them.
inline constexpr std::size_t blocks_of_two = 2048;

struct TwoProcessors {
    unsigned first;
    unsigned second;
};
/// The last two that this process may run on; none if there are not so many.
inline std::optional<TwoProcessors> two_processors() {
    cpu_set_t allowed;
    ::sched_getaffinity(0, sizeof(allowed), &allowed);
    std::vector<unsigned> all;
    for (unsigned i = 0; i < CPU_SETSIZE; ++i) {
        if (CPU_ISSET(i, &allowed)) all.push_back(i);
    }
    if (all.size() < 2) return std::nullopt;
    return TwoProcessors{all[all.size() - 1], all[all.size() - 2]};
}

/// Single producer, single consumer: the least that a hand-over can cost.
template <typename Block>
class HandOver {
public:
    bool push(const Block& block) {
        const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
        if (tail - head_.load(std::memory_order_acquire) == blocks_.size())  // [A-head]
            return false;
        blocks_[tail % blocks_.size()] = block;
        tail_.store(tail + 1, std::memory_order_release);  // [R-tail]
        return true;
    }
    bool pop(Block& block) {
        const std::uint64_t head = head_.load(std::memory_order_relaxed);
        if (head == tail_.load(std::memory_order_acquire)) return false;  // [A-tail]
        block = blocks_[head % blocks_.size()];
        head_.store(head + 1, std::memory_order_release);  // [R-head]
        return true;
    }

private:
    alignas(64) std::atomic<std::uint64_t> tail_{0};
    alignas(64) std::atomic<std::uint64_t> head_{0};
    alignas(64) std::array<Block, 512> blocks_{};
};

enum class Play : std::uint32_t { none, probe, for_itself, give, random_steps, end };

template <typename Allocator>
class TwoActors {
public:
    using Block = typename Allocator::Block;

    /// The calling thread is the first, and stays on another processor.
    TwoActors(Allocator& allocator, unsigned second_processor) : allocator_(allocator) {
        const auto play = [this, second_processor] {
            stay_on(second_processor);
            allocator_.join();
            second();
            return 0;
        };
        if constexpr (Allocator::second == Second::process) {
            process_.emplace(play);
        } else {
            thread_ = std::thread(play);
        }
    }
    ~TwoActors() {
        begin(Play::end);
        if (process_) process_->wait();
        if (thread_.joinable()) thread_.join();
    }

    /// Nanoseconds of a cache line from one to the other.
    double probe() {
        constexpr std::uint64_t rounds = 20'000;
        begin(Play::probe);
        const auto from = Clock::now();
        for (std::uint64_t i = 1; i < 2 * rounds; i += 2) {
            shared_->ball.store(i, std::memory_order_release);                           // [R-ball]
            while (shared_->ball.load(std::memory_order_acquire) != i + 1) cpu_relax();  // [A-ball]
        }
        const double ns = std::chrono::duration<double, std::nano>(Clock::now() - from).count();
        finish();
        return ns / (2 * rounds);
    }
    double each_for_itself() {
        begin(Play::for_itself);
        return million_a_second([this] {
            take_and_give();
            return blocks_a_look;
        });
    }
    /// The first takes, the second gives.
    double handed_over() {
        begin(Play::give);
        return million_a_second([this] {
            for (std::uint32_t i = 0; i < blocks_a_look; ++i) {
                const Block block = allocator_.take();
                touch(allocator_.data(block));
                while (!shared_->hand_over.push(block)) cpu_relax();
            }
            return 0U;  // The second counts.
        });
    }
    void both_step_at_random() {
        begin(Play::random_steps);
        random_steps(1);
        finish();
    }

private:
    using Clock = std::chrono::steady_clock;
    static constexpr std::uint32_t blocks_a_look = 1024;
    static constexpr std::uint32_t steps = 5'000'000;
    static constexpr std::size_t held_max = blocks_of_two / 2;

    struct Shared {
        std::atomic<Play> play{Play::none};
        std::atomic<bool> is_playing{false};
        alignas(64) std::atomic<bool> enough{false};
        alignas(64) std::atomic<std::uint64_t> by_second{0};
        alignas(64) std::atomic<std::uint64_t> ball{0};
        HandOver<Block> hand_over;
    };

    void begin(Play play) {
        shared_->enough = false;
        shared_->ball = 0;
        shared_->play = play;
        while (play != Play::end && !shared_->is_playing) cpu_relax();
    }
    void finish() {
        shared_->enough = true;
        while (shared_->is_playing) cpu_relax();
    }
    template <typename Look>
    double million_a_second(Look look) {
        look();  // Warm.
        const std::uint64_t before = shared_->by_second;
        const auto from = Clock::now();
        std::uint64_t own = 0;
        do {
            own += look();
        } while (Clock::now() - from < per_workload);
        const std::chrono::duration<double, std::micro> passed = Clock::now() - from;
        const std::uint64_t by_second = shared_->by_second - before;
        finish();
        return static_cast<double>(own + by_second) / passed.count();
    }

    void take_and_give() {
        for (std::uint32_t i = 0; i < blocks_a_look; ++i) {
            const Block block = allocator_.take();
            touch(allocator_.data(block));
            allocator_.give(block);
        }
    }
    void random_steps(std::uint32_t seed) {
        std::minstd_rand random(seed);
        std::vector<std::optional<Block>> held(held_max);
        for (std::uint32_t i = 0; i < steps; ++i) {
            std::optional<Block>& one = held[random() % held_max];
            if (one) {
                allocator_.give(*one);
                one.reset();
            } else {
                one = allocator_.take();
            }
        }
        for (const auto& one : held) {
            if (one) allocator_.give(*one);
        }
    }

    void second() {
        for (;;) {
            const Play play = shared_->play.exchange(Play::none);
            if (play == Play::none) {
                cpu_relax();
                continue;
            }
            if (play == Play::end) return;
            shared_->is_playing = true;
            do_second(play);
            shared_->is_playing = false;
        }
    }
    void do_second(Play play) {
        switch (play) {
            case Play::probe: return answer();
            case Play::random_steps: return random_steps(2);
            case Play::give: return give_what_comes();
            default: break;
        }
        while (!shared_->enough) {
            take_and_give();
            count(blocks_a_look);
        }
    }
    void answer() {
        std::uint64_t last = 0;
        while (!shared_->enough) {
            const std::uint64_t now = shared_->ball.load(std::memory_order_acquire);  // [A-ball]
            if (now == last || now % 2 == 0) continue;
            last = now + 1;
            shared_->ball.store(last, std::memory_order_release);  // [R-ball]
        }
    }
    void give_what_comes() {
        Block block{};
        std::uint32_t uncounted = 0;
        for (;;) {
            if (shared_->hand_over.pop(block)) {
                allocator_.give(block);
                if (++uncounted == 64) count(std::exchange(uncounted, 0U));
            } else if (shared_->enough) {
                return;
            }
        }
    }
    void count(std::uint32_t blocks) {
        shared_->by_second.store(shared_->by_second.load(std::memory_order_relaxed) + blocks,
                                 std::memory_order_relaxed);
    }

    Allocator& allocator_;
    testing_protocol::SharedWithChildren<Shared> shared_;
    std::optional<testing_protocol::ChildProcess> process_;
    std::thread thread_;
};

}  // namespace shmpool::contest
