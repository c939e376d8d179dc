// SPDX-License-Identifier: Apache-2.0
/// Where the two processes of a contest meet, and the probe: how long a cache line takes from one
/// core to the other. On a virtual machine the two may be siblings of one core now and far apart a
/// minute later, so each figure is printed with the probe before and after it.
///
/// Pairings:
///   [R-stage] -> [A-stage]  who arrives last sees what the other did before; each probe's reply
///                           sees its question.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <thread>

#include "shmpool/platform/atomics.hpp"

namespace shmpool::contest {

enum class Side { front, back };

struct Stage {
    Atomic<std::uint32_t> arrived{0};
    double by_back = 0;  ///< What the back has measured.
    std::int64_t back_preempted = 0;
    alignas(128) Atomic<std::uint64_t> question{0};
    alignas(128) Atomic<std::uint64_t> answer{0};
};

/// The meetings of one process with the other.
class Meetings {
public:
    Meetings(Stage& stage, Side side, bool two_cores)
        : stage_(stage), side_(side), two_cores_(two_cores) {}

    /// Returns when both have come here. Sleeps only if the two share a core: a core that rests may
    /// be another one afterwards.
    void meet() {
        stage_.arrived.fetch_add(1, std::memory_order_acq_rel);  // [AR-stage]
        met_ += 2;
        while (stage_.arrived.load(std::memory_order_acquire) < met_) {  // [A-stage]
            if (!two_cores_) std::this_thread::sleep_for(std::chrono::microseconds(100));
        }
    }

    /// Nanoseconds one way, of what a front sees: the median of batches. 0 on one core.
    double probe() {
        meet();
        if (!two_cores_) return 0;
        std::array<double, 21> times{};
        for (double& time : times) time = one_batch();
        std::ranges::nth_element(times, times.begin() + times.size() / 2);
        return times[times.size() / 2];
    }

private:
    double one_batch() {
        constexpr std::uint64_t round_trips = 100;
        const auto begin = std::chrono::steady_clock::now();
        for (std::uint64_t i = 0; i < round_trips; ++i) exchange(++exchanged_);
        const std::chrono::duration<double, std::nano> passed =
            std::chrono::steady_clock::now() - begin;
        return passed.count() / 2 / static_cast<double>(round_trips);
    }

    void exchange(std::uint64_t number) {
        Atomic<std::uint64_t>& mine = side_ == Side::front ? stage_.question : stage_.answer;
        Atomic<std::uint64_t>& other = side_ == Side::front ? stage_.answer : stage_.question;
        if (side_ == Side::front) mine.store(number, std::memory_order_release);  // [R-stage]
        while (other.load(std::memory_order_acquire) != number) {                 // [A-stage]
        }
        if (side_ == Side::back) mine.store(number, std::memory_order_release);  // [R-stage]
    }

    Stage& stage_;
    Side side_;
    bool two_cores_;
    std::uint32_t met_ = 0;
    std::uint64_t exchanged_ = 0;
};

}  // namespace shmpool::contest
