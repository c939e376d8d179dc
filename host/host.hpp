// SPDX-License-Identifier: Apache-2.0
/// One host with one pool: builds every part, points each at what it needs, and runs the one loop
/// in which everything happens but waiting for beacons. Orderly stop: peers are told and get a
/// grace period to leave; then every wait in the segment ends with `host_stopped`.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "host/pool_service.hpp"
#include "host/segment_source.hpp"

namespace shmpool::host {

/// What must be there before any part is built.
struct HostFoundation {
    PoolConfig config;
    const HostLog* log = nullptr;
    std::shared_ptr<Closer> closer;
    LocalListener listener;
    EventQueue queue;
    SignalQueue signals;
    std::vector<LocalConnection> callers;  ///< Connected, not yet answered.
};

/// One thread. Pinned: the parts point at each other.
class Host {
public:
    /// Ready to be attached to, or the first thing that is missing. A living host of that name:
    /// `name_taken` with its pid, before anything else is touched. `log` must live longer.
    [[nodiscard]] static Result<std::unique_ptr<Host>> create(const PoolConfig& config,
                                                              const HostLog& log);

    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    /// Returns after an orderly stop (SIGTERM, SIGINT).
    [[nodiscard]] Result<void> run();

private:
    explicit Host(HostFoundation foundation);

    [[nodiscard]] Result<void> watch_descriptors();
    [[nodiscard]] Result<void> serve(PoolParts parts);
    [[nodiscard]] bool replace_pool();
    void take_over();
    void announce_ready();
    void dispatch(std::uint64_t token);
    void handle_signal();
    void process_ended(PeerId id);
    void begin_stop();
    void finish_stop();
    [[nodiscard]] bool is_stopped() const;
    [[nodiscard]] std::chrono::nanoseconds time_to_next_look() const;

    HostFoundation base_;
    std::unique_ptr<PoolService> service_;
    std::optional<Deadline> stop_deadline_;
};

}  // namespace shmpool::host
