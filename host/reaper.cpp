// SPDX-License-Identifier: Apache-2.0
#include "host/reaper.hpp"

#include <algorithm>
#include <fstream>

#include "host/event_tokens.hpp"
#include "shmpool/platform/futex.hpp"
#include "shmpool/platform/monotonic_clock.hpp"
#include "shmpool/quantity/duration.hpp"

namespace shmpool::host {
namespace {

constexpr std::uint64_t ms_in_ns = 1'000'000;
constexpr std::uint64_t first_interval_ns = 20 * ms_in_ns;
constexpr std::uint64_t last_interval_ns = 640 * ms_in_ns;
constexpr std::uint64_t least_looks = 32;  // At once, whether peers are stopped.

/// "pid (name) T ...": the name may hold anything, so the state stands behind the last ')'.
bool stopped_by_signal(std::int64_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    if (!std::getline(file, text)) return false;
    const std::size_t end = text.rfind(')');
    if (end == std::string::npos || end + 2 >= text.size()) return false;
    return text[end + 2] == 'T' || text[end + 2] == 't';
}

std::uint32_t load(const Atomic<std::uint32_t>& word) {
    return word.load(std::memory_order_relaxed);  // The host alone writes these tables.
}

void ring_bell(Atomic<std::uint32_t>& doorbell) {
    doorbell.fetch_add(1, std::memory_order_release);  // [R-doorbell]
    futex_wake(doorbell, 0x7FFF'FFFF);
}

}  // namespace

ReaperSenses ReaperSenses::of_this_machine() {
    return {monotonic_ns,      shmpool::has_ended,    kill_process,
            stopped_by_signal, shmpool::find_process, shmpool::maps_object};
}

Reaper::Reaper(SegmentSteward& steward, ChannelDirectory& directory, PeerRegistry& registry,
               BeaconWatcher& beacons, EventQueue& queue, const PoolConfig& config,
               const HostLog& log, ReaperSenses senses)
    : steward_(steward),
      directory_(directory),
      registry_(registry),
      beacons_(beacons),
      queue_(queue),
      config_(config),
      log_(log),
      senses_(std::move(senses)),
      reclaim_(steward.pool(), steward.lane(), steward.view(), directory) {}

// --- evidence ------------------------------------------------------------------------------------

void Reaper::peer_attached() {
    if (stopped_look_at_ns_ == 0) {
        stopped_look_at_ns_ = senses_.now_ns() + stopped_look_interval_ns();
    }
}

void Reaper::pidfd_readable(PeerId id) {
    Peer* const peer = registry_.find(id);
    if (peer == nullptr || peer->phase != PeerPhase::present) return;
    if (senses_.has_ended(peer->pidfd)) reclaim(*peer, EndpointState::died);
}

void Reaper::beacon_fired(PeerId id, std::uint64_t noticed_ns) {
    Peer* const peer = registry_.find(id);
    if (peer == nullptr || peer->phase != PeerPhase::present || peer->beacon_gone) return;
    peer->beacon_gone = true;
    peer->noticed_ns = noticed_ns;
    registry_.show(*peer, PeerState::dying);
    wake_partners(*peer);
    log_.debug(PeerRegistry::describe(*peer) + ": its beacon is gone, it seems to die");
    if (peer->closed_by_peer) replaced_look_at_ns_ = senses_.now_ns() + first_interval_ns;
}

void Reaper::connection_closed(PeerId id, std::uint64_t session_id, ClosedBy who) {
    Peer* const peer = registry_.find(id);
    if (peer == nullptr || peer->phase != PeerPhase::present) return;
    if (peer->session_id != session_id) return;
    if (who == ClosedBy::peer && !beacons_.may_use_the_pool(id)) {
        log_.info(PeerRegistry::describe(*peer) +
                  " has closed its connection without having used "
                  "the pool");
        return reclaim(*peer, EndpointState::left);
    }
    const std::uint64_t now_ns = senses_.now_ns();
    peer->session_id = no_session;
    peer->connected = false;
    peer->closed_by_peer = who == ClosedBy::peer;
    if (peer->silent_since_ns == 0) peer->silent_since_ns = now_ns;
    if (peer->beacon_gone) {
        if (peer->closed_by_peer) replaced_look_at_ns_ = now_ns + first_interval_ns;
        return;
    }
    registry_.show(*peer, PeerState::suspect);
    log_.debug(PeerRegistry::describe(*peer) + " is suspect: its connection is closed");
}

void Reaper::said_goodbye(PeerId id) {
    Peer* const peer = registry_.find(id);
    if (peer != nullptr && peer->phase == PeerPhase::present) reclaim(*peer, EndpointState::left);
}

// --- after another host --------------------------------------------------------------------------

void Reaper::take_over() {
    for (Peer& peer : registry_.all()) {
        if (peer.phase == PeerPhase::present) take_over(peer);
    }
    if (registry_.present_count() != 0) peer_attached();
    look_soon();
}

Result<std::optional<Descriptor>> Reaper::find_process(const Peer& peer,
                                                       const PeerImage& image) const {
    if (peer.unseen) {
        return fail(Errc::no_permission,
                    "it, or the host before this one, is in another pid or time namespace");
    }
    return senses_.find_process(peer.credentials.pid,
                                image.process_started.load(std::memory_order_relaxed));
}

void Reaper::take_over(Peer& peer) {
    const PeerImage& image = steward_.view().peers.at(peer.id.index);
    const auto state = static_cast<PeerState>(load(image.state));
    auto process = find_process(peer, image);
    if (process && !*process) return reclaim(peer, EndpointState::died);
    // Said to that host, or to nobody because there was none.
    const bool has_left = state == PeerState::reclaiming || state == PeerState::lingering ||
                          load(image.left_incarnation) == peer.id.incarnation;
    if (has_left) return reclaim(peer, EndpointState::left);
    if (!process) {
        log_.warn(PeerRegistry::describe(peer) +
                  " can not be watched until it comes back: " + process.error().message);
    } else {
        watch_process(peer, std::move(**process));
    }
    registry_.show(peer, PeerState::attached);
}

void Reaper::watch_process(Peer& peer, Descriptor pidfd) {
    queue_.remove(peer.pidfd);
    peer.pidfd = std::move(pidfd);
    if (auto watched = queue_.add(peer.pidfd, token_of(peer.id)); !watched) {
        log_.error(PeerRegistry::describe(peer) +
                   " can not be watched: " + watched.error().message);
    }
}

void Reaper::rejoined(Peer& peer, std::uint64_t session_id, Descriptor pidfd) {
    watch_process(peer, std::move(pidfd));
    peer.session_id = session_id;
    peer.connected = true;
    peer.awaited = false;
    peer.closed_by_peer = false;
    peer.silent_since_ns = 0;
    peer.silence_judged = false;
    if (!peer.beacon_gone) registry_.show(peer, PeerState::attached);
    log_.info(PeerRegistry::describe(peer) + " is back");
}

// --- consequences --------------------------------------------------------------------------------

void Reaper::reclaim(Peer& peer, EndpointState how) {
    end_watching(peer);
    peer.departure = how;
    if (peer.noticed_ns == 0) peer.noticed_ns = senses_.now_ns();
    // The peer could write there; lanes are found by this number.
    steward_.view()
        .peers.at(peer.id.index)
        .incarnation.store(peer.id.incarnation, std::memory_order_relaxed);
    steward_.heaps().peer_gone(peer.id.index);  // Before its lanes are somebody else's.
    const Reclaimed result = reclaim_.reclaim(peer.id.index, how);
    const std::uint64_t now_ns = senses_.now_ns();
    const bool died = how == EndpointState::died;
    if (died) steward_.note_reclaim(peer.noticed_ns, now_ns, result.slots);
    log_.info(PeerRegistry::describe(peer) + (died ? " died: " : " left: ") +
              std::to_string(result.slots) + " slots taken back in " +
              std::to_string((now_ns - peer.noticed_ns) / 1000) + " us" +
              (result.finished ? "" : "; readers still have to take what it published"));
    if (result.finished) {
        registry_.release(peer);
    } else {
        peer.phase = PeerPhase::lingering;
    }
    (void)reclaim_in_heaps();
    look_soon();
}

bool Reaper::continue_reclaim(Peer& peer) {
    const Reclaimed result = reclaim_.reclaim(peer.id.index, peer.departure);
    if (peer.departure == EndpointState::died) steward_.note_late_slots(result.slots);
    if (!result.finished) return result.slots > 0;
    log_.debug(PeerRegistry::describe(peer) + ": readers have taken all that it published");
    registry_.release(peer);
    return true;
}

void Reaper::end_watching(Peer& peer) {
    queue_.remove(peer.pidfd);
    peer.pidfd = Descriptor();
    beacons_.forget(peer.id);
    peer.connected = false;
    peer.session_id = no_session;
}

/// Whoever sleeps until this peer reads or writes looks again, and sees its state.
void Reaper::wake_partners(const Peer& peer) {
    const ProtocolView& view = steward_.view();
    for (std::uint32_t i = 0; i < view.rings.count; ++i) {
        const RingImage& ring = view.rings.at(i);
        if (load(ring.state) == static_cast<std::uint32_t>(EndpointState::empty)) continue;
        PublisherImage* const publisher = view.publishers.find(load(ring.publisher_index));
        SubscriberImage* const subscriber = view.subscribers.find(load(ring.subscriber_index));
        if (publisher == nullptr || subscriber == nullptr) continue;
        if (load(publisher->peer_index) == peer.id.index) ring_bell(subscriber->doorbell);
        if (load(subscriber->peer_index) == peer.id.index) ring_bell(publisher->space_doorbell);
    }
}

// --- looks at a later time -----------------------------------------------------------------------

std::uint64_t Reaper::suspect_after_ns() const {
    return config_.suspect_after_ms * ms_in_ns;
}

std::uint64_t Reaper::stopped_look_interval_ns() const {
    return std::clamp(suspect_after_ns() / 4, first_interval_ns, 2'500 * ms_in_ns);
}

void Reaper::look_soon() {
    drain_interval_ns_ = first_interval_ns;
    drain_at_ns_ = senses_.now_ns() + first_interval_ns;
}

std::optional<std::uint64_t> Reaper::next_tick_ns() const {
    std::optional<std::uint64_t> next;
    const auto consider = [&next](std::uint64_t at_ns) {
        if (at_ns != 0 && (!next || at_ns < *next)) next = at_ns;
    };
    consider(drain_at_ns_);
    consider(replaced_look_at_ns_);
    consider(stopped_look_at_ns_);
    for (const Peer& peer : registry_.all()) {
        if (peer.phase == PeerPhase::present && peer.silent_since_ns != 0 && !peer.silence_judged) {
            consider(peer.silent_since_ns + suspect_after_ns());
        }
    }
    return next;
}

void Reaper::tick() {
    const std::uint64_t now_ns = senses_.now_ns();
    if (replaced_look_at_ns_ != 0 && now_ns >= replaced_look_at_ns_) look_for_replaced();
    if (stopped_look_at_ns_ != 0 && now_ns >= stopped_look_at_ns_) look_for_stopped(now_ns);
    judge_silent(now_ns);
    if (drain_at_ns_ == 0 && steward_.heaps().has_to_reclaim()) look_soon();
    if (drain_at_ns_ != 0 && now_ns >= drain_at_ns_) drain(now_ns);
}

/// A heap in which somebody is just now is looked at again. An owner that nobody can have been is a
/// word that somebody has written over: what it stands before may be a living one's, and stays.
std::uint64_t Reaper::reclaim_in_heaps() {
    return steward_.heaps().reclaim([this](HeapOwner owner) {
        const PeerId id{peer_of_owner(owner), static_cast<std::uint32_t>(owner >> 32)};
        const Peer* const peer = registry_.find(id);
        if (peer != nullptr) return peer->phase != PeerPhase::present;
        return registry_.has_been(id);
    });
}

void Reaper::drain(std::uint64_t now_ns) {
    bool waiting = directory_.maintain();
    bool progress = reclaim_in_heaps() != 0;
    waiting = waiting || steward_.heaps().has_to_reclaim();
    for (Peer& peer : registry_.all()) {
        if (peer.phase != PeerPhase::lingering) continue;
        progress = continue_reclaim(peer) || progress;
        waiting = waiting || peer.phase == PeerPhase::lingering;
    }
    // A reader may take hours: each look that changed nothing makes the next one later.
    drain_interval_ns_ =
        progress ? first_interval_ns : std::min(2 * drain_interval_ns_, last_interval_ns);
    drain_at_ns_ = waiting ? now_ns + drain_interval_ns_ : 0;
}

/// Its memory is gone with its old program: exec drops the mappings, then closes the socket.
void Reaper::look_for_replaced() {
    replaced_look_at_ns_ = 0;
    for (Peer& peer : registry_.all()) {
        if (peer.phase != PeerPhase::present || !peer.beacon_gone || !peer.closed_by_peer) continue;
        if (still_maps(peer)) {
            replaced_look_at_ns_ = senses_.now_ns() + last_interval_ns;
            continue;
        }
        if (!senses_.has_ended(peer.pidfd)) {
            log_.info(PeerRegistry::describe(peer) + " has replaced its program without a goodbye");
        }
        reclaim(peer, EndpointState::died);
    }
}

/// A thread that has ended and a descriptor that was closed look the same as a replaced program,
/// but for the mapping. That tells nothing if the process is another peer by now. Whose mappings
/// nobody here can see keeps all until its process has ended.
bool Reaper::still_maps(const Peer& peer) const {
    if (peer.unseen) return !senses_.has_ended(peer.pidfd);
    const bool is_another_too = std::ranges::any_of(registry_.all(), [&](const Peer& other) {
        return &other != &peer && other.phase == PeerPhase::present && other.connected &&
               other.credentials.pid == peer.credentials.pid;
    });
    if (is_another_too || senses_.has_ended(peer.pidfd)) return false;
    const auto maps = senses_.maps_object(peer.credentials.pid, steward_.control());
    return maps && *maps;
}

/// At whoever was stopped the last time, and of the others at so many that everybody's turn comes
/// within the time after which a peer is suspect: each takes 15 us, and the host serves nobody.
void Reaper::look_for_stopped(std::uint64_t now_ns) {
    std::vector<Peer>& all = registry_.all();
    const std::uint64_t turns = suspect_after_ns() / stopped_look_interval_ns();
    std::uint64_t left = std::max(least_looks, registry_.present_count() / turns + 1);
    const std::size_t first = next_look_index_;
    for (std::size_t i = 0; i < all.size(); ++i) {
        Peer& peer = all[(first + i) % all.size()];
        if (peer.phase != PeerPhase::present || !peer.connected || peer.unseen) continue;
        const bool is_watched = peer.awaited || peer.silent_since_ns != 0;
        if (!is_watched && left == 0) continue;
        if (!is_watched && --left == 0) next_look_index_ = peer.id.index + 1;
        look_whether_stopped(peer, now_ns);
    }
    const bool any = registry_.present_count() != 0;
    stopped_look_at_ns_ = any ? now_ns + stopped_look_interval_ns() : 0;
}

void Reaper::look_whether_stopped(Peer& peer, std::uint64_t now_ns) {
    if (peer.awaited) look_at_awaited(peer);
    if (peer.phase != PeerPhase::present) return;
    // A pid is used again only after its pidfd says so.
    const bool stopped = senses_.is_stopped(peer.credentials.pid) && !senses_.has_ended(peer.pidfd);
    if (stopped && peer.silent_since_ns == 0) {
        peer.silent_since_ns = now_ns;
    } else if (!stopped && peer.silent_since_ns != 0) {
        peer.silent_since_ns = 0;
        const bool was_suspect = std::exchange(peer.silence_judged, false);
        if (was_suspect && !peer.beacon_gone) registry_.show(peer, PeerState::attached);
        if (was_suspect) log_.info(PeerRegistry::describe(peer) + " runs again");
    }
}

/// A peer that has just been welcomed may be about to map the segment. It looks at its state behind
/// that, we look at its mappings behind the state: one of the two sees the other.
void Reaper::look_at_awaited(Peer& peer) {
    registry_.show(peer, PeerState::reclaiming);
    const auto maps = senses_.maps_object(peer.credentials.pid, steward_.control());
    if (maps && !*maps) return reclaim(peer, EndpointState::died);
    registry_.show(peer, peer.silence_judged ? PeerState::suspect : PeerState::attached);
}

void Reaper::judge_silent(std::uint64_t now_ns) {
    for (Peer& peer : registry_.all()) {
        if (peer.phase == PeerPhase::present && peer.silent_since_ns != 0 && !peer.silence_judged &&
            now_ns >= peer.silent_since_ns + suspect_after_ns()) {
            peer.silence_judged = true;
            judge(peer);
        }
    }
}

void Reaper::judge(Peer& peer) {
    if (!peer.beacon_gone) registry_.show(peer, PeerState::suspect);
    const std::string what = PeerRegistry::describe(peer) + " lives but " +
                             (peer.connected ? "is stopped" : "has closed its connection") +
                             " for " + format_duration_ms(config_.suspect_after_ms);
    if (config_.suspect_policy == SuspectPolicy::wait) {
        log_.warn(what + ": it is waited for, with all that it holds");
        return;
    }
    const auto killed = senses_.kill(peer.pidfd);
    if (killed) {
        log_.warn(what + ": killed, as [death] suspect_policy says");
    } else {
        log_.error(what + ", but it can not be killed, and keeps what it holds: " +
                   killed.error().message);
    }
}

}  // namespace shmpool::host
