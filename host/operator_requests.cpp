// SPDX-License-Identifier: Apache-2.0
/// What people ask of a host, through `shmpool`: to end a peer, to make the pool anew. The rest of
/// request_desk.hpp.
#include <string>

#include "host/access_rules.hpp"
#include "host/answers.hpp"
#include "host/request_desk.hpp"

namespace shmpool::host {

RequestDesk::Granted RequestDesk::grant(Session& session, const wire::Kick& request) {
    const auto allowed =
        check_right(config_.access, Right::kick, session.credentials, own_user_id());
    if (!allowed) return refuse(allowed.error());
    const PeerId id{request.peer_index, request.peer_incarnation};
    const Peer* const peer = registry_.find(id);
    if (peer == nullptr || peer->phase != PeerPhase::present) {
        return refuse(Errc::refused, "there is no peer " + std::to_string(id.index) +
                                         " with incarnation " + std::to_string(id.incarnation) +
                                         " (any more); look at the peers again");
    }
    if (peer->unseen) {
        return refuse(Errc::no_permission,
                      PeerRegistry::describe(*peer) +
                          " is in a pid namespace where this host can kill nobody; end it there");
    }
    if (auto killed = kill_process(peer->pidfd); !killed) {
        log_.error(PeerRegistry::describe(*peer) + " can not be kicked: " + killed.error().message);
        return refuse(killed.error());
    }
    log_.warn(PeerRegistry::describe(*peer) + " was kicked by pid " +
              std::to_string(session.credentials.pid));
    return plain(wire::Kicked{static_cast<std::uint32_t>(peer->credentials.pid)});
}

/// Whoever may end every single peer may take the memory from under all of them.
RequestDesk::Granted RequestDesk::grant(Session& session, const wire::Rebuild&) {
    const auto allowed = check_right(config_.access, Right::kick, session.credentials,
                                     own_user_id(), "make this pool anew");
    if (!allowed) return refuse(allowed.error());
    if (stopping_) {
        return refuse(Errc::host_stopped, "the host of pool '" + config_.name + "' is stopping");
    }
    auto parts = PoolParts::create(config_);
    if (!parts) {
        log_.error("the pool can not be made anew: " + parts.error().message);
        return refuse(parts.error().code, parts.error().message +
                                              "; the old pool is kept; end some of its peers, or "
                                              "restart the host when all of them have ended");
    }
    replacement_ = std::move(*parts);
    log_.warn("the pool is made anew, as pid " + std::to_string(session.credentials.pid) +
              " has asked; its " + std::to_string(registry_.present_count()) +
              " peers must attach again");
    return plain(wire::Rebuilt{registry_.present_count()});
}

}  // namespace shmpool::host
