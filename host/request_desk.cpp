// SPDX-License-Identifier: Apache-2.0
#include "host/request_desk.hpp"

#include <algorithm>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "host/access_rules.hpp"
#include "host/answers.hpp"
#include "host/event_tokens.hpp"
#include "protocol/wire/codec.hpp"
#include "protocol/wire/names.hpp"
#include "shmpool/layout/abi_constants.hpp"
#include "shmpool/platform/memory_object.hpp"
#include "shmpool/platform/monotonic_clock.hpp"

namespace shmpool::host {
namespace {

/// Each costs the host a descriptor.
constexpr std::uint32_t observers_per_user_max = 64;

tl::unexpected<wire::Refused> refuse_build(Errc code, const char* what, std::uint64_t wanted,
                                           std::uint64_t offered) {
    return refuse(code,
                  std::string("the host was built with ") + what + " " + std::to_string(wanted) +
                      ", the peer with " + std::to_string(offered) +
                      "; build both from the same version of shmpool",
                  wanted, offered);
}

bool asks_to_read_only(const wire::Hello& request) {
    return (request.flags & wire::hello_read_only) != 0;
}

Right right_asked_by(const wire::Hello& request) {
    if ((request.flags & wire::hello_observer) != 0) return Right::observe;
    return asks_to_read_only(request) ? Right::attach_read_only : Right::attach;
}

/// Requests about the tables; the others observers may make too.
template <typename Request>
constexpr bool for_peers_only =
    std::is_same_v<Request, wire::OpenPublisher> || std::is_same_v<Request, wire::OpenSubscriber> ||
    std::is_same_v<Request, wire::ClosePublisher> ||
    std::is_same_v<Request, wire::CloseSubscriber> || std::is_same_v<Request, wire::OpenHeap> ||
    std::is_same_v<Request, wire::CloseHeap> || std::is_same_v<Request, wire::RelieveClass>;

/// So that nobody can fill the host's memory with requests.
constexpr std::ptrdiff_t works_per_session_max = 16;

/// Requests that are answered when their work is done, or somebody else's.
template <typename Request>
constexpr bool takes_longer =
    std::is_same_v<Request, wire::CreateHeap> || std::is_same_v<Request, wire::DestroyHeap> ||
    std::is_same_v<Request, wire::GrowHeap> || std::is_same_v<Request, wire::OpenHeap> ||
    std::is_same_v<Request, wire::GrowClass> || std::is_same_v<Request, wire::ShrinkClass> ||
    std::is_same_v<Request, wire::RelieveClass>;

}  // namespace

RequestDesk::RequestDesk(SegmentSteward& steward, ChannelDirectory& directory,
                         PeerRegistry& registry, Reaper& reaper, BeaconWatcher& beacons,
                         EventQueue& queue, const PoolConfig& config, const HostLog& log)
    : steward_(steward),
      directory_(directory),
      registry_(registry),
      reaper_(reaper),
      beacons_(beacons),
      queue_(queue),
      config_(config),
      log_(log) {}

std::optional<Answer> RequestDesk::answer(Session& session, const wire::Message& message,
                                          std::span<const Descriptor> descriptors) {
    if (session.role == SessionRole::peer) beacons_.look_again(session.peer);
    return std::visit(
        [&](const auto& request) -> std::optional<Answer> {
            using Request = std::decay_t<decltype(request)>;
            constexpr bool rejoins = std::is_same_v<Request, wire::Rejoin>;
            if constexpr (rejoins || takes_longer<Request> ||
                          requires(RequestDesk & desk) { desk.grant(session, request); }) {
                constexpr bool first = rejoins || std::is_same_v<Request, wire::Hello>;
                const bool introduced = session.role != SessionRole::unintroduced;
                Granted granted = Answer{};
                if (first == introduced) {
                    granted = refuse(Errc::protocol_violation,
                                     first ? "this connection has said hello already"
                                           : "say hello before any other request");
                } else if (for_peers_only<Request> && session.role != SessionRole::peer) {
                    granted = refuse(Errc::protocol_violation,
                                     "an observer only looks; attach as a peer for this request");
                } else if constexpr (rejoins) {
                    granted = grant(session, request, descriptors);
                } else if constexpr (takes_longer<Request>) {
                    granted = grant(session, request, message.request_id);
                } else {
                    granted = grant(session, request);
                }
                if (granted) return std::move(*granted);
                log_.debug("a request of pid " + std::to_string(session.credentials.pid) +
                           " was refused: " + printable(granted.error().text.view()));
                return Answer{granted.error(), {}, {}, first && !introduced};
            } else {
                return std::nullopt;
            }
        },
        message.body);
}

// --- what takes longer than a turn of the loop ---------------------------------------------------

RequestDesk::Allowed RequestDesk::check_may_change_memory(const Session& session,
                                                          std::string_view deed) const {
    if (auto allowed =
            check_right(config_.access, Right::grow, session.credentials, own_user_id(), deed);
        !allowed) {
        return refuse(allowed.error());
    }
    return check_may_wait(session);
}

/// Honest clients have one under way, or a few that they did not wait for.
RequestDesk::Allowed RequestDesk::check_may_wait(const Session& session) const {
    const auto waiting = std::ranges::count(waiters_, session.id, &Waiter::session_id) +
                         std::ranges::count(growth_waiters_, session.id, &GrowthWaiter::session_id);
    if (waiting < works_per_session_max) return {};
    return refuse(Errc::would_block, std::to_string(waiting) +
                                         " requests of this connection about memory are under way; "
                                         "wait for an answer before the next one");
}

std::vector<LateAnswer> RequestDesk::do_a_piece() {
    std::vector<LateAnswer> answers;
    answer_heaps(answers);
    answer_grown(answers);
    return answers;
}

// --- hello and goodbye ---------------------------------------------------------------------------

template <typename First>
RequestDesk::Allowed RequestDesk::check_caller(const Session& session, Right right,
                                               const First& request) const {
    if (auto allowed = check_right(config_.access, right, session.credentials, own_user_id());
        !allowed) {
        return refuse(allowed.error());
    }
    if (request.layout_version != layout_version) {
        return refuse_build(Errc::wrong_layout_version, "layout version", layout_version,
                            request.layout_version);
    }
    if (request.layout_fingerprint != protocol_fingerprint) {
        return refuse_build(Errc::wrong_fingerprint, "layout fingerprint", protocol_fingerprint,
                            request.layout_fingerprint);
    }
    if (request.pool_name.view() != config_.name) {
        return refuse(Errc::refused, "this host has the pool '" + config_.name + "', not '" +
                                         printable(request.pool_name.view()) + "'");
    }
    if (stopping_) {
        return refuse(Errc::host_stopped, "the host of pool '" + config_.name + "' is stopping");
    }
    return {};
}

RequestDesk::Allowed RequestDesk::check_hello(const Session& session,
                                              const wire::Hello& request) const {
    if (auto allowed = check_caller(session, right_asked_by(request), request); !allowed) {
        return allowed;
    }
    const std::uint32_t lanes = steward_.thread_lanes();
    if (request.lanes_wanted > lanes) {
        return refuse(Errc::no_lane,
                      std::to_string(request.lanes_wanted) + " lanes are wanted, the pool has " +
                          std::to_string(lanes) +
                          "; raise limits.lanes in the host's configuration",
                      request.lanes_wanted, lanes);
    }
    return {};
}

RequestDesk::Granted RequestDesk::grant(Session& session, const wire::Hello& request) {
    if (auto allowed = check_hello(session, request); !allowed) {
        return tl::unexpected(allowed.error());
    }
    if ((request.flags & wire::hello_observer) == 0) return welcome_peer(session, request);
    std::uint32_t& observers = observers_[session.credentials.uid];
    if (observers == observers_per_user_max) {
        return refuse(Errc::refused, "user " + std::to_string(session.credentials.uid) +
                                         " looks at this pool by " + std::to_string(observers) +
                                         " connections already; end one");
    }
    ++observers;
    session.role = SessionRole::observer;
    return Answer{welcome_numbers(PeerId{}), {}, {steward_.control_read_only().get()}, false};
}

wire::Welcome RequestDesk::welcome_numbers(PeerId peer) const {
    const SegmentHeader& header = steward_.header();
    wire::Welcome welcome{};
    welcome.control_bytes = steward_.control_bytes();
    welcome.payload_bytes = steward_.payload_bytes();
    welcome.peer_index = peer.index;
    welcome.peer_incarnation = peer.incarnation;
    welcome.host_pid = own_process_id();
    welcome.host_incarnation = header.host_incarnation.load(std::memory_order_relaxed);
    welcome.relieved_classes = steward_.relieved_classes(config_);
    return welcome;
}

Result<void> RequestDesk::check_places(uid_t user) const {
    const std::uint32_t granted = config_.quota.of(user).user_peers;
    const std::uint32_t taken = registry_.places_of_user(user);
    if (granted == 0 || taken < granted) return {};
    return fail(Errc::quota_exceeded,
                "user " + std::to_string(user) + " has " + std::to_string(taken) +
                    " peers, dead ones that are not yet taken back included, and [quota] "
                    "user_peers grants " +
                    std::to_string(granted) + "; end one, or raise it");
}

/// Everything that can fail comes before the peer is in the table.
Result<Peer*> RequestDesk::enter(Session& session, const wire::Hello& request) {
    if (session.credentials.pid <= 0 && config_.unseen_peers == UnseenPeers::refuse) {
        return fail(Errc::no_permission,
                    "the host can not see this process: it runs in a pid namespace outside of the "
                    "host's; start the host in the same one, or in one above it, or set [death] "
                    "unseen_peers = \"accept\"");
    }
    if (auto room = check_places(session.credentials.uid); !room) {
        return tl::unexpected(room.error());
    }
    auto pidfd = pidfd_of_socket_peer(session.connection.socket());
    if (!pidfd) return tl::unexpected(pidfd.error());
    auto entered = registry_.attach(session.credentials, request.peer_name.view(),
                                    asks_to_read_only(request), std::move(*pidfd), monotonic_ns());
    if (!entered) return entered;
    Peer& peer = **entered;
    if (auto watched = queue_.add(peer.pidfd, token_of(peer.id)); !watched) {
        registry_.release(peer);
        return tl::unexpected(watched.error());
    }
    return &peer;
}

RequestDesk::Granted RequestDesk::welcome_peer(Session& session, const wire::Hello& request) {
    auto memory = create_beacon_memory();
    if (!memory) return refuse(memory.error());
    auto beacon = BeaconWatch::watch(*memory);
    if (!beacon) return refuse(beacon.error());
    const auto entered = enter(session, request);
    if (!entered) {
        warn_sparingly(log_, complaints_,
                       "pid " + std::to_string(session.credentials.pid) +
                           " can not attach: " + entered.error().message);
        return refuse(entered.error());
    }
    Peer& peer = **entered;
    if (auto watched = beacons_.watch(peer.id, std::move(*beacon)); !watched) {
        log_.warn(PeerRegistry::describe(peer) + " will be missed later than others: " +
                  watched.error().message);  // Its pidfd is enough.
    }
    peer.session_id = session.id;
    session.peer = peer.id;
    session.role = SessionRole::peer;
    reaper_.peer_attached();
    log_.info(PeerRegistry::describe(peer) + " attached" + (peer.read_only ? " read-only" : ""));

    Answer answer{welcome_numbers(peer.id), {}, {}, false};
    const Descriptor& payload = peer.read_only ? steward_.payload_read_only() : steward_.payload();
    answer.descriptors = {steward_.control().get(), payload.get(), memory->get()};
    answer.owned.push_back(std::move(*memory));
    return answer;
}

// --- coming back ---------------------------------------------------------------------------------

RequestDesk::Granted RequestDesk::grant(Session& session, const wire::Rejoin& request,
                                        std::span<const Descriptor> descriptors) {
    const bool writes = is_open_for_writing(descriptors[1]);
    const Right right = writes ? Right::attach : Right::attach_read_only;
    if (auto allowed = check_caller(session, right, request); !allowed) {
        return tl::unexpected(allowed.error());
    }
    const auto found = find_rejoining(session, request, descriptors);
    if (!found) return refuse(found.error());
    Peer& peer = **found;
    auto pidfd = pidfd_of_socket_peer(session.connection.socket());
    if (!pidfd) return refuse(pidfd.error());
    auto beacon = BeaconWatch::watch(descriptors[2]);
    if (!beacon) return refuse(beacon.error());
    if (!beacons_.watches(peer.id)) {
        if (auto watched = beacons_.watch(peer.id, std::move(*beacon)); !watched) {
            log_.warn(PeerRegistry::describe(peer) + " will be missed later than others: " +
                      watched.error().message);  // Its pidfd is enough.
        }
    }
    registry_.rejoined(peer, session.credentials, !writes);
    reaper_.rejoined(peer, session.id, std::move(*pidfd));
    session.peer = peer.id;
    session.role = SessionRole::peer;
    close_unlisted(peer.id, request);
    const wire::Welcome numbers = welcome_numbers(peer.id);
    return plain(
        wire::Rejoined{numbers.host_pid, numbers.host_incarnation, numbers.relieved_classes});
}

namespace {

/// A number of another namespace tells nothing. Then the user must do, for one whom this host has
/// not met: processes of one user can do to each other what they like.
bool is_process_of(const Peer& peer, const Credentials& caller) {
    if (peer.unseen) return peer.awaited && peer.credentials.uid == caller.uid;
    return peer.credentials.pid == caller.pid;
}

}  // namespace

/// The segment by the kernel's word, the peer by its process: nobody can come back as another, but
/// for peers that this host can not see.
Result<Peer*> RequestDesk::find_rejoining(const Session& session, const wire::Rejoin& request,
                                          std::span<const Descriptor> descriptors) const {
    if (!is_same_object(descriptors[0], steward_.control()) ||
        !is_same_object(descriptors[1], steward_.payload())) {
        return fail(Errc::segment_replaced, "the pool '" + config_.name +
                                                "' was made anew after the host of this peer had "
                                                "died; attach again");
    }
    Peer* const peer = registry_.find({request.peer_index, request.peer_incarnation});
    if (peer == nullptr || peer->phase != PeerPhase::present ||
        !is_process_of(*peer, session.credentials)) {
        return fail(Errc::segment_replaced,
                    "there is no peer " + std::to_string(request.peer_index) +
                        " of this process with incarnation " +
                        std::to_string(request.peer_incarnation) + " (any more); attach again");
    }
    return peer;
}

void RequestDesk::undo_hello(Session& session) {
    Peer* const peer = registry_.find(session.peer);
    if (session.role == SessionRole::observer) observer_left(session.credentials.uid);
    session.role = SessionRole::unintroduced;
    session.peer = PeerId{};
    if (peer == nullptr || peer->phase != PeerPhase::present) return;
    queue_.remove(peer->pidfd);
    beacons_.forget(peer->id);
    registry_.release(*peer);
}

RequestDesk::Granted RequestDesk::grant(Session& session, const wire::Goodbye&) {
    if (session.role == SessionRole::peer) reaper_.said_goodbye(session.peer);
    return Answer{wire::Farewell{}, {}, {}, true};
}

}  // namespace shmpool::host
