// SPDX-License-Identifier: Apache-2.0
#include "host/peer_registry.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "host/host_log.hpp"

namespace shmpool::host {

PeerRegistry::PeerRegistry(const ProtocolView& view, const QuotaRules& quotas)
    : view_(view), quotas_(quotas), own_space_(process_space()), peers_(view.peers.count) {
    for (std::uint32_t i = 0; i < view.peers.count; ++i) peers_[i].id.index = i;
}

namespace {

/// Relaxed: show() releases it. Who has no pid here is in no space that a next host can look into.
void write_process(PeerImage& image, pid_t pid, std::uint64_t space) {
    image.pid.store(static_cast<std::uint32_t>(pid), std::memory_order_relaxed);
    image.process_started.store(process_started(pid), std::memory_order_relaxed);
    image.process_space.store(pid > 0 ? space : 0, std::memory_order_relaxed);
}

bool is_of_space(const PeerImage& image, std::uint64_t space) {
    return space != 0 && image.process_space.load(std::memory_order_relaxed) == space;
}

}  // namespace

Result<Peer*> PeerRegistry::attach(const Credentials& credentials, std::string_view name,
                                   bool read_only, Descriptor pidfd, std::uint64_t now_ns) {
    const auto found = std::ranges::find(peers_, PeerPhase::vacant, &Peer::phase);
    if (found == peers_.end()) {
        return fail(Errc::no_peer_slot,
                    "all " + std::to_string(peers_.size()) +
                        " places for peers are taken; raise limits.peers in the host's "
                        "configuration, or end a peer");
    }
    Peer& peer = *found;
    const PeerId id{peer.id.index, peer.id.incarnation + 1};
    peer = Peer{};
    peer.id = id;
    peer.phase = PeerPhase::present;
    peer.credentials = credentials;
    peer.unseen = credentials.pid <= 0;
    peer.name = printable(name);
    peer.read_only = read_only;
    peer.pidfd = std::move(pidfd);

    PeerImage& image = view_.peers.at(id.index);
    // Relaxed: show() releases all of it.
    image.incarnation.store(id.incarnation, std::memory_order_relaxed);
    image.uid.store(credentials.uid, std::memory_order_relaxed);
    image.attached_ns.store(now_ns, std::memory_order_relaxed);
    write_process(image, credentials.pid, own_space_);
    image.left_incarnation.store(0, std::memory_order_relaxed);
    image.read_only.store(read_only ? 1 : 0, std::memory_order_relaxed);
    write_quota(image, quotas_.of(credentials.uid));
    image.drawn_slots.store(0, std::memory_order_relaxed);
    image.drawn_bytes.store(0, std::memory_order_relaxed);
    std::memset(image.name, 0, sizeof(image.name));
    std::ranges::copy(std::string_view(peer.name).substr(0, name_bytes - 1), image.name);
    show(peer, PeerState::attached);
    return &peer;
}

void PeerRegistry::take_over() {
    for (Peer& peer : peers_) {
        PeerImage& image = view_.peers.at(peer.id.index);
        peer.id.incarnation = image.incarnation.load(std::memory_order_relaxed);
        if (image.state.load(std::memory_order_acquire) ==  // [A-peer]
            static_cast<std::uint32_t>(PeerState::empty)) {
            continue;
        }
        peer.phase = PeerPhase::present;
        peer.awaited = true;
        peer.credentials.pid = static_cast<pid_t>(image.pid.load(std::memory_order_relaxed));
        peer.unseen = !is_of_space(image, own_space_);
        peer.credentials.uid = image.uid.load(std::memory_order_relaxed);
        peer.read_only = image.read_only.load(std::memory_order_relaxed) != 0;
        peer.name = printable({image.name, strnlen(image.name, name_bytes)});
        write_quota(image, quotas_.of(peer.credentials.uid));
    }
}

void PeerRegistry::rejoined(Peer& peer, const Credentials& credentials, bool read_only) {
    peer.credentials = credentials;
    peer.unseen = credentials.pid <= 0;
    peer.read_only = read_only;
    PeerImage& image = view_.peers.at(peer.id.index);
    write_process(image, credentials.pid, own_space_);
    image.uid.store(credentials.uid, std::memory_order_relaxed);
    image.read_only.store(read_only ? 1 : 0, std::memory_order_relaxed);
    write_quota(image, quotas_.of(credentials.uid));
}

Peer* PeerRegistry::find(PeerId id) {
    if (id.index >= peers_.size()) return nullptr;
    Peer& peer = peers_[id.index];
    return peer.phase != PeerPhase::vacant && peer.id == id ? &peer : nullptr;
}

bool PeerRegistry::has_been(PeerId id) const {
    if (id.index >= peers_.size() || id.incarnation == 0) return false;
    return id.incarnation <= peers_[id.index].id.incarnation;
}

void PeerRegistry::show(const Peer& peer, PeerState state) {
    view_.peers.at(peer.id.index)
        .state.store(static_cast<std::uint32_t>(state), std::memory_order_release);  // [R-peer]
}

void PeerRegistry::release(Peer& peer) {
    show(peer, PeerState::empty);
    const PeerId id = peer.id;
    peer = Peer{};
    peer.id = id;
}

std::uint32_t PeerRegistry::present_count() const {
    return static_cast<std::uint32_t>(std::ranges::count(peers_, PeerPhase::present, &Peer::phase));
}

std::uint32_t PeerRegistry::places_of_user(uid_t user) const {
    return static_cast<std::uint32_t>(std::ranges::count_if(peers_, [user](const Peer& peer) {
        return peer.phase != PeerPhase::vacant && peer.credentials.uid == user;
    }));
}

std::string PeerRegistry::describe(const Peer& peer) {
    return "peer " + std::to_string(peer.id.index) + " '" + peer.name + "' (pid " +
           std::to_string(peer.credentials.pid) + ")";
}

}  // namespace shmpool::host
