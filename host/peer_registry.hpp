// SPDX-License-Identifier: Apache-2.0
/// Who is attached. The host's private account of its peers, and the table of PeerImages that
/// everybody can look at. The host believes its own account; the table is only written (I6).
///
///   empty -> attached -> (dying, suspect) -> reclaiming -> (lingering) -> empty
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/quota_rules.hpp"
#include "protocol/protocol_view.hpp"
#include "shmpool/platform/descriptor.hpp"
#include "shmpool/platform/process.hpp"
#include "shmpool/platform/result.hpp"

namespace shmpool::host {

/// A peer of one attachment: its number is given away again, with another incarnation.
struct PeerId {
    std::uint32_t index = nothing;
    std::uint32_t incarnation = 0;

    friend bool operator==(const PeerId&, const PeerId&) = default;
};

inline constexpr std::uint64_t no_session = 0;

enum class PeerPhase : std::uint8_t {
    vacant,     ///< The number is free.
    present,    ///< Attached, as far as the kernel says.
    lingering,  ///< Gone, but readers still have to drain its rings.
};

/// What the host knows about one peer.
struct Peer {
    PeerId id;
    PeerPhase phase = PeerPhase::vacant;
    Credentials credentials{};
    std::string name;
    Descriptor pidfd;
    std::uint64_t session_id = no_session;
    std::uint64_t noticed_ns = 0;       ///< When its death was first noticed; 0: not.
    std::uint64_t silent_since_ns = 0;  ///< Connection closed, or stopped; 0: neither.
    bool silence_judged = false;        ///< The policy has had its say.
    bool beacon_gone = false;           ///< The thread that held it has ended, or exec.
    bool connected = true;
    bool read_only = false;  ///< Has the payload to read only.
    /// Its pid says nothing here: the host before, which wrote it down, was in another namespace;
    /// or it has none in this one.
    bool unseen = false;
    bool awaited = false;         ///< Left by an earlier host, and not yet back.
    bool closed_by_peer = false;  ///< Not by the host: that would be no evidence.
    EndpointState departure = EndpointState::died;
};

class PeerRegistry {
public:
    /// Both live longer.
    PeerRegistry(const ProtocolView& view, const QuotaRules& quotas);

    /// A free number, with the next incarnation. All taken: `no_peer_slot`.
    [[nodiscard]] Result<Peer*> attach(const Credentials& credentials, std::string_view name,
                                       bool read_only, Descriptor pidfd, std::uint64_t now_ns);

    /// The peers that an earlier host has left in the table: all are `present` and without a pidfd
    /// until somebody has looked at the processes. Once, before anybody attaches.
    void take_over();

    /// A peer of an earlier host is back: who it is by the kernel's word, not by the table's.
    void rejoined(Peer& peer, const Credentials& credentials, bool read_only);

    /// Null if that attachment is over.
    [[nodiscard]] Peer* find(PeerId id);

    /// Somebody has that number, or had it once.
    [[nodiscard]] bool has_been(PeerId id) const;

    /// Shows a state to the others.
    void show(const Peer& peer, PeerState state);

    /// The number is free again.
    void release(Peer& peer);

    [[nodiscard]] std::vector<Peer>& all() { return peers_; }
    [[nodiscard]] std::uint32_t present_count() const;
    /// Places that the user's peers take, dead ones too.
    [[nodiscard]] std::uint32_t places_of_user(uid_t user) const;

    /// "peer 3 'camera' (pid 1234)".
    [[nodiscard]] static std::string describe(const Peer& peer);

private:
    const ProtocolView& view_;
    const QuotaRules& quotas_;
    const std::uint64_t own_space_;  ///< It never changes, and to learn it takes files.
    std::vector<Peer> peers_;
};

}  // namespace shmpool::host
