// SPDX-License-Identifier: Apache-2.0
#include "tests/benchmark/victim.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <random>
#include <stdexcept>
#include <thread>

#include "shmpool/platform/monotonic_clock.hpp"
#include "shmpool/platform/process.hpp"
#include "tests/protocol/child_process.hpp"

namespace shmpool {
namespace {

using testing_protocol::SharedWithChildren;

bool has_ended(pid_t pid) {
    siginfo_t info{};
    return waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
           info.si_pid != 0;
}

double us_between(std::uint64_t from_ns, std::uint64_t to_ns) {
    return (static_cast<double>(to_ns) - static_cast<double>(from_ns)) * 1e-3;
}

}  // namespace

Victim::Victim(const std::string& pool, const Preparation& prepare) {
    const SharedWithChildren<std::atomic<bool>> ready;
    process_ = std::make_unique<Child>([&] {
        auto peer = Peer::attach(pool);
        if (!peer || !prepare(*peer)) return;
        *ready = true;
        for (;;) pause();
    });
    while (!*ready && !has_ended(process_->pid())) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ready_ = *ready;
    // By then it sleeps, and the host sleeps on its beacon.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

DeathWatch::DeathWatch(const std::string& pool) {
    cli::CommonOptions options;
    options.pool = pool;
    auto observer = cli::Observer::attach(options);
    if (!observer) throw std::runtime_error(observer.error().message);
    observer_ = std::make_unique<cli::Observer>(std::move(*observer));
}

std::optional<Death> DeathWatch::kill(Victim& victim) const {
    const SegmentHeader& header = observer_->header();
    const std::uint64_t deaths_before = deaths();
    const std::uint64_t slots = header.slots_reclaimed.load(std::memory_order_relaxed);
    const auto pidfd = open_pidfd(victim.process().pid());
    if (!pidfd) return std::nullopt;

    const std::uint64_t killed_ns = monotonic_ns();
    victim.process().signal(SIGKILL);
    pollfd end{pidfd->get(), POLLIN, 0};
    ::poll(&end, 1, -1);
    const std::uint64_t ended_ns = monotonic_ns();
    victim.process().wait();
    if (!eventually([&] { return deaths() > deaths_before; })) return std::nullopt;
    Death death;
    death.noticed_us = us_between(killed_ns, header.last_notice_ns.load(std::memory_order_relaxed));
    death.ended_us = us_between(killed_ns, ended_ns);
    death.reclaimed_us =
        us_between(killed_ns, header.last_reclaim_ns.load(std::memory_order_relaxed));
    death.slots = header.slots_reclaimed.load(std::memory_order_relaxed) - slots;
    return death;
}

bool hold_slots(Peer& peer, std::size_t slot_bytes, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
        if (!peer.allocate(slot_bytes)) return false;
    }
    return true;
}

bool shuffle_free_list(const std::string& pool, std::size_t slot_bytes, std::uint32_t count) {
    Child shuffler([&] {
        auto peer = Peer::attach(pool);
        if (!peer) _exit(1);
        std::vector<SlotRef> slots;
        while (slots.size() < count) {
            const auto slot = peer->allocate(slot_bytes);
            if (!slot) _exit(1);
            slots.push_back(*slot);
        }
        std::ranges::shuffle(slots, std::mt19937(1));
        for (const SlotRef& slot : slots) {
            if (!peer->free(slot)) _exit(1);
        }
    });
    return shuffler.wait() == 0;
}

void count_quantiles(benchmark::State& state, const std::string& name, std::vector<double> values) {
    if (values.empty()) return;
    std::ranges::sort(values);
    state.counters[name + "_p50"] = values[values.size() / 2];
    state.counters[name + "_p99"] = values[(values.size() * 99 + 99) / 100 - 1];
    state.counters[name + "_max"] = values.back();
}

}  // namespace shmpool
