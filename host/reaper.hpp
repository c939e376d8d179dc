// SPDX-License-Identifier: Apache-2.0
/// Decides, from what the kernel says, when a peer is gone, and takes back what it held (I7):
///
///   evidence                             consequence
///   pidfd readable                       dead: reclaimed now
///   beacon gone and socket closed, and   the process has replaced its program: reclaimed at the
///     the process still lives            next tick
///   beacon gone                          announced: `dying`, those who wait for it are woken
///   socket closed                        `suspect`
///   stopped by a signal, and still       `suspect`
///     so after `suspect_after`
///   suspect, and silent for              by policy: nothing, or SIGKILL; then its pidfd fires
///     `suspect_after`
///
/// Of peers that an earlier host has left, the process is looked for by pid and time of start. Who
/// lives is waited for, without haste, until he says Rejoin or dies, or no longer maps the segment:
/// then he has replaced his program meanwhile, or was welcomed and never came so far.
///
/// A socket that the host itself has closed is no evidence. Reclaiming waits for no peer: what
/// readers still have to drain is looked after by ticks, as long as there is something.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "host/beacon_watcher.hpp"
#include "host/host_log.hpp"
#include "host/peer_registry.hpp"
#include "host/segment_steward.hpp"
#include "protocol/reclaim_peer.hpp"

namespace shmpool::host {

/// What the reaper asks of the world, so that a test can answer.
struct ReaperSenses {
    std::function<std::uint64_t()> now_ns;
    std::function<bool(const Descriptor& pidfd)> has_ended;
    std::function<Result<void>(const Descriptor& pidfd)> kill;
    std::function<bool(std::int64_t pid)> is_stopped;
    std::function<Result<std::optional<Descriptor>>(pid_t pid, std::uint64_t started)> find_process;
    std::function<Result<bool>(pid_t pid, const Descriptor& object)> maps_object;

    [[nodiscard]] static ReaperSenses of_this_machine();
};

enum class ClosedBy : std::uint8_t { peer, host };

/// The event loop's thread.
class Reaper {
public:
    Reaper(SegmentSteward& steward, ChannelDirectory& directory, PeerRegistry& registry,
           BeaconWatcher& beacons, EventQueue& queue, const PoolConfig& config, const HostLog& log,
           ReaperSenses senses = ReaperSenses::of_this_machine());

    void pidfd_readable(PeerId id);
    void beacon_fired(PeerId id, std::uint64_t noticed_ns);
    /// Nothing happens if the peer has another connection by now.
    void connection_closed(PeerId id, std::uint64_t session_id, ClosedBy who);

    /// Returns after what it held has been taken back.
    void said_goodbye(PeerId id);

    /// A publisher or subscriber was closed: rings may have to be drained.
    void endpoint_closed() { look_soon(); }

    /// A peer has come: from now on somebody may be stopped.
    void peer_attached();

    /// Of all peers that an earlier host has left: the dead are reclaimed, the others watched.
    /// Once, after PeerRegistry::take_over.
    void take_over();
    /// A peer has come back, on a connection of its own.
    void rejoined(Peer& peer, std::uint64_t session_id, Descriptor pidfd);

    /// When `tick` wants to be called; none: nothing waits.
    [[nodiscard]] std::optional<std::uint64_t> next_tick_ns() const;
    void tick();

private:
    void take_over(Peer& peer);
    /// Its pidfd; none if it is gone.
    [[nodiscard]] Result<std::optional<Descriptor>> find_process(const Peer& peer,
                                                                 const PeerImage& image) const;
    void watch_process(Peer& peer, Descriptor pidfd);
    void reclaim(Peer& peer, EndpointState how);
    bool continue_reclaim(Peer& peer);
    void end_watching(Peer& peer);
    void wake_partners(const Peer& peer);
    void look_soon();
    std::uint64_t reclaim_in_heaps();
    void drain(std::uint64_t now_ns);
    void look_for_replaced();
    [[nodiscard]] bool still_maps(const Peer& peer) const;
    void look_for_stopped(std::uint64_t now_ns);
    void look_whether_stopped(Peer& peer, std::uint64_t now_ns);
    void look_at_awaited(Peer& peer);
    void judge_silent(std::uint64_t now_ns);
    void judge(Peer& peer);
    [[nodiscard]] std::uint64_t suspect_after_ns() const;
    [[nodiscard]] std::uint64_t stopped_look_interval_ns() const;

    SegmentSteward& steward_;
    ChannelDirectory& directory_;
    PeerRegistry& registry_;
    BeaconWatcher& beacons_;
    EventQueue& queue_;
    const PoolConfig& config_;
    const HostLog& log_;
    ReaperSenses senses_;
    PeerReclaim reclaim_;
    // Times of the next look; 0: there is nothing to look for.
    std::uint64_t drain_at_ns_ = 0;
    std::uint64_t drain_interval_ns_ = 0;
    std::uint64_t replaced_look_at_ns_ = 0;
    std::uint64_t stopped_look_at_ns_ = 0;
    std::size_t next_look_index_ = 0;  ///< Whose turn it is.
};

}  // namespace shmpool::host
