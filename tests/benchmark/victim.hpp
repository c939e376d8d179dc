// SPDX-License-Identifier: Apache-2.0
/// Peers that live to be killed, each a process of its own, and the moments of their deaths as the
/// host has written them into the segment's header: noticed by the beacon, and all slots back.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "peer/cli/observer.hpp"
#include "peer/peer.hpp"
#include "tests/peer/running_host.hpp"

namespace shmpool {

/// Attaches, prepares itself, and then waits for its death.
class Victim {
public:
    /// False: it can not, on this machine.
    using Preparation = std::function<bool(Peer&)>;

    /// Returns when the victim is ready, or has failed.
    Victim(const std::string& pool, const Preparation& prepare);

    [[nodiscard]] bool ready() const { return ready_; }
    [[nodiscard]] Child& process() { return *process_; }

private:
    std::unique_ptr<Child> process_;
    bool ready_ = false;
};

/// Moments after the kill.
struct Death {
    double noticed_us = 0;    ///< By the host: its beacon, or its end.
    double ended_us = 0;      ///< The kernel has torn it down, as seen by this program.
    double reclaimed_us = 0;  ///< By the host: what it held is in the free lists again.
    std::uint64_t slots = 0;
};

class DeathWatch {
public:
    explicit DeathWatch(const std::string& pool);

    /// kill -9. None if the host does not reclaim it.
    [[nodiscard]] std::optional<Death> kill(Victim& victim) const;

    /// How many peers have died and were reclaimed.
    [[nodiscard]] std::uint64_t deaths() const {
        return observer_->header().peers_reclaimed.load(
            std::memory_order_acquire);  // [A-statistics]
    }

private:
    std::unique_ptr<cli::Observer> observer_;
};

/// Allocates slots of this size. False if there are not as many.
[[nodiscard]] bool hold_slots(Peer& peer, std::size_t slot_bytes, std::uint32_t count);

/// Makes a free list of a fresh pool one without any order, as after long use: allocates all slots
/// and frees them in a random order.
[[nodiscard]] bool shuffle_free_list(const std::string& pool, std::size_t slot_bytes,
                                     std::uint32_t count);

/// Counters NAME_p50, NAME_p99 and NAME_max.
void count_quantiles(benchmark::State& state, const std::string& name, std::vector<double> values);

}  // namespace shmpool
